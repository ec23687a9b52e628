package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
)

// rebuildSlice is how long a stretch of each journal is applied before the next
// journal's turn: so credits of different nodes are at most that far out of order.
const rebuildSlice = time.Second

// ErrBooks is a Rebuild into books that are not empty.
var ErrBooks = errors.New("there are books of this pool in redis already")

// Rebuild writes a pool's books anew from journals, into a Redis that has none of
// the pool; ErrBooks otherwise. End the pool's nodes before. The journals are applied
// side by side in the order of their shares' arrival; what they do not have any more
// is missing, and listed as a gap. cfg needs Store, Pool and Identity, and Journal is
// ignored. Rebuild does not give up on a Redis that is away, but with ctx; a node that
// was not ended and applies a journal meanwhile ends it with ErrFenced.
//
// What later steps have written into the books (blocks unlocked, paid) is not in the
// journals.
func Rebuild(ctx context.Context, cfg Config, journals []*journal.Journal) error {
	if len(journals) == 0 {
		return errors.New("ledger: no journals to rebuild from")
	}
	cfg.Journal = journals[0]
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	keys, err := store.NewKeys(cfg.Pool)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	for _, key := range []string{keys.Marks(), keys.Stats(), keys.OpenChunk()} {
		has, err := cfg.Store.DoRepeatable(ctx, "EXISTS", key).AsInt64()
		if err != nil {
			return fmt.Errorf("ledger: look for %s: %w", key, err)
		}
		if has != 0 {
			return fmt.Errorf("ledger: pool %q: %w (%s)", cfg.Pool, ErrBooks, key)
		}
	}
	if err := identify(ctx, &cfg, keys); err != nil {
		return err
	}
	var all []*flusher
	for _, j := range journals {
		one := cfg
		one.Journal = j
		f, err := rebuilder(one, keys)
		if err != nil {
			return err
		}
		defer f.r.Close()
		all = append(all, f)
	}
	return interleave(ctx, all)
}

// rebuilder is a flusher without a ledger around it.
func rebuilder(cfg Config, keys store.Keys) (*flusher, error) {
	m, err := newMetrics(nil, cfg.Pool, nil)
	if err != nil {
		return nil, err
	}
	r, err := cfg.Journal.NewReader("rebuild", 0)
	if err != nil {
		return nil, fmt.Errorf("ledger: read journal %s: %w", cfg.Journal.ID(), err)
	}
	l := &Ledger{Reader: newReader(cfg.Store, keys, cfg.SliceTTL), cfg: cfg, metrics: m,
		size: sizes{fixed: cfg.ChunkSize}, progress: make(chan struct{})}
	f := newFlusher(l, r)
	f.tool = true
	f.begin(mark{})
	return f, nil
}

// interleave applies the journals in stretches of time.
func interleave(ctx context.Context, all []*flusher) error {
	until := time.UnixMilli(0)
	for {
		next := time.Time{}
		for _, f := range all {
			f.until = until
			f.drain(ctx)
			if ctx.Err() != nil {
				return fmt.Errorf("ledger: rebuild: %w", ctx.Err())
			}
			if f.over != nil {
				return fmt.Errorf("ledger: rebuild: %w", f.over)
			}
			if f.unread != nil {
				return fmt.Errorf("ledger: read journal %s: %w", f.id, f.unread)
			}
			if f.held != nil {
				if at := timeOf(f.held); next.IsZero() || at.Before(next) {
					next = at
				}
			}
		}
		if next.IsZero() {
			return nil
		}
		until = next.Add(rebuildSlice)
	}
}

// timeOf is when what a record tells happened; zero for what is lost.
func timeOf(rec *journal.Record) time.Time {
	switch rec.Kind {
	case journal.KindCredit:
		return rec.Credit.Time
	case journal.KindFound:
		return rec.Found.Time
	case journal.KindSettled:
		return rec.Settled.At
	case journal.KindClawBack:
		return rec.ClawBack.At
	case journal.KindVest:
		return rec.Vest.At
	}
	return time.Time{}
}
