package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assay-pool/assay/cluster/store"
)

// Sum of a wallet's credit: Hashes is verified difficulty, Unverified what was
// trusted and is not verified yet. Only the first is ever paid.
type Sum struct{ Hashes, Unverified uint64 }

func (s *Sum) add(o Sum) {
	s.Hashes += o.Hashes
	s.Unverified += o.Unverified
}

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

// Reader reads a pool's books and changes nothing: for pages, reports and
// tests. A Ledger is one too. Safe for concurrent use.
type Reader struct {
	store  *store.Store
	keys   store.Keys
	window time.Duration // as far back as minute slices are kept
}

// NewReader reads the books of a pool whose slices live for DefaultSliceTTL.
func NewReader(s *store.Store, pool string) (*Reader, error) {
	keys, err := store.NewKeys(pool)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return newReader(s, keys, DefaultSliceTTL), nil
}

func newReader(s *store.Store, keys store.Keys, window time.Duration) *Reader {
	return &Reader{store: s, keys: keys, window: window}
}

// Wallet reads a wallet's counters; an unknown one has none.
func (r *Reader) Wallet(ctx context.Context, wallet string) (WalletStats, error) {
	m, err := r.store.DoRepeatable(ctx, "HGETALL", r.keys.Wallet(wallet)).AsStrMap()
	if err != nil {
		return WalletStats{}, fmt.Errorf("ledger: read wallet: %w", err)
	}
	var p parser
	return p.counters(m), p.wrap("read wallet")
}

// Pool reads the pool's counters since it began.
func (r *Reader) Pool(ctx context.Context) (WalletStats, error) {
	m, err := r.store.DoRepeatable(ctx, "HGETALL", r.keys.Stats()).AsStrMap()
	if err != nil {
		return WalletStats{}, fmt.Errorf("ledger: read pool counters: %w", err)
	}
	var p parser
	return p.counters(m), p.wrap("read pool counters")
}

// Workers reads the counters of a wallet's workers by name; at most MaxWorkers
// and OtherWorker.
func (r *Reader) Workers(ctx context.Context, wallet string) (map[string]WorkerStats, error) {
	m, err := r.store.DoRepeatable(ctx, "HGETALL", r.keys.Workers(wallet)).AsStrMap()
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
func (r *Reader) HashRate(ctx context.Context, wallet, worker string, window time.Duration, now time.Time) (float64, error) {
	n := int64(window / time.Minute)
	if n < 1 || window > r.window {
		return 0, fmt.Errorf("ledger: hash rate window %s is not between 1m and %s", window, r.window)
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
		v, err := r.slice(ctx, m, field)
		if err != nil {
			return 0, err
		}
		sum += float64(v)
	}
	return sum / float64(n*60), nil
}

// slice reads one field of one minute; 0 when there is none.
func (r *Reader) slice(ctx context.Context, minute int64, field string) (uint64, error) {
	vals, err := r.store.DoRepeatable(ctx, "HMGET", r.keys.Rate(minute), field).ToArray()
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
