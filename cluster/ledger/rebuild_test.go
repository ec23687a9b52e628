package ledger

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// rebuild writes the books anew from the journals of nodes that have ended.
func rebuild(t testing.TB, beds ...*bed) error {
	t.Helper()
	var js []*journal.Journal
	for _, b := range beds {
		j, err := journal.OpenDir(b.jcfg.Dir)
		if err != nil {
			t.Fatal(err)
		}
		js = append(js, j)
	}
	cfg := beds[0].cfg
	cfg.Node = "rebuild"
	return Rebuild(testCtx(t), cfg, js)
}

// sameBooks compares rounds by block, and all that is in them.
func sameBooks(t *testing.T, got, want []Round) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rounds, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Block != w.Block || g.Hashes != w.Hashes || g.Unverified != w.Unverified || g.Shares != w.Shares || !maps.Equal(g.Wallets, w.Wallets) {
			t.Errorf("round %d is %+v, was %+v", i, g, w)
		}
	}
}

// Of one journal the books are the same again, and the node goes on behind them.
func TestRebuildOfOneJournal(t *testing.T) {
	b, srv := startBed(t, func(b *bed) {
		b.jcfg.SegmentBytes, b.cfg.Identity = 3000, Identity{Coin: "monero", Wallet: "w"}
	})
	rng := rand.New(rand.NewPCG(8, 9))
	for i := range 4 {
		b.history(rng, 80, 1000*i)
		b.flush()
	}
	before, pool := b.allRounds(), b.pool()
	blocks, err := b.l.Blocks(testCtx(t), 1000)
	if err != nil || len(before) < 5 {
		t.Fatalf("%d rounds, %v", len(before), err)
	}
	b.close()
	if err := rebuild(t, b); !errors.Is(err, ErrBooks) || !strings.Contains(err.Error(), `"test"`) {
		t.Errorf("over books: %v", err)
	}
	for _, left := range []string{b.l.keys.Marks(), b.l.keys.Stats(), b.l.keys.OpenChunk()} {
		whole := b.snapshot()
		srv.CLI("EVAL", "for _, k in ipairs(redis.call('KEYS', '*')) do if k ~= ARGV[1] then redis.call('DEL', k) end end", "0", left)
		if err := rebuild(t, b); !errors.Is(err, ErrBooks) {
			t.Errorf("over what is left of books, %s: %v", left, err)
		}
		b.restore(whole)
	}
	srv.CLI("FLUSHALL")
	if err := rebuild(t, b); err != nil {
		t.Fatal(err)
	}
	b.open()
	sameBooks(t, b.allRounds(), before)
	again, err := b.l.Blocks(testCtx(t), 1000)
	if err != nil || len(again) != len(blocks) {
		t.Fatalf("%d blocks, were %d (%v)", len(again), len(blocks), err)
	}
	for i, rec := range again {
		rec.Cut, rec.First = blocks[i].Cut, blocks[i].First // chunks may be cut elsewhere
		if rec != blocks[i] {
			t.Errorf("block %+v, was %+v", rec, blocks[i])
		}
	}
	if p := b.pool(); p.Hashes != pool.Hashes || p.Shares != pool.Shares {
		t.Errorf("pool %+v, was %+v", p, pool)
	}
	if got := srv.CLI("HGET", b.l.keys.Identity(), "wallet"); got != "w" {
		t.Errorf("the books belong to %q", got)
	}
	b.credit("w1", "a", 3)
	b.flush()
	if p := b.pool(); p.Hashes != pool.Hashes+3 || b.l.Status().Gaps != 0 {
		t.Errorf("pool %+v after one more share of 3, was %+v", p, pool)
	}
	audited(t, b)
}

// Of three journals the rounds have the same sums, since their shares and blocks
// come in the order of their times.
func TestRebuildOfThreeJournals(t *testing.T) {
	srv := redistest.Start(t)
	st := openStore(t, srv.URL())
	var nodes []*bed
	for n := range 3 {
		nodes = append(nodes, newBed(t, st, func(b *bed) { slow(b); b.cfg.Node, b.cfg.ChunkSize = fmt.Sprint("n", n), 400 }))
	}
	rng := rand.New(rand.NewPCG(1, 3))
	now := noon
	var open []int
	for i := range 60 {
		b := nodes[rng.IntN(3)]
		now = now.Add(3 * time.Second) // further apart than rebuild's stretches
		for range rng.IntN(3) {
			b.creditAt(now, fmt.Sprint("w", rng.IntN(4)), "a", rng.Uint64N(100)+1)
		}
		if i%4 == 0 {
			b.foundAt(now, i)
			open = append(open, i)
		}
		if len(open) > 0 && rng.IntN(3) == 0 {
			nodes[rng.IntN(3)].settleAt(now, open[0], rng.IntN(4) > 0)
			open = open[1:]
		}
		for _, b := range nodes {
			b.flush()
		}
	}
	conserved(t, nodes...)
	before := nodes[0].allRounds()
	if len(before) < 6 {
		t.Fatalf("%d rounds", len(before))
	}
	for _, b := range nodes {
		b.close()
	}
	srv.CLI("FLUSHALL")
	if err := rebuild(t, nodes...); err != nil {
		t.Fatal(err)
	}
	for _, b := range nodes {
		b.open()
	}
	sameBooks(t, nodes[0].allRounds(), before)
	for i, b := range nodes {
		b.credit("w1", "a", uint64(i)+1)
		b.flush()
		if st := b.l.Status(); st.Gaps != 0 || st.Mark != b.j.End() {
			t.Errorf("node %d: status %+v", i, st)
		}
	}
	conserved(t, nodes...)
}

// What the journals do not have any more is missing, and listed.
func TestRebuildListsWhatIsMissing(t *testing.T) {
	b, srv := startBed(t, func(b *bed) { b.jcfg.SegmentBytes = 1500 })
	for i := range 200 {
		b.credit(fmt.Sprint("w", i%5), "a", uint64(i+100))
		if i%20 == 0 {
			b.flush()
		}
	}
	b.flush()
	b.close()
	srv.CLI("FLUSHALL")
	if err := Rebuild(testCtx(t), b.cfg, nil); err == nil || !strings.Contains(err.Error(), "no journals") {
		t.Errorf("of nothing: %v", err)
	}
	paths := segments(t, b.jcfg.Dir)
	for _, path := range paths[:len(paths)-1] {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := rebuild(t, b); err != nil {
		t.Fatal(err)
	}
	b.open()
	rest, _ := b.readable(b.j.Begin())
	gaps, err := b.l.Gaps(testCtx(t))
	want := Sums{Hashes: 200*100 + 199*200/2 - rest.Hashes, Shares: 200 - rest.Shares}
	if err != nil || len(gaps) != 1 || gaps[0].From != 0 || (Sums{Hashes: gaps[0].Hashes, Shares: gaps[0].Shares}) != want {
		t.Errorf("gaps %+v, want one of %+v (%v)", gaps, want, err)
	}
	if p := b.pool(); p.Hashes != rest.Hashes || p.Shares != rest.Shares {
		t.Errorf("pool %+v, the journal has %+v", p, rest)
	}
}

// Nothing is rebuilt when Redis cannot be asked whether there are books.
func TestRebuildAsksFirst(t *testing.T) {
	b, srv := startBed(t, nil)
	b.credit("w", "a", 1)
	b.flush()
	b.close()
	srv.Kill()
	if err := rebuild(t, b); err == nil || errors.Is(err, ErrBooks) {
		t.Errorf("without Redis: %v", err)
	}
	srv.Run()
}
