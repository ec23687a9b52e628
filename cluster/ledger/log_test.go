package ledger

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/internal/logtest"
)

// TestLogsOutsideTheLock: event loops and hash workers take the ledger's lock,
// so a log that hangs must not be able to hold it.
func TestLogsOutsideTheLock(t *testing.T) {
	log := logtest.New(t)
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) {
		c.Log, c.SettleTimeout = slog.New(log), 20*time.Millisecond
	})
	log.Watch(logtest.Lock(&l.mu))
	l.Found(Block{ID: blockID(1)}).Rejected("no")
	l.mu.Lock()
	l.lastErr = errors.New("redis was away")
	l.mu.Unlock()
	credit(t, l, "w", "a", 1)
	flush(t, l)
	late := l.Found(Block{ID: blockID(2)})
	credit(t, l, "w", "a", 1)
	flush(t, l) // goes on without the block
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
	late.Accepted("d")
	l.Found(Block{ID: blockID(3)})
	for _, text := range []string{
		"block refused; the round goes on",
		"ledger writes again",
		"block not settled in time; later shares go on, it will close the round that is open when it is accepted",
		"block accepted after the ledger was closed; it is not recorded",
		"block found after the ledger was closed; it is not recorded",
	} {
		if !log.Checked(text) {
			t.Errorf("%q was not logged", text)
		}
	}
}
