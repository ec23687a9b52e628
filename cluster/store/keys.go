package store

import (
	"fmt"
	"strconv"
)

// NodeNext counts the starts of all pools on this Redis: the last node prefix
// given out. It is no pool's, since two pools with one wallet must not have the
// same prefix; so in Redis Cluster it has a slot of its own, and no script may
// touch it together with a pool's keys. Written by Open and lift, kept for ever.
const NodeNext = "assay:node:next"

// Keys names every key of one pool. All begin with the hash tag {pool}, so they
// share one cluster slot; whatever follows the first closing brace (a wallet,
// say) cannot change that.
//
//	key                        type    writer        lifetime
//	{p}:identity               hash    identity      for ever; coin and wallet, as the first node named them
//	{p}:node:<stream>:mark     string  apply, close, 7 days, renewed by each write; high-water mark,
//	                                   mark          the last sequence applied of one node start
//	{p}:round:number           string  close         for ever; number of the current round, absent = 1
//	{p}:round:current:hashes   hash    apply         until the round closes; wallet → difficulty sum
//	{p}:round:current:shares   hash    apply         until the round closes; wallet → number of shares
//	{p}:round:current:total    hash    apply         until the round closes; hashes, shares, started (ms)
//	{p}:round:<n>:hashes …     hash    close         until paid out (a later step); the frozen round n,
//	  :shares, :total                                total has also closed (ms) and block (id)
//	{p}:blocks                 zset    close         for ever; block id, score = round number
//	{p}:block:<id>             hash    close         for ever; height, difficulty, reward, wallet, worker,
//	                                                 node, daemon, time (ms), round, hashes, shares
//	{p}:wallet:<w>             hash    apply         an hour to 90 days after the last share, by the
//	                                                 wallet's part of the pool's work; hashes, shares,
//	                                                 last (ms), weight, reject:<reason>
//	{p}:workers:<w>            hash    apply         as the wallet; per worker h:, n:, l:, r:<name> =
//	                                                 hashes, shares, last (ms), rejects; #pressure =
//	                                                 weight of workers that have no slot
//	{p}:slots:<w>              zset    apply         as the wallet; worker by weight
//	{p}:rate:<minute>          hash    apply         SliceTTL after its minute; wallet, wallet/worker and
//	                                                 * (the pool) → difficulty sum of that minute
//	{p}:stats                  hash    apply, close  for ever; hashes, shares, last (ms), blocks,
//	                                                 weight, reject:<reason>
//
// Every sum is a decimal string or a hash field moved by HINCRBY: 64-bit
// integers in the server, never a Lua number. A weight is no sum: it says how
// much work somebody has done of late, to decide what is kept (apply.lua).
type Keys struct{ pool, tag string }

// maxPoolName bounds a pool's name, in bytes: it is part of every key.
const maxPoolName = 64

// NewKeys checks the pool's name: 1 to 64 letters, digits, '-', '_' or '.'.
// Braces would move the hash tag and are refused with the rest.
func NewKeys(pool string) (Keys, error) {
	if pool == "" || len(pool) > maxPoolName {
		return Keys{}, fmt.Errorf("pool name %q: must have 1 to %d characters", pool, maxPoolName)
	}
	for _, c := range []byte(pool) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return Keys{}, fmt.Errorf("pool name %q: only letters, digits, '-', '_' and '.' are allowed", pool)
		}
	}
	return Keys{pool: pool, tag: "{" + pool + "}:"}, nil
}

// Pool is the name the keys were made for.
func (k Keys) Pool() string { return k.pool }

// Identity says whose pool this is.
func (k Keys) Identity() string { return k.tag + "identity" }

// Mark is the high-water mark of one node start's stream.
func (k Keys) Mark(stream string) string { return k.tag + "node:" + stream + ":mark" }

// RoundNumber is the number of the current round.
func (k Keys) RoundNumber() string { return k.tag + "round:number" }

// RoundPrefix is what the close script puts a round number behind; the three
// suffixes of a round are in RoundHashes, RoundShares and RoundTotal.
func (k Keys) RoundPrefix() string { return k.tag + "round:" }

// CurrentRound stands for the number of the open round in the three below.
const CurrentRound = 0

func (k Keys) round(n uint64) string {
	if n == CurrentRound {
		return k.tag + "round:current"
	}
	return k.tag + "round:" + strconv.FormatUint(n, 10)
}

// RoundHashes is wallet → difficulty sum of round n.
func (k Keys) RoundHashes(n uint64) string { return k.round(n) + ":hashes" }

// RoundShares is wallet → number of shares of round n.
func (k Keys) RoundShares(n uint64) string { return k.round(n) + ":shares" }

// RoundTotal has the totals of round n.
func (k Keys) RoundTotal(n uint64) string { return k.round(n) + ":total" }

// Blocks lists block ids by round.
func (k Keys) Blocks() string { return k.tag + "blocks" }

// Block is one block's record; id is lower-case hex.
func (k Keys) Block(id string) string { return k.tag + "block:" + id }

// Wallet has one wallet's counters.
func (k Keys) Wallet(wallet string) string { return k.tag + "wallet:" + wallet }

// Workers has the counters of one wallet's workers.
func (k Keys) Workers(wallet string) string { return k.tag + "workers:" + wallet }

// Slots ranks the workers that Workers has by their weight.
func (k Keys) Slots(wallet string) string { return k.tag + "slots:" + wallet }

// Rate is the slice of one minute (Unix time / 60).
func (k Keys) Rate(minute int64) string { return k.tag + "rate:" + strconv.FormatInt(minute, 10) }

// Stats has the pool's counters.
func (k Keys) Stats() string { return k.tag + "stats" }
