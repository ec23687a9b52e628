package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests on a loaded machine.
const patience = 60 * time.Second

func testCtx(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func openStore(t testing.TB, srv *redistest.Server) *store.Store {
	t.Helper()
	st, err := store.Open(testCtx(t), store.Config{URL: srv.URL(), CallTimeout: 500 * time.Millisecond, ConnWriteTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

func openLedger(t testing.TB, st *store.Store, change func(*Config)) *Ledger {
	t.Helper()
	cfg := Config{Store: st, Pool: "test", Node: "n", FlushInterval: 5 * time.Millisecond, RetryMax: 100 * time.Millisecond}
	unlocked := logtest.New(t)
	cfg.Log = slog.New(unlocked)
	if change != nil {
		change(&cfg)
	}
	l, err := Open(testCtx(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	unlocked.Watch(logtest.Lock(&l.mu))
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // tests that care for the rest have closed it before
		l.Close(ctx)
	})
	return l
}

var noon = time.Date(2026, 1, 2, 12, 0, 30, 0, time.UTC)

func credit(t testing.TB, l *Ledger, wallet, worker string, d uint64) {
	t.Helper()
	if err := l.Credit(Credit{Wallet: wallet, Worker: worker, Difficulty: d, Time: noon}); err != nil {
		t.Fatal(err)
	}
}

func flush(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Flush(testCtx(t)); err != nil {
		t.Fatal(err)
	}
}

func current(t testing.TB, l *Ledger) Round {
	t.Helper()
	r, err := l.CurrentRound(testCtx(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

func blockID(n int) (id [32]byte) {
	copy(id[:], fmt.Sprintf("block %d", n))
	return id
}

func TestCounters(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	ctx := testCtx(t)
	credit(t, l, "w1", "a", 100)
	credit(t, l, "w1", "a", 50)
	credit(t, l, "w1", "b", 7)
	credit(t, l, "w2", "", 1000)
	l.Reject("w1", "a", "stale")
	l.Reject("w1", "ghost", "stale")
	l.Reject("nobody", "x", "bad_hash")
	l.Reject("", "", "malformed")
	flush(t, l)

	r := current(t, l)
	if r.Number != 1 || r.Hashes != 1157 || r.Shares != 4 || r.Wallets["w1"] != (Sum{157, 3}) || r.Wallets["w2"] != (Sum{1000, 1}) {
		t.Errorf("round %+v", r)
	}
	if !r.Started.Equal(noon) {
		t.Errorf("round started %s, want the time of the first share %s", r.Started, noon)
	}
	w, err := l.Wallet(ctx, "w1")
	if err != nil || w.Hashes != 157 || w.Shares != 3 || w.Rejects["stale"] != 2 || !w.Last.Equal(noon) {
		t.Errorf("wallet %+v, %v", w, err)
	}
	ws, err := l.Workers(ctx, "w1")
	if err != nil || len(ws) != 2 || ws["a"].Hashes != 150 || ws["a"].Rejects != 1 || ws["b"].Shares != 1 {
		t.Errorf("workers %+v, %v (a refused share must not create one)", ws, err)
	}
	if n, err := l.cfg.Store.Do(ctx, "EXISTS", l.keys.Wallet("nobody")).AsInt64(); n != 0 || err != nil {
		t.Errorf("a refused share created a wallet (%v)", err)
	}
	p, err := l.Pool(ctx)
	if err != nil || p.Hashes != 1157 || p.Rejects["stale"] != 2 || p.Rejects["bad_hash"] != 1 || p.Rejects["malformed"] != 1 {
		t.Errorf("pool %+v, %v", p, err)
	}
}

func TestSlices(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	ctx := testCtx(t)
	now := time.Now().Truncate(time.Minute).Add(30 * time.Second)
	at := func(age time.Duration, worker string, d uint64) {
		if err := l.Credit(Credit{Wallet: "w", Worker: worker, Difficulty: d, Time: now.Add(-age)}); err != nil {
			t.Fatal(err)
		}
	}
	at(0, "a", 1e9) // this minute is not over: not counted
	at(time.Minute, "a", 600)
	at(2*time.Minute, "b", 1200)
	at(11*time.Minute, "a", 6000) // outside the window
	at(2*time.Hour, "a", 77)      // older than any slice is kept: credited all the same
	flush(t, l)
	for _, c := range []struct {
		wallet, worker string
		want           float64
	}{{"w", "", 3}, {"w", "a", 1}, {"w", "b", 2}, {"", "", 3}, {"other", "", 0}} {
		got, err := l.HashRate(ctx, c.wallet, c.worker, 10*time.Minute, now)
		if err != nil || got != c.want {
			t.Errorf("hash rate of %q %q: %v, want %v (%v)", c.wallet, c.worker, got, c.want, err)
		}
	}
	if _, err := l.HashRate(ctx, "w", "", 3*time.Hour, now); err == nil {
		t.Error("a window longer than the slices are kept must be refused")
	}
	minute := now.Unix()/60 - 1
	ttl, err := l.cfg.Store.Do(ctx, "TTL", l.keys.Rate(minute)).AsInt64()
	want := time.Until(time.Unix((minute+1)*60, 0).Add(DefaultSliceTTL))
	if err != nil || math.Abs(float64(ttl)-want.Seconds()) > 30 {
		t.Errorf("slice lives %d s, want about %.0f, counted from its own minute (%v)", ttl, want.Seconds(), err)
	}
	if n, _ := l.cfg.Store.Do(ctx, "EXISTS", l.keys.Rate(now.Add(-2*time.Hour).Unix()/60)).AsInt64(); n != 0 {
		t.Error("a slice older than SliceTTL was kept")
	}
	if r := current(t, l); r.Hashes != 1e9+600+1200+6000+77 {
		t.Errorf("credited %d", r.Hashes)
	}
	for _, key := range []string{l.keys.Wallet("w"), l.keys.Workers("w"), l.keys.Mark(l.f.stream)} {
		if ttl, err := l.cfg.Store.Do(ctx, "TTL", key).AsInt64(); err != nil || ttl <= 0 {
			t.Errorf("%s has no end: TTL %d, %v", key, ttl, err)
		}
	}
}

func TestExactAbove53Bits(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	const odd = 1<<53 + 1 // the first integer a double cannot hold
	credit(t, l, "w", "a", odd)
	flush(t, l)
	credit(t, l, "w", "a", odd)
	credit(t, l, "v", "a", 1<<62-1)
	p := l.Found(Block{ID: blockID(1), Height: 1<<53 + 3, Reward: 1<<63 + 1})
	p.Accepted("d")
	rec, err := p.Wait(testCtx(t))
	const want = 2*odd + 1<<62 - 1
	if err != nil || rec.Hashes != want || rec.Height != 1<<53+3 || rec.Reward != 1<<63+1 {
		t.Fatalf("record %+v, %v; want %d hashes", rec, err, uint64(want))
	}
	r, err := l.Round(testCtx(t), 1)
	if err != nil || r.Hashes != want || r.Wallets["w"].Hashes != 2*odd || r.Wallets["v"].Hashes != 1<<62-1 {
		t.Errorf("round %+v, %v", r, err)
	}
	if ws, err := l.Workers(testCtx(t), "w"); err != nil || ws["a"].Hashes != 2*odd {
		t.Errorf("workers %+v, %v", ws, err)
	}
}

func TestOverflowLosesNothing(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	ctx := testCtx(t)
	credit(t, l, "w", "a", math.MaxInt64-10)
	flush(t, l)
	credit(t, l, "w", "a", 10) // exactly 2^63-1 fits
	flush(t, l)
	credit(t, l, "w", "b", 1)
	waitFor(t, "overflow error", func() bool { return errors.Is(l.Status().Err, ErrSum) })
	if r := current(t, l); r.Hashes != math.MaxInt64 || r.Shares != 2 || l.Status().Pending != 1 {
		t.Errorf("round %+v, pending %d", r, l.Status().Pending)
	}
	// The operator makes room; the waiting share comes through.
	if err := l.cfg.Store.Do(ctx, "HSET", l.keys.Stats(), "hashes", "0").Error(); err != nil {
		t.Fatal(err)
	}
	if err := l.cfg.Store.Do(ctx, "HSET", l.keys.RoundTotal(0), "hashes", "5").Error(); err != nil {
		t.Fatal(err)
	}
	l.cfg.Store.Do(ctx, "DEL", l.keys.RoundHashes(0))
	l.cfg.Store.Do(ctx, "DEL", l.keys.Wallet("w"))
	l.cfg.Store.Do(ctx, "DEL", l.keys.Workers("w"))
	l.cfg.Store.Do(ctx, "DEL", l.keys.Rate(noon.Unix()/60))
	flush(t, l)
	if r := current(t, l); r.Hashes != 6 || r.Shares != 3 {
		t.Errorf("round %+v", r)
	}
	// Two shares whose sum does not fit one batch are two batches.
	if l.Credit(Credit{Wallet: "w", Difficulty: math.MaxInt64 + 1, Time: noon}) != ErrOverflow || l.Credit(Credit{Wallet: "w", Time: noon}) != ErrOverflow {
		t.Error("difficulty 0 or above 2^63-1 must be refused")
	}
}

func TestCorruptKeysStopWithoutDoubleCount(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	ctx := testCtx(t)
	if err := l.cfg.Store.Do(ctx, "SET", l.keys.Workers("w"), "not a hash").Error(); err != nil {
		t.Fatal(err)
	}
	credit(t, l, "w", "a", 5)
	waitFor(t, "half-way error", func() bool { return errors.Is(l.Status().Err, ErrHalf) })
	if msg := l.Status().Err.Error(); !strings.Contains(msg, "WRONGTYPE") {
		t.Errorf("the cause is missing: %s", msg)
	}
	tries := testutil.ToFloat64(l.metrics.retries)
	waitFor(t, "three more tries", func() bool { return testutil.ToFloat64(l.metrics.retries) >= tries+3 })
	if r := current(t, l); r.Hashes != 5 {
		t.Errorf("counted %d, want the first half once", r.Hashes)
	}
}

func TestForeignMarkDropsNothing(t *testing.T) {
	for _, mark := range []string{"1000", "9007199254740992", "18446744073709551615", "99999999999999999999999", "-5", "x", "1.5"} {
		t.Run(mark, func(t *testing.T) {
			l := openLedger(t, openStore(t, redistest.Start(t)), nil)
			key := l.keys.Mark(l.f.stream)
			if err := l.cfg.Store.Do(testCtx(t), "SET", key, mark).Error(); err != nil {
				t.Fatal(err)
			}
			credit(t, l, "w", "a", 5)
			tries := testutil.ToFloat64(l.metrics.retries)
			waitFor(t, "tries", func() bool { return testutil.ToFloat64(l.metrics.retries) >= tries+2 })
			if st := l.Status(); st.Err == nil || st.Pending != 1 || st.Lost != 0 {
				t.Errorf("status %+v", st)
			}
			if err := l.cfg.Store.Do(testCtx(t), "DEL", key).Error(); err != nil {
				t.Fatal(err)
			}
			flush(t, l)
			conserved(t, l, map[string]uint64{"w": 5})
		})
	}
}

func TestNamesFromTheNetwork(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	for _, w := range []string{"", "a b", "a/b", "{x}", "a\n", "*", strings.Repeat("w", maxWallet+1)} {
		if err := l.Credit(Credit{Wallet: w, Difficulty: 1, Time: noon}); err != ErrWallet {
			t.Errorf("wallet %q: %v", w, err)
		}
	}
	for _, w := range []string{"#n", "#pruned", "h:x", "\x00\xff", "other", strings.Repeat("ä", 1000), "a/b", "}{"} {
		credit(t, l, "w", w, 1)
		l.Reject("w", w, "stale")
	}
	flush(t, l)
	ws, err := l.Workers(testCtx(t), "w")
	var sum uint64
	for _, s := range ws {
		sum += s.Hashes
	}
	if err != nil || len(ws) != 8 || sum != 8 {
		t.Errorf("workers %+v, %v", ws, err)
	}
}

func TestCapRefusesAndFolds(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.MaxPending = 6 })
	srv.Kill()
	// One entry is caught in flight, the rest grow per minute until full.
	at := func(m int, wallet string) error {
		return l.Credit(Credit{Wallet: wallet, Difficulty: 1, Time: noon.Add(time.Duration(m) * time.Minute)})
	}
	var taken uint64
	var err error
	for m := 0; m < 60; m++ {
		if err = at(m, "w"); err != nil {
			break
		}
		taken++
	}
	if err != nil {
		t.Fatalf("one wallet over an hour must fold into few entries, refused after %d: %v", taken, err)
	}
	for i := 0; err == nil; i++ {
		if err = at(60, fmt.Sprintf("v%d", i)); err == nil {
			taken++
		}
		if i > 100 {
			t.Fatal("no limit")
		}
	}
	if err != ErrFull || l.Admit() {
		t.Fatalf("got %v, admit %v; want ErrFull", err, l.Admit())
	}
	if st := l.Status(); st.Pending > 6 || st.Age <= 0 {
		t.Errorf("status %+v", st)
	}
	if at(60, "v0") != nil {
		t.Error("a credit that needs no new entry is refused")
	}
	taken++
	l.Reject("x", "y", "stale") // takes no wallet entry, still counted
	srv.Run()
	flush(t, l)
	if r := current(t, l); r.Hashes != taken {
		t.Errorf("credited %d, accepted %d", r.Hashes, taken)
	}
	if p, err := l.Pool(testCtx(t)); err != nil || p.Rejects["stale"] != 1 {
		t.Errorf("pool %+v, %v", p, err)
	}
	if !l.Admit() {
		t.Error("still full")
	}
}

func TestBatchesAreSplit(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.BatchEntries = 7; c.FlushInterval = time.Hour })
	for i := range 50 {
		credit(t, l, fmt.Sprintf("w%d", i), "a", uint64(i+1))
		l.Reject(fmt.Sprintf("w%d", i), "a", "stale")
	}
	flush(t, l)
	if r := current(t, l); r.Hashes != 50*51/2 || r.Shares != 50 || len(r.Wallets) != 50 {
		t.Errorf("round %d hashes, %d shares, %d wallets", r.Hashes, r.Shares, len(r.Wallets))
	}
	if p, _ := l.Pool(testCtx(t)); p.Rejects["stale"] != 50 {
		t.Errorf("rejects %v", p.Rejects)
	}
	if l.Status().Pending != 0 || l.Status().Age != 0 {
		t.Errorf("status %+v", l.Status())
	}
}

func TestPrefixesDiffer(t *testing.T) {
	st := openStore(t, redistest.Start(t))
	var mu sync.Mutex
	seen := map[uint32]bool{}
	var wg sync.WaitGroup
	for i := range 20 { // of two pools, which may have one wallet
		wg.Go(func() {
			l, err := Open(context.Background(), Config{Store: st, Pool: fmt.Sprintf("test%d", i%2)})
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close(context.Background())
			mu.Lock()
			defer mu.Unlock()
			if seen[l.NodePrefix()] || l.NodePrefix() == 0 {
				t.Errorf("prefix %d given twice or zero", l.NodePrefix())
			}
			seen[l.NodePrefix()] = true
		})
	}
	wg.Wait()
	if err := st.Do(testCtx(t), "SET", store.NodeNext, "4294967295").Error(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testCtx(t), Config{Store: st, Pool: "test"}); err == nil || !strings.Contains(err.Error(), "node:next") {
		t.Errorf("no prefixes left: %v", err)
	}
}

func TestCloseSaysWhatIsLost(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), nil)
	srv.Kill()
	credit(t, l, "w", "a", 40)
	credit(t, l, "w", "a", 2)
	p := l.Found(Block{ID: blockID(1), Height: 77})
	p.Accepted("d")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	err := l.Close(ctx)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"2 shares", "42 hashes", "1 blocks", "77"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if _, err := p.Wait(testCtx(t)); err != ErrNotWritten {
		t.Errorf("pending block: %v", err)
	}
	if l.Credit(Credit{Wallet: "w", Difficulty: 1, Time: noon}) != ErrClosed || l.Admit() {
		t.Error("a closed ledger takes credits")
	}
	if _, err := l.Found(Block{}).Wait(testCtx(t)); err != ErrClosed {
		t.Errorf("found after close: %v", err)
	}
}

func TestCreditDoesNotAllocate(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.FlushInterval = time.Hour })
	c := Credit{Wallet: strings.Repeat("4", 95), Worker: "rig", Difficulty: 1000, Time: noon}
	if err := l.Credit(c); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() { l.Credit(c) }); n != 0 {
		t.Errorf("%v allocations per credit", n)
	}
}
