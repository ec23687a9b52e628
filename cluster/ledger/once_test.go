package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// apply sends one hand-made range of a single share.
func apply(t testing.TB, st *store.Store, from, to journal.Position, sums journal.Sums) []string {
	t.Helper()
	keys, err := store.NewKeys("test")
	if err != nil {
		t.Fatal(err)
	}
	b := newBatch()
	b.begin(from, journal.Sums{})
	b.credit(&journal.Credit{Wallet: "w", Worker: "a", Difficulty: 10, Time: noon})
	b.to, b.after = to, sums
	cfg := Config{Store: st, Journal: new(journal.Journal), Node: "n"}
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	k, a := b.call(&cfg, keys, "j", 1, chunkSize{firstSize, 0})
	reply, err := st.Eval(testCtx(t), newScripts().apply, k, a).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// A range is applied if it begins at the mark, and then only.
func TestApplyOnceAndInOrder(t *testing.T) {
	srv := redistest.Start(t)
	st := openStore(t, srv.URL())
	applied := uint64(0)
	for _, c := range []struct {
		from, to journal.Position
		ok       bool
		mark     string // afterwards
	}{
		{5, 7, false, "0 0 0"}, // what is before it is missing
		{0, 7, true, "7 1 1 n"},
		{0, 7, false, "7 1 1 n"}, // again
		{3, 9, false, "7 1 1 n"}, // overlaps
		{8, 9, false, "7 1 1 n"},
		{70, 71, false, "7 1 1 n"},
		{7, 1 << 60, true, "1152921504606846976 2 2 n"},
		{1<<60 + 1, 1<<60 + 2, false, "1152921504606846976 2 2 n"}, // the same as a double
		{1<<60 - 1, 1<<60 + 2, false, "1152921504606846976 2 2 n"},
		{1 << 60, 1<<60 + 1, true, "1152921504606846977 3 3 n"},
	} {
		status := "mark"
		if c.ok {
			status = "ok"
			applied++
		}
		reply := apply(t, st, c.from, c.to, journal.Sums{Hashes: applied, Shares: applied})
		if reply[0] != status || reply[1] != c.mark {
			t.Errorf("%d to %d: %v, want %s %s", c.from, c.to, reply, status, c.mark)
		}
		if total, _ := strconv.ParseUint(srv.CLI("HGET", "{test}:stats", "hashes"), 10, 64); total != 10*applied {
			t.Errorf("%d to %d: total %d, want %d", c.from, c.to, total, 10*applied)
		}
	}
}

func TestScriptsComeBackByThemselves(t *testing.T) {
	b, srv := startBed(t, nil)
	for i := range 3 {
		b.credit("w", "a", 1)
		b.flush()
		if i == 0 {
			srv.CLI("SCRIPT", "FLUSH")
		} else {
			srv.Restart()
		}
	}
	b.credit("w", "a", 1)
	b.flush()
	conserved(t, b)
}

// A hung Redis runs the call it was sent later: the repeat must not count.
func TestHungRedisCountsOnce(t *testing.T) {
	b, srv := startBed(t, nil)
	b.credit("w", "a", 1)
	b.flush()
	for i := range 2 {
		srv.Pause()
		b.credit("w", "a", 1)
		b.found(i)
		b.settle(i, true)
		b.credit("w", "a", 1)
		tries := testutil.ToFloat64(b.l.metrics.retries)
		waitFor(t, "retries", func() bool { return testutil.ToFloat64(b.l.metrics.retries) >= tries+2 })
		if b.l.Status().Err == nil {
			t.Error("status shows no error while redis hangs")
		}
		srv.Resume()
		b.flush()
	}
	if rounds := b.allRounds(); len(rounds) != 3 || rounds[0].Hashes != 2 || rounds[1].Hashes != 2 || rounds[2].Hashes != 1 {
		t.Errorf("rounds %+v", rounds)
	}
	if testutil.ToFloat64(b.l.metrics.duplicates) == 0 {
		t.Error("no call was found to be a repeat: the test did not reach its case")
	}
	if b.l.Status().Err != nil {
		t.Error(b.l.Status().Err)
	}
	conserved(t, b)
}

// An answer that gets lost, of every kind of range, and a call that does.
func TestLostAnswersCountOnce(t *testing.T) {
	cut := newCutter(t, redistest.Start(t))
	b := newBed(t, openStore(t, cut.url()), slow)
	b.credit("w", "a", 1)
	b.flush()
	steps := map[string]func(){
		"credit":   func() { b.credit("w", "a", 3) },
		"trusted":  func() { b.trust("w", "a", 5) },
		"found":    func() { b.credit("v", "a", 7); b.found(1) },
		"accepted": func() { b.credit("v", "a", 9); b.settle(1, true) },
		"unknown":  func() { b.credit("v", "a", 9); b.settle(2, true) },
		"refused":  func() { b.credit("v", "a", 11); b.settle(3, false) },
	}
	want := 0
	for _, name := range []string{"credit", "trusted", "found", "accepted", "unknown", "refused"} {
		for _, lose := range []string{"answer", "call"} {
			steps[name]()
			b.durable()
			switch lose {
			case "answer":
				cut.answers.Store(1)
				want++
			case "call":
				cut.calls.Store(1)
			}
			b.flush()
			if n := testutil.ToFloat64(b.l.metrics.duplicates); n != float64(want) {
				t.Errorf("%s, %s lost: %v ranges were found to be applied, want %d", name, lose, n, want)
			}
		}
	}
	if cut.lost.Load() != int64(2*len(steps)) || testutil.ToFloat64(b.l.metrics.resyncs) != 0 {
		t.Errorf("%d losses, %v resyncs", cut.lost.Load(), testutil.ToFloat64(b.l.metrics.resyncs))
	}
	conserved(t, b)
	// Vesting and claw-back move sums: they must not be done twice either.
	cut.answers.Store(1)
	b.vest("w", 4)
	b.flush()
	if s := b.all()["w"]; s != (Sum{1 + 2*3 + 4, 10 - 4}) {
		t.Errorf("vested: %v", s)
	}
	cut.answers.Store(1)
	b.clawBack("w")
	b.trust("w", "a", 2)
	b.flush()
	if s := b.all()["w"]; s != (Sum{11, 2}) || b.do("HGET", b.l.keys.Stats(), "clawed") != "6" {
		t.Errorf("taken back: %v", s)
	}
	audited(t, b)
}

// all is each wallet's sum over all rounds.
func (b *bed) all() map[string]Sum {
	b.Helper()
	sums := map[string]Sum{}
	for _, r := range b.allRounds() {
		for w, s := range r.Wallets {
			sum := sums[w]
			sum.add(s)
			sums[w] = sum
		}
	}
	return sums
}

// Redis dies again and again under load, outcomes unknown.
func TestKilledRedisCountsOnce(t *testing.T) {
	b, srv := startBed(t, func(b *bed) { b.cfg.FlushInterval = time.Millisecond })
	stop := make(chan struct{})
	ended := make(chan int)
	go func() {
		rng := rand.New(rand.NewPCG(1, 2))
		blocks := 0
		defer func() { ended <- blocks }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond): // load, not a wait
			}
			b.credit(fmt.Sprintf("w%d", rng.IntN(4)), "a", rng.Uint64N(1e6)+1)
			if rng.IntN(20) == 0 {
				b.found(blocks)
				b.settle(blocks, true)
				blocks++
			}
		}
	}()
	for range 5 {
		calls := testutil.ToFloat64(b.l.metrics.calls)
		waitFor(t, "traffic", func() bool { return testutil.ToFloat64(b.l.metrics.calls) > calls+20 })
		srv.Restart()
	}
	close(stop)
	blocks := <-ended
	b.flush()
	if rounds := b.allRounds(); len(rounds) != blocks+1 {
		t.Errorf("%d rounds after %d blocks", len(rounds), blocks)
	}
	conserved(t, b)
	b.close()
}

// While Redis loads its data, writes are refused and tried again.
func TestLoadingRedis(t *testing.T) {
	srv := redistest.Start(t, "--appendfsync", "no", "--key-load-delay", "10") // µs a key
	b := newBed(t, openStore(t, srv.URL()), nil)
	srv.CLI("EVAL", "for i=1,20000 do redis.call('SET', '{test}:fill:'..i, string.rep('x', 50)) end", "0")
	b.credit("w", "a", 3)
	b.flush()
	srv.Stop()
	b.credit("w", "a", 4)
	srv.RunLoading()
	waitFor(t, "LOADING", func() bool {
		err := b.l.Status().Err
		return err != nil && strings.Contains(err.Error(), "LOADING")
	})
	b.flush()
	conserved(t, b)
}

// An emptied Redis gets all of the journal again, to the unit, without a new share
// and with one.
func TestEmptiedRedisGetsAllAgain(t *testing.T) {
	b, srv := startBed(t, func(b *bed) { b.cfg.Heartbeat, b.cfg.ChunkSize = 20*time.Millisecond, 30 })
	for i := range 5 {
		b.credit("w", strconv.Itoa(i), 10)
		b.trust("v", "", 3)
		b.flush()
	}
	b.found(1)
	b.settle(1, true)
	b.credit("w", "a", 1<<54+1)
	b.flush()
	before := b.allRounds()
	prefix := b.l.NodePrefix()
	for _, how := range []string{"flushall", "a new server", "flushall, with a share"} {
		if how == "a new server" {
			srv.Forget()
			srv.Run()
		} else {
			srv.CLI("FLUSHALL")
		}
		if how == "flushall, with a share" {
			b.credit("w", "a", 1)
			b.durable()
		}
		waitFor(t, "books to be restored after "+how, func() bool {
			p, err := b.l.Pool(context.Background())
			want := tally(b)
			return err == nil && p.Hashes == want["w"].Hashes+want["v"].Unverified
		})
		b.flush()
		conserved(t, b)
	}
	rounds := b.allRounds()
	if len(rounds) != 2 || rounds[0].Hashes != before[0].Hashes || rounds[0].Unverified != before[0].Unverified || rounds[1].Hashes != before[1].Hashes+1 {
		t.Errorf("rounds %+v, were %+v", rounds, before)
	}
	if n := testutil.ToFloat64(b.l.metrics.resyncs); n != 3 {
		t.Errorf("%v resyncs, want 3", n)
	}
	if next := newBed(t, b.st, nil); next.l.NodePrefix() <= prefix {
		t.Errorf("prefix %d given again after %d", next.l.NodePrefix(), prefix)
	}
	if st := b.l.Status(); st.Gaps != 0 || st.Err != nil {
		t.Errorf("status %+v", st)
	}
}

// A Redis that was set up again from last night's copy of its folder.
func TestOlderCopyOfRedis(t *testing.T) {
	b, srv := startBed(t, func(b *bed) { b.cfg.ChunkSize = 25 })
	work := func(n int) {
		for i := range 10 {
			b.credit("w", strconv.Itoa(i), uint64(n+i))
			b.trust("v", "", 2)
		}
		b.found(n)
		b.settle(n, n%2 == 0)
	}
	work(2)
	b.flush()
	srv.Stop()
	aof, aside := filepath.Join(srv.Dir(), "appendonlydir"), filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(aside, os.DirFS(aof)); err != nil {
		t.Fatal(err)
	}
	srv.Run()
	work(3)
	work(4)
	b.flush()
	work(5) // some of it may be applied, or not
	srv.Stop()
	if err := os.RemoveAll(aof); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(aof, os.DirFS(aside)); err != nil {
		t.Fatal(err)
	}
	srv.Run()
	work(6)
	b.flush()
	if n := testutil.ToFloat64(b.l.metrics.resyncs); n != 1 {
		t.Errorf("%v resyncs, want 1", n)
	}
	conserved(t, b)
	if rounds := b.allRounds(); len(rounds) != 4 {
		t.Errorf("%d rounds of 3 blocks", len(rounds)-1)
	}
}

func TestRedisCluster(t *testing.T) {
	srv := redistest.StartCluster(t)
	st := openStore(t, srv.URL())
	if st.Server().Mode != "cluster" {
		t.Fatalf("server %+v", st.Server())
	}
	b := newBed(t, st, func(b *bed) { b.cfg.ChunkSize = 4 })
	b.credit("w", "a", 10)
	b.credit("v", "{other}", 5)
	b.trust("v", "{other}", 5)
	b.found(1)
	b.settle(1, true)
	b.flush()
	b.l.Reject("w", "a", "stale")
	b.credit("w", "a", 1)
	b.flush()
	conserved(t, b)
	b.vest("v", 2)
	b.clawBack("v")
	b.flush()
	if s := b.all()["v"]; s != (Sum{7, 0}) {
		t.Errorf("v has %v", s)
	}
	if _, err := b.l.HashRate(testCtx(t), "w", "a", time.Minute, noon.Add(time.Minute)); err != nil {
		t.Error(err)
	}
	b.do("HSET", b.l.keys.Block(hexID(1)), "state", "paid")
	b.l.SetDifficulty(1)
	for range 8 {
		b.credit("w", "a", 5)
		b.flush()
	}
	if n, err := b.l.Archive(testCtx(t)); n != 1 || err != nil {
		t.Errorf("%d rounds archived, %v", n, err)
	}
	audited(t, b)
}
