package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/assay-pool/assay/cmd/assayd/config"
)

// TestWithin: a stage that ends is waited for, one that hangs is left behind.
func TestWithin(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	cause := errors.New("cause")
	if err := within(context.Background(), 0, func() error { return cause }); err != cause {
		t.Errorf("a stage that ends: %v", err)
	}
	if err := within(over, time.Minute, func() error { return cause }); err != cause {
		t.Errorf("a stage that ends a little late: %v", err)
	}
	hang := make(chan struct{})
	defer close(hang)
	if err := within(over, time.Millisecond, func() error { <-hang; return nil }); err != errLeftBehind {
		t.Errorf("a stage that hangs: %v", err)
	}
}

// TestStagesShareOneDeadline: each stage ends that much before the deadline of the
// whole, whenever the one before it has ended.
func TestStagesShareOneDeadline(t *testing.T) {
	s := &stop{Node: &Node{cfg: &config.Config{StopTimeout: 8 * time.Second}}, begin: time.Now()}
	for reserved, want := range map[float64]time.Duration{
		verifyReserve + blocksReserve + ledgerReserve: 4 * time.Second,
		blocksReserve + ledgerReserve:                 5 * time.Second,
		ledgerReserve:                                 6 * time.Second,
		0:                                             8 * time.Second,
	} {
		ctx, cancel := s.before(reserved)
		deadline, _ := ctx.Deadline()
		if got := deadline.Sub(s.begin); got != want {
			t.Errorf("with %v reserved a stage ends after %v, want %v", reserved, got, want)
		}
		cancel()
	}
}
