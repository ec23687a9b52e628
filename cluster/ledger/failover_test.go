package ledger

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// openRelayed is a store behind an address that may lead elsewhere.
func openRelayed(t testing.TB, r *redistest.Relay) *store.Store {
	t.Helper()
	st, err := store.Open(testCtx(t), store.Config{URL: r.URL(), CallTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

// A master is demoted behind a stable address, back and forth, with credits and
// blocks coming all the while. Writes go on with the new master once the address
// leads to it, and the sums are exact.
func TestDemotedMaster(t *testing.T) {
	servers := [2]*redistest.Server{redistest.StartTCP(t), redistest.StartTCP(t)}
	servers[1].Follow(servers[0])
	relay := redistest.NewRelay(t, servers[0])
	l := openLedger(t, openRelayed(t, relay), nil)
	want := uint64(0)
	add := func(n int) {
		for i := range n {
			credit(t, l, "w", fmt.Sprint(i%3), 7)
			want += 7
		}
	}
	const rounds = 3
	for i := range rounds {
		old, next := servers[i%2], servers[(i+1)%2]
		add(5)
		flush(t, l)
		p := l.Found(Block{ID: blockID(i)})
		p.Accepted("d")
		add(5) // under way while the roles change
		next.Promote()
		old.Follow(next)
		add(5)
		waitFor(t, "READONLY", func() bool {
			add(1)
			err := l.Status().Err
			return err != nil && strings.Contains(err.Error(), "READONLY")
		})
		relay.Switch(next)
		flush(t, l)
		if _, err := p.Wait(testCtx(t)); err != nil {
			t.Error(err)
		}
		conserved(t, l, map[string]uint64{"w": want})
	}
	if r := current(t, l); r.Number != rounds+1 || l.Status().Lost != 0 {
		t.Errorf("round %d after %d blocks, %d items lost", r.Number, rounds, l.Status().Lost)
	}
}

// An idle node has nothing to write, and must learn all the same that it could
// not; then by itself that it can again.
func TestIdleNodeNoticesADemotedMaster(t *testing.T) {
	a, b := redistest.StartTCP(t), redistest.StartTCP(t)
	relay := redistest.NewRelay(t, a)
	l := openLedger(t, openRelayed(t, relay), func(c *Config) { c.Heartbeat = 20 * time.Millisecond })
	a.Follow(b)
	waitFor(t, "READONLY", func() bool {
		st := l.Status()
		return st.Err != nil && strings.Contains(st.Err.Error(), "READONLY") && !st.Failing.IsZero()
	})
	relay.Switch(b)
	waitFor(t, "a write", func() bool { st := l.Status(); return st.Err == nil && st.Failing.IsZero() })
}

// logBook collects log lines.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) count(words string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), words)
}

// gauge reads one metric without labels but the pool's.
func gauge(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// What waits is told as it is during an outage, not as it was at the last success.
func TestPendingIsTrueDuringAnOutage(t *testing.T) {
	srv := redistest.Start(t)
	reg := prometheus.NewRegistry()
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.Registerer = reg })
	credit(t, l, "w", "a", 1)
	flush(t, l)
	if n, age := gauge(t, reg, "assay_ledger_pending_entries"), gauge(t, reg, "assay_ledger_oldest_seconds"); n != 0 || age != 0 {
		t.Errorf("%v entries, the oldest %v s old, when all is written", n, age)
	}
	srv.CLI("CONFIG", "SET", "maxmemory", "1")
	for i := range 10 {
		credit(t, l, fmt.Sprintf("w%d", i), "a", 1)
		if n := gauge(t, reg, "assay_ledger_pending_entries"); n != float64(i+1) {
			t.Errorf("%v entries after %d credits", n, i+1)
		}
	}
	first := gauge(t, reg, "assay_ledger_oldest_seconds")
	waitFor(t, "the oldest to age", func() bool { return gauge(t, reg, "assay_ledger_oldest_seconds") > first+0.05 })
	waitFor(t, "OOM", func() bool { err := l.Status().Err; return err != nil && strings.Contains(err.Error(), "OOM") })
	srv.CLI("CONFIG", "SET", "maxmemory", "0")
	flush(t, l)
	if n, age := gauge(t, reg, "assay_ledger_pending_entries"), gauge(t, reg, "assay_ledger_oldest_seconds"); n != 0 || age != 0 {
		t.Errorf("%v entries, the oldest %v s old, after the outage", n, age)
	}
}

// An outage is said at once, at growing intervals, and when it is over; errors
// that alternate do not fill the log.
func TestOutageIsSaid(t *testing.T) {
	l := bareLedger(t, 10)
	var book logBook
	l.cfg.Log = slog.New(slog.NewTextHandler(&book, nil))
	for i := range 50 {
		l.f.trouble(fmt.Errorf("READONLY, try %d", i))
	}
	if n := book.count("tried again"); n != 1 {
		t.Errorf("%d lines of 50 errors in a moment", n)
	}
	if n := book.count("nothing is being written"); n != 0 {
		t.Errorf("an outage was warned of after a moment")
	}
	back := func(d time.Duration) { // as if it had begun earlier
		l.mu.Lock()
		l.failing = l.failing.Add(-d)
		l.mu.Unlock()
		l.f.trouble(fmt.Errorf("READONLY"))
	}
	for i, step := range []struct {
		later time.Duration
		lines int
	}{{StallAfter, 1}, {StallAfter / 2, 1}, {StallAfter / 2, 2}, {StallAfter, 2}, {StallAfter, 3}, {time.Hour, 4}, {warnMax - time.Minute, 4}, {time.Minute, 5}} {
		back(step.later)
		if n := book.count("nothing is being written"); n != step.lines {
			t.Fatalf("step %d: %d warnings, want %d", i, n, step.lines)
		}
	}
	if n := book.count("READONLY"); n < 5 {
		t.Errorf("the warnings do not name the error")
	}
	l.f.wrote()
	l.f.wrote()
	if n := book.count("writes again"); n != 1 || !l.Status().Failing.IsZero() {
		t.Errorf("the end of the outage was said %d times", n)
	}
}

// One Redis' count of node prefixes is for all pools, and is lifted again after
// a rollback, in a cluster too, where it has a slot of its own.
func TestPrefixCountIsLifted(t *testing.T) {
	for name, start := range map[string]func() *redistest.Server{
		"standalone": func() *redistest.Server { return redistest.Start(t) },
		"cluster":    func() *redistest.Server { return redistest.StartCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			st := openStore(t, start())
			first := openLedger(t, st, func(c *Config) { c.Heartbeat = 20 * time.Millisecond })
			other := openLedger(t, st, func(c *Config) { c.Pool = "other" })
			if other.NodePrefix() <= first.NodePrefix() {
				t.Errorf("prefixes %d and %d of two pools", first.NodePrefix(), other.NodePrefix())
			}
			if err := st.Do(testCtx(t), "DEL", store.NodeNext).Error(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the count to be lifted", func() bool {
				n, err := st.Do(testCtx(t), "GET", store.NodeNext).AsInt64()
				return err == nil && n == int64(first.NodePrefix())
			})
		})
	}
}

// TestIdentity: a pool's keys are those of the coin and wallet that came first.
func TestIdentity(t *testing.T) {
	srv := redistest.Start(t)
	st := openStore(t, srv)
	try := func(pool, coin, wallet string) error {
		l, err := Open(testCtx(t), Config{Store: st, Pool: pool, Identity: Identity{Coin: coin, Wallet: wallet}})
		if err == nil {
			err = l.Close(context.Background())
		}
		return err
	}
	for _, c := range []struct {
		pool, coin, wallet string
		refused            bool
	}{
		{"default", "monero", "4abc", false},
		{"default", "monero", "4abc", false}, // another start, another node
		{"default", "monero", "4xyz", true},
		{"default", "monero-stagenet", "4abc", true},
		{"default", "haven", "hv1", true},
		{"second", "haven", "hv1", false},
		{"default", "monero", "4abc", false}, // the refused have changed nothing
	} {
		before := srv.CLI("GET", store.NodeNext)
		err := try(c.pool, c.coin, c.wallet)
		if (err != nil) != c.refused {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil {
			continue
		}
		if after := srv.CLI("GET", store.NodeNext); after != before {
			t.Errorf("%+v: a refused start took a node prefix", c)
		}
		for _, want := range []string{"--coin monero --wallet 4abc", "--coin " + c.coin + " --wallet " + c.wallet, "[pool NAME]", "--redis", "DEL '{default}:identity'"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: the refusal does not name %q: %v", c, want, err)
			}
		}
	}
	srv.CLI("DEL", "{default}:identity") // as the refusal says
	if err := try("default", "monero", "4xyz"); err != nil {
		t.Errorf("after the key was deleted: %v", err)
	}
	// Of many at once one wins.
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = try("race", "monero", fmt.Sprint("4w", i)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %d wallets have one pool", won, len(errs))
	}
}

// TestIdentityOfAnEmptiedRedis: a Redis that comes back empty belongs to the
// pool again with the next write, whether anything had been written or not.
func TestIdentityOfAnEmptiedRedis(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.Identity = Identity{Coin: "monero", Wallet: "w"} })
	for _, when := range []string{"before the first item", "after it", "after the new stream's first"} {
		srv.CLI("FLUSHALL")
		if err := l.Credit(Credit{Wallet: "a", Worker: "b", Difficulty: 1, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := l.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if got := srv.CLI("HGET", l.keys.Identity(), "wallet"); got != "w" {
			t.Errorf("emptied %s: the wallet is %q", when, got)
		}
	}
}
