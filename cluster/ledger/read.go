package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assay-pool/assay/cluster/store"
)

// Round as Redis has it.
type Round struct {
	Number          uint64
	Hashes, Shares  uint64    // totals
	Started, Closed time.Time // zero = no share yet / still open
	Block           string    // id of the block that closed it, hex
	Wallets         map[string]Sum
}

// Sum of difficulty and number of shares.
type Sum struct{ Hashes, Shares uint64 }

// WalletStats are a wallet's counters since it came.
type WalletStats struct {
	Hashes, Shares uint64
	Last           time.Time // of the newest share; zero = unknown wallet
	Rejects        map[string]uint64
}

// WorkerStats are one worker's counters.
type WorkerStats struct {
	Name                    string
	Hashes, Shares, Rejects uint64
	Last                    time.Time
}

// ErrNotFound: no such round or block.
var ErrNotFound = errors.New("ledger: not found")

// CurrentRound reads the open round, all wallets of it.
func (l *Ledger) CurrentRound(ctx context.Context) (Round, error) {
	return l.round(ctx, store.CurrentRound)
}

// Round reads closed round n (1 is the first); ErrNotFound.
func (l *Ledger) Round(ctx context.Context, n uint64) (Round, error) {
	if n == store.CurrentRound {
		return Round{}, fmt.Errorf("round 0: %w", ErrNotFound)
	}
	return l.round(ctx, n)
}

// Rounds reads the n rounds closed last, newest first.
func (l *Ledger) Rounds(ctx context.Context, n int) ([]Round, error) {
	blocks, err := l.Blocks(ctx, n)
	if err != nil {
		return nil, err
	}
	out := make([]Round, len(blocks))
	for i, b := range blocks {
		if out[i], err = l.round(ctx, b.Round); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *Ledger) round(ctx context.Context, n uint64) (Round, error) {
	reply, err := l.cfg.Store.EvalRepeatable(ctx, l.readRound, []string{l.keys.RoundNumber(),
		l.keys.RoundHashes(n), l.keys.RoundShares(n), l.keys.RoundTotal(n)}, nil).ToArray()
	if err != nil {
		return Round{}, fmt.Errorf("ledger: read round: %w", err)
	}
	if len(reply) != 4 {
		return Round{}, fmt.Errorf("ledger: read round: reply of %d parts", len(reply))
	}
	var p parser
	r := Round{Number: n, Wallets: map[string]Sum{}}
	if n == store.CurrentRound {
		current, err := reply[0].ToString()
		p.err = err
		r.Number = p.u64(current)
	}
	var parts [3]map[string]string
	for i := range parts {
		list, err := reply[i+1].AsStrSlice()
		if err != nil {
			return Round{}, fmt.Errorf("ledger: read round: %w", err)
		}
		parts[i] = pairs(list)
	}
	total := parts[2]
	if n != store.CurrentRound && len(total) == 0 {
		return Round{}, fmt.Errorf("round %d: %w", n, ErrNotFound)
	}
	for w, v := range parts[0] {
		r.Wallets[w] = Sum{Hashes: p.u64(v), Shares: p.u64(parts[1][w])}
	}
	r.Hashes, r.Shares = p.u64(total["hashes"]), p.u64(total["shares"])
	r.Started, r.Closed, r.Block = p.ms(total["started"]), p.ms(total["closed"]), total["block"]
	return r, p.wrap("read round")
}

// Blocks reads the n blocks recorded last, newest first.
func (l *Ledger) Blocks(ctx context.Context, n int) ([]BlockRecord, error) {
	if n <= 0 {
		return nil, nil
	}
	ids, err := l.cfg.Store.DoRepeatable(ctx, "ZREVRANGE", l.keys.Blocks(), "0", strconv.Itoa(n-1)).AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("ledger: list blocks: %w", err)
	}
	out := make([]BlockRecord, len(ids))
	for i, id := range ids {
		if out[i], err = l.block(ctx, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *Ledger) block(ctx context.Context, id string) (BlockRecord, error) {
	m, err := l.cfg.Store.DoRepeatable(ctx, "HGETALL", l.keys.Block(id)).AsStrMap()
	if err != nil {
		return BlockRecord{}, fmt.Errorf("ledger: read block %s: %w", id, err)
	}
	if len(m) == 0 {
		return BlockRecord{}, fmt.Errorf("block %s: %w", id, ErrNotFound)
	}
	var p parser
	rec := BlockRecord{
		Block: Block{Height: p.u64(m["height"]), Difficulty: m["difficulty"], Reward: p.u64(m["reward"]),
			Wallet: m["wallet"], Worker: m["worker"], Node: m["node"], Daemon: m["daemon"], Time: p.ms(m["time"])},
		Round: p.u64(m["round"]), Hashes: p.u64(m["hashes"]), Shares: p.u64(m["shares"]), Closed: p.ms(m["closed"]),
	}
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(rec.ID) {
		return BlockRecord{}, fmt.Errorf("ledger: block id %q is not 64 hex digits", id)
	}
	copy(rec.ID[:], raw)
	return rec, p.wrap("read block " + id)
}

// Wallet reads a wallet's counters; an unknown one has none.
func (l *Ledger) Wallet(ctx context.Context, wallet string) (WalletStats, error) {
	m, err := l.cfg.Store.DoRepeatable(ctx, "HGETALL", l.keys.Wallet(wallet)).AsStrMap()
	if err != nil {
		return WalletStats{}, fmt.Errorf("ledger: read wallet: %w", err)
	}
	var p parser
	return p.counters(m), p.wrap("read wallet")
}

// Pool reads the pool's counters since it began.
func (l *Ledger) Pool(ctx context.Context) (WalletStats, error) {
	m, err := l.cfg.Store.DoRepeatable(ctx, "HGETALL", l.keys.Stats()).AsStrMap()
	if err != nil {
		return WalletStats{}, fmt.Errorf("ledger: read pool counters: %w", err)
	}
	var p parser
	return p.counters(m), p.wrap("read pool counters")
}

// Workers reads the counters of a wallet's workers by name; at most MaxWorkers
// and OtherWorker.
func (l *Ledger) Workers(ctx context.Context, wallet string) (map[string]WorkerStats, error) {
	m, err := l.cfg.Store.DoRepeatable(ctx, "HGETALL", l.keys.Workers(wallet)).AsStrMap()
	if err != nil {
		return nil, fmt.Errorf("ledger: read workers: %w", err)
	}
	var p parser
	out := map[string]WorkerStats{}
	for field := range m {
		name, ok := strings.CutPrefix(field, "n:")
		if !ok {
			continue
		}
		out[name] = WorkerStats{Name: name, Hashes: p.u64(m["h:"+name]), Shares: p.u64(m[field]),
			Rejects: p.u64(m["r:"+name]), Last: p.ms(m["l:"+name])}
	}
	return out, p.wrap("read workers")
}

// HashRate of a wallet in hashes per second over the whole minutes of the
// window that end before now; worker "" = all workers, wallet "" = the pool.
// The window is at least a minute and at most SliceTTL.
func (l *Ledger) HashRate(ctx context.Context, wallet, worker string, window time.Duration, now time.Time) (float64, error) {
	n := int64(window / time.Minute)
	if n < 1 || window > l.cfg.SliceTTL {
		return 0, fmt.Errorf("ledger: hash rate window %s is not between 1m and %s", window, l.cfg.SliceTTL)
	}
	field := wallet
	switch {
	case wallet == "":
		field = "*"
	case worker != "":
		field = wallet + "/" + worker
	}
	var sum float64 // a rate, not an account: rounding is fine
	last := now.Unix()/60 - 1
	for m := last - n + 1; m <= last; m++ {
		v, err := l.slice(ctx, m, field)
		if err != nil {
			return 0, err
		}
		sum += float64(v)
	}
	return sum / float64(n*60), nil
}

// slice reads one field of one minute; 0 when there is none.
func (l *Ledger) slice(ctx context.Context, minute int64, field string) (uint64, error) {
	vals, err := l.cfg.Store.DoRepeatable(ctx, "HMGET", l.keys.Rate(minute), field).ToArray()
	if err != nil {
		return 0, fmt.Errorf("ledger: read slice: %w", err)
	}
	if len(vals) != 1 || vals[0].IsNil() {
		return 0, nil
	}
	text, err := vals[0].ToString()
	p := parser{err: err}
	v := p.u64(text)
	return v, p.wrap("read slice")
}

// parser keeps the first error of many conversions.
type parser struct{ err error }

func (p *parser) u64(s string) uint64 {
	if s == "" {
		return 0
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}

func (p *parser) ms(s string) time.Time {
	v := p.u64(s)
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(v))
}

func (p *parser) counters(m map[string]string) WalletStats {
	w := WalletStats{Hashes: p.u64(m["hashes"]), Shares: p.u64(m["shares"]), Last: p.ms(m["last"]), Rejects: map[string]uint64{}}
	for f, v := range m {
		if reason, ok := strings.CutPrefix(f, "reject:"); ok {
			w.Rejects[reason] = p.u64(v)
		}
	}
	return w
}

func (p *parser) wrap(what string) error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("ledger: %s: a value that Assay did not write: %w", what, p.err)
}

// pairs turns field, value, field, value… into a map.
func pairs(list []string) map[string]string {
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}
