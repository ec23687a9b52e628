package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Another process with a copy of the journal has come further: its ranges must not
// be taken for this one's, so nothing is applied until an operator has acted.
func TestMarkAheadOfTheJournal(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { b.cfg.Heartbeat = 10 * time.Millisecond })
	b.credit("w", "a", 1)
	b.flush()
	right := b.do("HGET", b.l.keys.Marks(), b.j.ID())
	b.do("HSET", b.l.keys.Marks(), b.j.ID(), "1000 5 5 n")
	b.credit("w", "a", 2)
	b.durable()
	waitFor(t, "ErrMark", func() bool { return errors.Is(b.l.Status().Err, ErrMark) })
	if p := b.pool(); p.Hashes != 1 || b.l.Status().Pending == 0 {
		t.Errorf("pool %+v, status %+v", p, b.l.Status())
	}
	b.do("HSET", b.l.keys.Marks(), b.j.ID(), right)
	b.flush()
	conserved(t, b)
}

// A journal that has lost its end goes on behind Redis' mark, and says so.
func TestMarkAheadAtOpen(t *testing.T) {
	var book logBook
	b, _ := startBed(t, func(b *bed) { b.cfg.Log = book.logger() })
	b.credit("w", "a", 10)
	b.flush()
	aside := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(aside, os.DirFS(b.jcfg.Dir)); err != nil {
		t.Fatal(err)
	}
	b.credit("w", "a", 20)
	b.credit("w", "a", 30)
	b.flush()
	mark := b.l.Status().Mark
	b.close()
	b.jcfg.Dir = aside
	b.open()
	if b.j.End() != mark || book.count("redis has more of the journal than the disk") != 1 {
		t.Errorf("the journal goes on at %d, want %d; said %d times", b.j.End(), mark, book.count("redis has more of the journal than the disk"))
	}
	b.credit("w", "a", 1)
	b.flush()
	b.reopen()
	b.credit("w", "b", 2)
	b.flush()
	if p := b.pool(); p.Hashes != 63 || p.Shares != 5 {
		t.Errorf("pool %+v, want all shares once", p)
	}
	if gaps, err := b.l.Gaps(testCtx(t)); err != nil || len(gaps) != 0 || b.l.Status().Gaps != 0 {
		t.Errorf("gaps %+v, %v: nothing is missing in the books", gaps, err)
	}
	// The audit cannot add up what the journal does not have.
	if report := audit(t, b); len(report.Differences) == 0 {
		t.Errorf("the audit finds nothing: %+v", report)
	}
}
