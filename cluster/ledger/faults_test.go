package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// apply sends one hand-made batch of a single share.
func apply(t testing.TB, st *store.Store, seq uint64, difficulty uint64) []string {
	t.Helper()
	keys, err := store.NewKeys("test")
	if err != nil {
		t.Fatal(err)
	}
	b := newBatch()
	b.addCell(&cell{key: cellKey{"w", "a", noon.Unix() / 60}, hashes: difficulty, shares: 1, last: noon.UnixMilli()})
	cfg := Config{Store: st}
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	it := b.item(&cfg, keys, newScripts().apply, noon.UnixMilli())
	it.number(keys, "s", seq)
	reply, err := st.Eval(testCtx(t), it.script, it.keys, it.args).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestApplyOnceAndInOrder(t *testing.T) {
	srv := redistest.Start(t)
	st := openStore(t, srv)
	for _, c := range []struct {
		seq         uint64
		status, arg string
		total       string
	}{
		{1, "ok", "1", "10"},
		{1, "dup", "1", "10"},
		{3, "gap", "1", "10"}, // 2 is missing: refused, with the mark
		{2, "ok", "2", "20"},
		{3, "ok", "3", "30"},
		{1, "dup", "3", "30"},
		{2, "dup", "3", "30"},
		{1 << 52, "gap", "3", "30"},
	} {
		reply := apply(t, st, c.seq, 10)
		total, err := st.Do(testCtx(t), "HGET", "{test}:round:current:total", "hashes").ToString()
		if reply[0] != c.status || reply[1] != c.arg || total != c.total || err != nil {
			t.Errorf("sequence %d: %v, total %s, %v; want %s %s, %s", c.seq, reply, total, err, c.status, c.arg, c.total)
		}
	}
}

func TestScriptsComeBackByThemselves(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), nil)
	for i := range 3 {
		credit(t, l, "w", "a", 1)
		flush(t, l)
		if i == 0 {
			srv.CLI("SCRIPT", "FLUSH")
		} else {
			srv.Restart()
		}
	}
	credit(t, l, "w", "a", 1)
	flush(t, l)
	conserved(t, l, map[string]uint64{"w": 4})
}

// A hung Redis runs the call it was sent later: the repeat must not count.
func TestHungRedisCountsOnce(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), nil)
	credit(t, l, "w", "a", 1)
	flush(t, l)
	for i := range 3 {
		srv.Pause()
		credit(t, l, "w", "a", 1)
		p := l.Found(Block{ID: blockID(i)})
		p.Accepted("d")
		credit(t, l, "w", "a", 1)
		tries := testutil.ToFloat64(l.metrics.retries)
		waitFor(t, "retries", func() bool { return testutil.ToFloat64(l.metrics.retries) >= tries+2 })
		if l.Status().Err == nil {
			t.Error("status shows no error while redis hangs")
		}
		srv.Resume()
		flush(t, l)
		if _, err := p.Wait(testCtx(t)); err != nil {
			t.Error(err)
		}
	}
	conserved(t, l, map[string]uint64{"w": 7})
	if r := current(t, l); r.Number != 4 || r.Hashes != 1 {
		t.Errorf("round %+v", r)
	}
	if testutil.ToFloat64(l.metrics.duplicates) == 0 {
		t.Error("no call was found to be a repeat: the test did not reach its case")
	}
	if l.Status().Err != nil {
		t.Error(l.Status().Err)
	}
}

// Redis dies again and again under load, outcomes unknown.
func TestKilledRedisCountsOnce(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.FlushInterval = time.Millisecond; c.SettleTimeout = patience })
	want := map[string]uint64{}
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
			w, d := fmt.Sprintf("w%d", rng.IntN(4)), rng.Uint64N(1e6)+1
			if l.Credit(Credit{Wallet: w, Worker: "a", Difficulty: d, Time: time.Now()}) == nil {
				want[w] += d
			}
			if rng.IntN(20) == 0 {
				p := l.Found(Block{ID: blockID(blocks), Height: uint64(blocks)})
				p.Accepted("d")
				blocks++
			}
		}
	}()
	for range 8 {
		calls := testutil.ToFloat64(l.metrics.calls)
		waitFor(t, "traffic", func() bool { return testutil.ToFloat64(l.metrics.calls) > calls+20 })
		srv.Restart()
	}
	close(stop)
	blocks := <-ended
	flush(t, l)
	conserved(t, l, want)
	if r := current(t, l); r.Number != uint64(blocks)+1 {
		t.Errorf("round %d after %d blocks", r.Number, blocks)
	}
	if err := l.Close(testCtx(t)); err != nil {
		t.Error(err)
	}
}

// While Redis loads its data, writes are refused and tried again.
func TestLoadingRedis(t *testing.T) {
	srv := redistest.Start(t, "--appendfsync", "no", "--key-load-delay", "10") // µs a key
	l := openLedger(t, openStore(t, srv), nil)
	srv.CLI("EVAL", "for i=1,20000 do redis.call('SET', '{test}:fill:'..i, string.rep('x', 50)) end", "0")
	credit(t, l, "w", "a", 3)
	flush(t, l)
	srv.Stop()
	credit(t, l, "w", "a", 4)
	srv.RunLoading()
	waitFor(t, "LOADING", func() bool {
		err := l.Status().Err
		return err != nil && strings.Contains(err.Error(), "LOADING")
	})
	flush(t, l)
	conserved(t, l, map[string]uint64{"w": 7})
}

// A Redis that comes back with less than it had confirmed gets the rest again.
func TestRedisForgetsRetained(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.Heartbeat = 20 * time.Millisecond })
	prefix := l.NodePrefix()
	for i := range 5 {
		credit(t, l, "w", strconv.Itoa(i), 10)
		flush(t, l)
	}
	p := l.Found(Block{ID: blockID(1)})
	p.Accepted("d")
	credit(t, l, "w", "a", 1)
	flush(t, l)
	srv.Forget()
	srv.Run()
	// No new share: the heartbeat notices.
	waitFor(t, "books to be restored", func() bool {
		r, err := l.CurrentRound(context.Background())
		return err == nil && r.Number == 2 && r.Hashes == 1
	})
	conserved(t, l, map[string]uint64{"w": 51})
	l2 := openLedger(t, l.cfg.Store, nil)
	if l2.NodePrefix() <= prefix {
		t.Errorf("prefix %d given again after %d", l2.NodePrefix(), prefix)
	}
	if l.Status().Lost != 0 {
		t.Errorf("lost %d", l.Status().Lost)
	}
}

// What is no longer retained is reported as lost, and the ledger goes on.
func TestRedisForgetsMore(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.RetainEntries = 2 })
	for range 5 {
		credit(t, l, "w", "a", 10)
		flush(t, l)
	}
	srv.Forget()
	srv.Run()
	credit(t, l, "w", "a", 1)
	flush(t, l)
	if r := current(t, l); r.Hashes != 21 || l.Status().Lost != 3 {
		t.Errorf("round has %d, want the two retained batches and the new one (21); lost %d, want 3", r.Hashes, l.Status().Lost)
	}
	credit(t, l, "w", "a", 1)
	flush(t, l)
	if r := current(t, l); r.Hashes != 22 || l.Status().Err != nil {
		t.Errorf("round %+v, %v", r, l.Status().Err)
	}
}

func TestRedisCluster(t *testing.T) {
	srv := redistest.StartCluster(t)
	st := openStore(t, srv)
	if st.Server().Mode != "cluster" {
		t.Fatalf("server %+v", st.Server())
	}
	l := openLedger(t, st, nil)
	credit(t, l, "w", "a", 10)
	credit(t, l, "v{x}"[:1], "{other}", 5)
	p := l.Found(Block{ID: blockID(1)})
	p.Accepted("d")
	l.Reject("w", "a", "stale")
	credit(t, l, "w", "a", 1)
	flush(t, l)
	conserved(t, l, map[string]uint64{"w": 11, "v": 5})
	if _, err := l.HashRate(testCtx(t), "w", "a", time.Minute, noon.Add(time.Minute)); err != nil {
		t.Error(err)
	}
}
