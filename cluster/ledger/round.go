package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
)

// Block is a found block.
type Block = journal.Block

// State of a block.
type State string

// The states of a block. The last two are for who pays.
const (
	StateFound    State = "found"    // its fate is not known
	StateImmature State = "immature" // on the main chain; it has closed a round
	StateOrphaned State = "orphaned" // refused, or not on the main chain: it closes none
	StateUnlocked State = "unlocked" // deep enough to be paid from
	StatePaid     State = "paid"
)

// BlockRecord is a block as Redis has it. What follows Position is there once it
// has closed a round.
type BlockRecord struct {
	Block
	State    State
	Cut      uint64 // the chunk it ended
	Journal  string // that found it
	Position journal.Position
	Reason   string // of a refusal

	Daemon                     string
	First                      uint64 // the round's first chunk; Cut is its last
	Hashes, Unverified, Shares uint64 // of the round
	Closed                     time.Time
	// Late: its round had been taken by a later block that is being paid, so it
	// closed the one that was open when its fate became known.
	Late bool
}

// Round is the chunks between two blocks that close one.
type Round struct {
	First, Last                uint64 // chunks
	Hashes, Unverified, Shares uint64
	Started, Closed            time.Time // zero = no share yet / still open
	Block                      string    // id of the block that closed it, hex; "" = open
	Wallets                    map[string]Sum
}

func (r *Round) add(c *Chunk) {
	r.Hashes += c.Hashes
	r.Unverified += c.Unverified
	r.Shares += c.Shares
	if r.Started.IsZero() {
		r.Started = c.First
	}
	for w, s := range c.Wallets {
		sum := r.Wallets[w]
		sum.add(s)
		r.Wallets[w] = sum
	}
}

// CurrentRound reads the open round, all wallets of it.
func (r *Reader) CurrentRound(ctx context.Context) (Round, error) {
	newest, err := r.store.DoRepeatable(ctx, "ZREVRANGE", r.keys.Rounds(), "0", "0", "WITHSCORES").AsZScores()
	if err != nil {
		return Round{}, fmt.Errorf("ledger: list rounds: %w", err)
	}
	round := Round{First: 1, Wallets: map[string]Sum{}}
	if len(newest) == 1 {
		round.First = uint64(newest[0].Score) + 1 // a chunk's number, far below 2^53
	}
	if round.Last, err = r.OpenChunk(ctx); err != nil {
		return Round{}, err
	}
	chunks, err := r.chunks(ctx, round.First, round.Last)
	for i := range chunks {
		round.add(&chunks[i])
	}
	return round, err
}

// Round reads the round that a block has closed, also from its archive;
// ErrNotFound when it has closed none, or its archive has expired.
func (r *Reader) Round(ctx context.Context, block string) (Round, error) {
	rec, err := r.block(ctx, block)
	if err != nil {
		return Round{}, err
	}
	if rec.First == 0 {
		return Round{}, fmt.Errorf("round of block %s: %w", block, ErrNotFound)
	}
	round := Round{First: rec.First, Last: rec.Cut, Closed: rec.Closed, Block: block, Wallets: map[string]Sum{}}
	chunks, err := r.RoundChunks(ctx, rec)
	for i := range chunks {
		round.add(&chunks[i])
	}
	return round, err
}

// RoundChunks reads the chunks of a closed round, also from its archive.
func (r *Reader) RoundChunks(ctx context.Context, rec BlockRecord) ([]Chunk, error) {
	a, err := r.readArchive(ctx, hex.EncodeToString(rec.ID[:]))
	if err == nil {
		return a.Chunks, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	chunks, err := r.chunks(ctx, rec.First, rec.Cut)
	if err != nil || uint64(len(chunks)) == rec.Cut-rec.First+1 {
		return chunks, err
	}
	// Each was written to before it was cut: they may have been archived meanwhile.
	if a, err := r.readArchive(ctx, hex.EncodeToString(rec.ID[:])); !errors.Is(err, ErrNotFound) {
		return a.Chunks, err
	}
	if len(chunks) == 0 {
		err = fmt.Errorf("chunks %d to %d: %w", rec.First, rec.Cut, ErrNotFound)
	}
	return chunks, err
}

// Rounds reads the n newest rounds that are closed, newest first.
func (r *Reader) Rounds(ctx context.Context, n int) ([]Round, error) {
	ids, err := r.newest(ctx, r.keys.Rounds(), n)
	if err != nil {
		return nil, err
	}
	out := make([]Round, len(ids))
	for i, id := range ids {
		if out[i], err = r.Round(ctx, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Blocks reads the n newest found blocks, newest first.
func (r *Reader) Blocks(ctx context.Context, n int) ([]BlockRecord, error) {
	return r.blocksOf(ctx, r.keys.Blocks(), n)
}

// Closing reads the n newest blocks that have closed a round, newest first.
func (r *Reader) Closing(ctx context.Context, n int) ([]BlockRecord, error) {
	return r.blocksOf(ctx, r.keys.Rounds(), n)
}

func (r *Reader) blocksOf(ctx context.Context, list string, n int) ([]BlockRecord, error) {
	ids, err := r.newest(ctx, list, n)
	if err != nil {
		return nil, err
	}
	out := make([]BlockRecord, len(ids))
	for i, id := range ids {
		if out[i], err = r.block(ctx, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Reader) newest(ctx context.Context, list string, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	ids, err := r.store.DoRepeatable(ctx, "ZREVRANGE", list, "0", strconv.Itoa(n-1)).AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("ledger: list blocks: %w", err)
	}
	return ids, nil
}

// forgottenMost bounds the blocks that Forgotten looks at, newest first.
const forgottenMost = 1000

// Forgotten are the blocks that this journal has found and Redis knows no fate of,
// although the journal has none open: the record that settled them was lost with a
// part of it. Whoever follows blocks can ask the chain for them.
func (l *Ledger) Forgotten(ctx context.Context) ([]Block, error) {
	blocks, err := l.Blocks(ctx, forgottenMost)
	if err != nil {
		return nil, err
	}
	open := map[[32]byte]bool{}
	for _, f := range l.cfg.Journal.Unsettled() {
		open[f.ID] = true
	}
	var forgotten []Block
	for _, b := range blocks {
		if b.State == StateFound && b.Journal == l.cfg.Journal.ID() && !open[b.ID] {
			forgotten = append(forgotten, b.Block)
		}
	}
	return forgotten, nil
}

func (r *Reader) block(ctx context.Context, id string) (BlockRecord, error) {
	m, err := r.store.DoRepeatable(ctx, "HGETALL", r.keys.Block(id)).AsStrMap()
	if err != nil {
		return BlockRecord{}, fmt.Errorf("ledger: read block %s: %w", id, err)
	}
	if len(m) == 0 {
		return BlockRecord{}, fmt.Errorf("block %s: %w", id, ErrNotFound)
	}
	var p parser
	rec := BlockRecord{
		Block: Block{Height: p.u64(m["height"]), Difficulty: m["difficulty"], Reward: p.u64(m["reward"]),
			Wallet: m["wallet"], Worker: m["worker"], Node: m["node"], Time: p.ms(m["time"])},
		State: State(m["state"]), Cut: p.u64(m["cut"]), Journal: m["journal"], Position: journal.Position(p.u64(m["position"])),
		Reason: m["reason"], Daemon: m["daemon"], First: p.u64(m["first"]), Hashes: p.u64(m["hashes"]),
		Unverified: p.u64(m["unverified"]), Shares: p.u64(m["shares"]), Closed: p.ms(m["closed"]), Late: m["late"] != "",
	}
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(rec.ID) {
		return BlockRecord{}, fmt.Errorf("ledger: block id %q is not 64 hex digits", id)
	}
	copy(rec.ID[:], raw)
	return rec, p.wrap("read block " + id)
}
