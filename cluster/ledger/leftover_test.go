package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// TestLeftoverClosesOnce: a block of an earlier start closes the open round when
// it is accepted, holds nothing back until then, and closes none if it has closed
// one before.
func TestLeftoverClosesOnce(t *testing.T) {
	st := openStore(t, redistest.Start(t))
	ctx := testCtx(t)
	first := openLedger(t, st, nil)
	credit(t, first, "w", "a", 10)
	won := first.Found(Block{ID: blockID(1), Height: 5})
	won.Accepted("d")
	lost := first.Found(Block{ID: blockID(2), Height: 6, Wallet: "v"})
	credit(t, first, "w", "a", 3)
	lost.LeaveOpen()
	lost.Accepted("too late")
	flush(t, first)
	if _, err := lost.Wait(ctx); err != ErrNotWritten {
		t.Errorf("a block left open: %v", err)
	}
	if r := current(t, first); r.Number != 2 || r.Hashes != 3 {
		t.Fatalf("round %+v", r)
	}

	second := openLedger(t, st, nil)
	again, open := second.Reopen(Block{ID: blockID(1), Height: 5}), second.Reopen(Block{ID: blockID(2), Height: 6, Wallet: "v"})
	credit(t, second, "w", "a", 4)
	flush(t, second) // is not held back
	if r := current(t, second); r.Number != 2 || r.Hashes != 7 {
		t.Fatalf("round %+v", r)
	}
	again.Accepted("d")
	if rec, err := again.Wait(ctx); err != nil || rec.Round != 1 || rec.Hashes != 10 {
		t.Errorf("a block that was in the books: %+v, %v", rec, err)
	}
	open.Accepted("d")
	if rec, err := open.Wait(ctx); err != nil || rec.Round != 2 || rec.Hashes != 7 || rec.Wallet != "v" {
		t.Errorf("a block that was left open: %+v, %v", rec, err)
	}
	third := openLedger(t, st, nil)
	twice := third.Reopen(Block{ID: blockID(2), Height: 6})
	twice.Accepted("d")
	if rec, err := twice.Wait(ctx); err != nil || rec.Round != 2 {
		t.Errorf("the same once more: %+v, %v", rec, err)
	}
	third.Reopen(Block{ID: blockID(3)}).Rejected("no")
	flush(t, third)
	if r := current(t, third); r.Number != 3 || third.Status().Pending != 0 {
		t.Errorf("round %+v, %d pending", r, third.Status().Pending)
	}
}

// TestFindsHaveABound: blocks that wait for Redis are refused beyond it, and room
// comes back when they are written.
func TestFindsHaveABound(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.MaxFinds = 3 })
	srv.Pause()
	for n := range 3 {
		p := l.Found(Block{ID: blockID(n)})
		if p == nil {
			t.Fatalf("block %d was refused", n)
		}
		p.Accepted("d")
	}
	if l.Found(Block{ID: blockID(3)}) != nil {
		t.Error("a block beyond the bound was taken")
	}
	srv.Resume()
	flush(t, l)
	p := l.Found(Block{ID: blockID(3)})
	if p == nil {
		t.Fatal("there is no room after all were written")
	}
	p.Rejected("no")
	flush(t, l)
	if r := current(t, l); r.Number != 4 {
		t.Errorf("round %+v", r)
	}
}

// TestTakes agrees with Credit, and makes room as it does: a full ledger that is
// asked before every credit must not stay full.
func TestTakes(t *testing.T) {
	const limit = 40
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.MaxPending, c.FlushInterval = limit, time.Hour })
	names := []string{"a", "b", "c", "d"}
	minute := noon
	try := func(wallet, worker string) bool {
		t.Helper()
		takes := l.Takes(wallet, worker, minute)
		if err := l.Credit(Credit{Wallet: wallet, Worker: worker, Difficulty: 1, Time: minute}); (err == nil) != takes {
			t.Errorf("takes %v, credit %v", takes, err)
		}
		return takes
	}
	for n := range limit {
		if !try("w", names[n%4]+string(rune('0'+n/4))) {
			t.Fatalf("credit %d was refused", n)
		}
	}
	if try("w", "new") {
		t.Error("a full ledger takes a new worker")
	}
	if !try("w", "a0") {
		t.Error("a full ledger refuses a worker of this minute")
	}
	// Folding frees nothing here: each worker has one entry.
	minute = minute.Add(time.Minute)
	if try("w", "a0") {
		t.Error("a full ledger takes another minute")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.Close(ctx)
	if l.Takes("w", "a0", noon) {
		t.Error("a closed ledger takes credits")
	}
}

// TestTakesFolds: a ledger that is only asked, never credited, makes room too.
func TestTakesFolds(t *testing.T) {
	const limit = 40
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.MaxPending, c.FlushInterval = limit, time.Hour })
	for n := range limit { // one worker, all minutes of an outage but the last folded
		if err := l.Credit(Credit{Wallet: "w", Worker: string(rune('a' + n%26)), Difficulty: 1, Time: noon.Add(time.Duration(n/26) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	later := noon.Add(time.Hour)
	for tries := 0; !l.Takes("w", "new", later); tries++ {
		if tries > limit {
			t.Fatalf("no room after %d questions", tries)
		}
	}
}
