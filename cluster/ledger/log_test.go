package ledger

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/assay-pool/assay/internal/logtest"
)

// TestLogsOutsideTheLock: event loops take the locks of the ledger, so a log that
// hangs must not be able to hold one.
func TestLogsOutsideTheLock(t *testing.T) {
	log := logtest.New(t)
	b, srv := startBed(t, func(b *bed) { b.cfg.Log = slog.New(log) })
	log.Watch(logtest.Lock(&b.l.mu), logtest.Lock(&b.l.rejects.mu))
	b.found(1)
	b.settle(1, false)
	b.flush()
	b.l.mu.Lock()
	b.l.lastErr = errors.New("redis was away")
	b.l.mu.Unlock()
	b.trust("w", "a", 1)
	b.found(2)
	b.settle(2, true)
	b.vest("w", 3)
	b.clawBack("w")
	b.flush()
	b.l.f.trouble(errors.New("the flusher is idle: nobody else is here"))
	srv.CLI("FLUSHALL")
	b.credit("w", "a", 1)
	b.flush()
	b.close()
	for _, text := range []string{
		"block refused; the round goes on",
		"round closed",
		"less unverified credit was there than vests",
		"unverified credit was taken back",
		"ledger write is tried again",
		"ledger writes again",
		"redis has another mark of the journal than was confirmed; the journal is read again from there",
	} {
		if !log.Checked(text) {
			t.Errorf("%q was not logged", text)
		}
	}
}
