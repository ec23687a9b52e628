package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/assay-pool/assay/cluster/store"
)

// claims bounds the prefixes that a start takes until it has one later than any that
// has applied its journal. One is enough but with a Redis Cluster whose masters came
// back with different pasts.
const claims = 3

// claim takes a node prefix and the journal. Sent twice, it leaves a number unused: no
// harm.
func claim(ctx context.Context, cfg *Config, keys store.Keys) (prefix uint32, err error) {
	for range claims {
		next, err := cfg.Store.DoRepeatable(ctx, "INCR", store.NodeNext).AsInt64()
		if err != nil {
			return 0, fmt.Errorf("ledger: take a node prefix from %s: %w", store.NodeNext, err)
		}
		if next <= 0 || next > math.MaxUint32 {
			return 0, fmt.Errorf("ledger: %s is %d: no node prefixes of 32 bits are left; delete the key while no node runs", store.NodeNext, next)
		}
		own := strconv.FormatInt(next, 10)
		reply, err := cfg.Store.EvalRepeatable(ctx, store.NewScript("claim", claimLua), []string{keys.Owners()}, []string{cfg.Journal.ID(), own}).AsStrSlice()
		if err != nil || len(reply) != 2 {
			return 0, fmt.Errorf("ledger: claim the journal in %s: %d parts, %w", keys.Owners(), len(reply), err)
		}
		if reply[0] == "ok" {
			return uint32(next), nil
		}
		if err := lift(ctx, cfg.Store, reply[1]); err != nil {
			return 0, fmt.Errorf("ledger: %w", err)
		}
	}
	return 0, fmt.Errorf("ledger: %s and %s do not fit together: other nodes are starting with this journal, or redis has lost a part", store.NodeNext, keys.Owners())
}

// lift sees to it that no other start gets a node prefix from a Redis that forgot
// having given it.
func lift(ctx context.Context, s *store.Store, prefix string) error {
	if err := s.EvalRepeatable(ctx, store.NewScript("lift", liftLua), []string{store.NodeNext}, []string{prefix}).Error(); err != nil {
		return fmt.Errorf("lift %s: %w", store.NodeNext, err)
	}
	return nil
}

// ErrFenced: a later start applies this journal.
var ErrFenced = errors.New("ledger: another process was started with a copy of this journal (--data-dir: a copied folder or machine) and applies it now; end this process: its shares that are not in redis yet never will be")

// stuck are errors that no waiting cures.
func stuck(err error) bool {
	var other *identityError
	var layout *layoutError
	for _, target := range []error{ErrFenced, ErrHalf, ErrSum, ErrMark} {
		if errors.Is(err, target) {
			return true
		}
	}
	return errors.As(err, &other) || errors.As(err, &layout)
}

// Refuses tells why no share should be taken although there is room for it: what this
// process writes down would never be applied. nil as a rule. It costs nothing.
func (l *Ledger) Refuses() error {
	if l.fenced.Load() {
		return ErrFenced
	}
	return nil
}
