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

// Layout numbers what the keys below mean. Keys of another layout are refused
// (identity.lua): they are neither read nor overwritten.
const Layout = "2"

// Keys names every key of one pool. All begin with the hash tag {pool}, so they
// share one cluster slot; whatever follows the first closing brace (a wallet,
// say) cannot change that.
//
//	key                  type    writer     lifetime
//	{p}:identity         hash    identity   for ever; coin and wallet, as the first node named them, and
//	                                        the layout
//	{p}:marks            hash    apply      for ever; journal id → mark: how much of it is applied, as
//	                                        "position hashes shares node", the sums cumulative
//	{p}:owners           hash    claim,     for ever; journal id → node prefix of the start that applies it
//	                             apply
//	{p}:gaps             list    apply      the newest thousand; what was lost of a journal before it
//	                                        could be applied, JSON
//	{p}:chunk            string  apply      for ever; number of the open chunk, absent = 1
//	{p}:chunk:<n>        hash    apply      until archived; wallet → verified difficulty, ~wallet →
//	                                        unverified, @journal → position up to which it is in here,
//	                                        #hashes, #unverified, #shares: the sums; #before: all
//	                                        difficulty of earlier chunks; #first, #last: of its shares
//	                                        (ms); #closed (ms), #block: the block that cut it
//	{p}:blocks           zset    apply      for ever; id of a found block, score = the chunk it cut
//	{p}:rounds           zset    apply      for ever; likewise, those of them that close a round
//	{p}:block:<id>       hash    apply      for ever; height, difficulty, reward, wallet, worker, node,
//	                                        time (ms), state, cut, journal, position; once it has closed
//	                                        a round first, hashes, shares, daemon, closed (ms)
//	{p}:archive:<id>     string  archive    RoundKeep after it was written; the chunks of a round, gzip
//	                                        of JSON
//	{p}:wallet:<w>       hash    apply      an hour to 90 days after the last share, by the
//	                                        wallet's part of the pool's work; hashes, shares,
//	                                        last (ms), weight, reject:<reason>
//	{p}:workers:<w>      hash    apply      as the wallet; per worker h:, n:, l:, r:<name> =
//	                                        hashes, shares, last (ms), rejects; #pressure =
//	                                        weight of workers that have no slot
//	{p}:slots:<w>        zset    apply      as the wallet; worker by weight
//	{p}:rate:<minute>    hash    apply      SliceTTL after its minute; wallet, wallet/worker and
//	                                        * (the pool) → difficulty sum of that minute
//	{p}:stats            hash    apply      for ever; hashes, shares, last (ms), blocks, weight,
//	                                        reject:<reason>
//
// Every sum is a decimal string or a hash field moved by HINCRBY: 64-bit
// integers in the server, never a Lua number. A weight is no sum: it says how
// much work somebody has done of late, to decide what is kept (apply.lua). No
// wallet begins with '~', '@' or '#'.
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

// Marks has the mark of every journal.
func (k Keys) Marks() string { return k.tag + "marks" }

// Owners has the start of a node that applies each journal.
func (k Keys) Owners() string { return k.tag + "owners" }

// Gaps lists what was lost of journals.
func (k Keys) Gaps() string { return k.tag + "gaps" }

// OpenChunk is the number of the chunk that credit lands in.
func (k Keys) OpenChunk() string { return k.tag + "chunk" }

// ChunkPrefix is what scripts put a chunk's number behind.
func (k Keys) ChunkPrefix() string { return k.tag + "chunk:" }

// Chunk is the n-th chunk of credit; 1 is the first.
func (k Keys) Chunk(n uint64) string { return k.ChunkPrefix() + strconv.FormatUint(n, 10) }

// Blocks lists found blocks by the chunk they cut.
func (k Keys) Blocks() string { return k.tag + "blocks" }

// Rounds lists the blocks that close a round, likewise.
func (k Keys) Rounds() string { return k.tag + "rounds" }

// BlockPrefix is what scripts put a block id behind.
func (k Keys) BlockPrefix() string { return k.tag + "block:" }

// Block is one block's record; id is lower-case hex.
func (k Keys) Block(id string) string { return k.BlockPrefix() + id }

// Archive has the chunks of the round that a block closed.
func (k Keys) Archive(id string) string { return k.tag + "archive:" + id }

// Earlier are keys of the layout before this one: where one is, so is its data.
func (k Keys) Earlier() []string {
	return []string{k.tag + "round:number", k.tag + "round:current:total"}
}

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
