package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
)

// copied is a second node with a copy of the first one's journal, on the same Redis.
func copied(t *testing.T, b *bed) *bed {
	t.Helper()
	aside := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(aside, os.DirFS(b.jcfg.Dir)); err != nil {
		t.Fatal(err)
	}
	return newBed(t, b.st, func(c *bed) {
		c.jcfg.Dir = aside
		c.cfg.Heartbeat = b.cfg.Heartbeat
	})
}

// Of two processes with one journal the one started last applies it. The other takes
// no share any more, and what it had taken is not mixed up with the other's.
func TestCopiedJournalIsFenced(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { b.cfg.Heartbeat = 10 * time.Millisecond })
	b.credit("w", "a", 10)
	b.flush()
	b.credit("w", "a", 20)
	b.flush()
	c := copied(t, b)
	waitFor(t, "the fence", func() bool { return b.l.Refuses() != nil })
	if st := b.l.Status(); !st.Stuck || !errors.Is(st.Err, ErrFenced) {
		t.Errorf("status %+v", st)
	}
	for range 50 { // far beyond where the other one is
		b.credit("late", "a", 1000)
	}
	b.durable()
	c.credit("w", "b", 1)
	c.flush()
	for range 100 { // overtakes what the first one has written
		c.credit("w", "b", 1)
	}
	c.flush()
	tried := testutil.ToFloat64(b.l.metrics.retries)
	waitFor(t, "further attempts of the first one", func() bool { return testutil.ToFloat64(b.l.metrics.retries) >= tried+3 })
	if p := c.pool(); p.Hashes != 131 || p.Shares != 103 {
		t.Errorf("pool %+v, want the shares of both up to the fence, and the second one's", p)
	}
	if gaps, err := c.l.Gaps(testCtx(t)); err != nil || len(gaps) != 0 {
		t.Errorf("gaps %+v, %v", gaps, err)
	}
	equal := func() {
		t.Helper()
		if r := audit(t, c); len(r.Differences) != 0 || len(r.Unchecked) != 0 {
			t.Errorf("%+v", r)
		}
	}
	equal()
	// The next start of the right one goes on.
	b.drop()
	c.reopen()
	c.credit("w", "b", 1)
	c.flush()
	equal()
}

// A Redis that has forgotten prefixes, but not who applies a journal, costs a start a
// few numbers.
func TestClaimAboveForgottenPrefixes(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", 10)
	b.flush()
	b.do("HSET", b.l.keys.Owners(), b.j.ID(), "4000")
	b.close()
	b.do("SET", store.NodeNext, "3")
	b.open()
	if got := b.l.NodePrefix(); got != 4001 {
		t.Errorf("prefix %d, want one behind that of the last start, 4000", got)
	}
	b.credit("w", "a", 10)
	b.flush()
	audited(t, b)
}

// A chunk that has more of a journal than its mark says is not added to again.
func TestMarkSetBack(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { b.cfg.Heartbeat = 10 * time.Millisecond })
	b.credit("w", "a", 10)
	b.flush()
	b.do("HDEL", b.l.keys.Marks(), b.j.ID())
	waitFor(t, "the refusal", func() bool { return b.l.Status().Err != nil })
	if p := b.pool(); p.Hashes != 10 {
		t.Errorf("pool %+v: counted twice", p)
	}
	if text := b.l.Status().Err.Error(); !strings.Contains(text, "its mark is 0") {
		t.Errorf("it says %q", text)
	}
}

// A block whose fate was lost with a part of the journal is asked for again.
func TestForgottenBlocks(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", 10)
	b.found(1)
	b.found(2)
	b.found(3)
	b.settle(1, true)
	b.flush()
	if got, err := b.l.Forgotten(testCtx(t)); err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v: both are open to this process", got, err)
	}
	b.settle(2, true)
	b.flush()
	b.close()
	b.do("HSET", b.l.keys.Block(hexID(2)), "state", string(StateFound)) // as of an older copy of Redis
	b.open()
	got, err := b.l.Forgotten(testCtx(t))
	if err != nil || len(got) != 1 || got[0].ID != blockID(2) || got[0].Height != block(2).Height {
		t.Fatalf("%+v, %v: want block 2; 3 is in the journal", got, err)
	}
}

// What is not in Redis yet is no difference, but it is said; a Redis that has nothing
// of a journal is one.
func TestAuditOfABacklog(t *testing.T) {
	b, srv := startBed(t, slow)
	b.credit("w", "a", 10)
	b.flush()
	audited(t, b)
	b.credit("w", "a", 5)
	b.durable()
	r := audit(t, b)
	if len(r.Differences) != 0 || len(r.Unchecked) != 1 || !strings.Contains(r.Unchecked[0], "5 hashes in 1 shares") {
		t.Errorf("%+v", r)
	}
	srv.CLI("FLUSHALL")
	r = audit(t, b)
	if len(r.Differences) == 0 || !strings.Contains(r.Differences[len(r.Differences)-1].Journals, "15 hashes in 2 shares") {
		t.Errorf("of an empty Redis: %+v", r)
	}
}

// Names that are no address are no field of a chunk's own.
func TestAccountsAreNoFields(t *testing.T) {
	b, _ := startBed(t, nil)
	for _, w := range []string{"#hashes", "~w", "@" + b.j.ID(), "", "w\n", strings.Repeat("x", 900)} {
		b.credit(w, "a", 3)
	}
	b.flush()
	c := b.chunk(1)
	var sum uint64
	for w, s := range c.Wallets {
		sum += s.Hashes + s.Unverified
		if !validWallet(w) {
			t.Errorf("wallet %q", w)
		}
	}
	if c.Hashes != 18 || sum != 18 || c.Unverified != 0 || c.Journals[b.j.ID()] != journal.Position(b.j.End()) {
		t.Errorf("chunk %+v", c)
	}
}

// A rebuild beside a node that was not ended ends, instead of trying for ever.
func TestRebuildBesideANode(t *testing.T) {
	b, srv := startBed(t, slow)
	b.credit("w", "a", 10)
	b.durable()
	srv.CLI("FLUSHALL")
	b.do("HSET", b.l.keys.Owners(), b.j.ID(), "7") // the node's next range claims it
	cfg := b.cfg
	cfg.Journal = nil
	if err := Rebuild(testCtx(t), cfg, []*journal.Journal{b.j}); !errors.Is(err, ErrFenced) {
		t.Errorf("it ends with %v, want ErrFenced", err)
	}
}
