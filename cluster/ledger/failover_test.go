package ledger

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// A master is demoted behind a stable address, back and forth, with credits and
// blocks coming all the while. Writes go on with the new master once the address
// leads to it, and the sums are exact.
func TestDemotedMaster(t *testing.T) {
	servers := [2]*redistest.Server{redistest.StartTCP(t), redistest.StartTCP(t)}
	servers[1].Follow(servers[0])
	relay := redistest.NewRelay(t, servers[0])
	b := newBed(t, openStore(t, relay.URL()), func(b *bed) { b.cfg.ChunkSize = 70 })
	add := func(n int) {
		for i := range n {
			b.credit("w", fmt.Sprint(i%3), 7)
		}
	}
	const rounds = 3
	for i := range rounds {
		old, next := servers[i%2], servers[(i+1)%2]
		add(5)
		b.flush()
		b.found(i)
		b.settle(i, true)
		add(5) // under way while the roles change
		next.Promote()
		old.Follow(next)
		add(5)
		waitFor(t, "READONLY", func() bool {
			add(1)
			err := b.l.Status().Err
			return err != nil && strings.Contains(err.Error(), "READONLY")
		})
		relay.Switch(next)
		b.flush()
		conserved(t, b)
	}
	if all := b.allRounds(); len(all) != rounds+1 || b.l.Status().Gaps != 0 {
		t.Errorf("%d rounds after %d blocks, status %+v", len(all), rounds, b.l.Status())
	}
}

// A failover to a replica that had not everything yet: the rest comes again.
func TestFailoverToALaggingReplica(t *testing.T) {
	master, replica := redistest.StartTCP(t), redistest.StartTCP(t)
	replica.Follow(master)
	relay := redistest.NewRelay(t, master)
	b := newBed(t, openStore(t, relay.URL()), nil)
	b.credit("w", "a", 1)
	b.flush()
	waitFor(t, "the replica to have it", func() bool { return replica.CLI("HGET", b.l.keys.Stats(), "hashes") == "1" })
	replica.Promote() // from here on it gets nothing
	for i := range 5 {
		b.credit("w", "a", 10)
		b.found(i)
		b.settle(i, i%2 == 0)
		b.flush()
	}
	relay.Switch(replica)
	master.Kill()
	b.credit("w", "a", 100)
	b.flush()
	waitFor(t, "all of it at the replica", func() bool { return replica.CLI("HGET", b.l.keys.Stats(), "hashes") == "151" })
	conserved(t, b)
	if rounds := b.allRounds(); len(rounds) != 4 || rounds[0].Hashes != 11 || rounds[1].Hashes != 20 || rounds[3].Hashes != 100 {
		t.Errorf("rounds %+v", rounds)
	}
}

// An idle node has nothing to write, and must learn all the same that it could
// not; then by itself that it can again.
func TestIdleNodeNoticesADemotedMaster(t *testing.T) {
	a, z := redistest.StartTCP(t), redistest.StartTCP(t)
	relay := redistest.NewRelay(t, a)
	b := newBed(t, openStore(t, relay.URL()), func(b *bed) { b.cfg.Heartbeat = 20 * time.Millisecond })
	a.Follow(z)
	waitFor(t, "READONLY", func() bool {
		st := b.l.Status()
		return st.Err != nil && strings.Contains(st.Err.Error(), "READONLY") && !st.Failing.IsZero()
	})
	relay.Switch(z)
	waitFor(t, "a write", func() bool { st := b.l.Status(); return st.Err == nil && st.Failing.IsZero() })
}

// logBook collects log lines.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

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

// metric reads one metric without labels but the pool's.
func metric(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// What waits is told as it is during an outage, not as it was at the last success.
func TestPendingIsTrueDuringAnOutage(t *testing.T) {
	reg := prometheus.NewRegistry()
	b, srv := startBed(t, func(b *bed) { b.cfg.Registerer = reg })
	b.creditAt(time.Now(), "w", "a", 1)
	b.flush()
	if n, age := metric(t, reg, "assay_ledger_pending_bytes"), metric(t, reg, "assay_ledger_oldest_seconds"); n != 0 || age != 0 {
		t.Errorf("%v bytes, the oldest %v s old, when all is written", n, age)
	}
	srv.CLI("CONFIG", "SET", "maxmemory", "1")
	mark := b.l.Status().Mark
	for i := range 10 {
		b.creditAt(time.Now(), fmt.Sprintf("w%d", i), "a", 1)
		b.durable()
		want := b.j.End() - mark
		if n, st := metric(t, reg, "assay_ledger_pending_bytes"), b.l.Status(); n != float64(want) || st.Pending != uint64(want) || st.Mark != mark {
			t.Errorf("%v bytes after %d credits, want %d; status %+v", n, i+1, want, st)
		}
	}
	waitFor(t, "OOM", func() bool { err := b.l.Status().Err; return err != nil && strings.Contains(err.Error(), "OOM") })
	first := metric(t, reg, "assay_ledger_oldest_seconds")
	waitFor(t, "the oldest to age", func() bool { return metric(t, reg, "assay_ledger_oldest_seconds") > first+0.05 })
	if st := b.l.Status(); st.Failing.IsZero() || st.Age <= 0 {
		t.Errorf("status %+v", st)
	}
	srv.CLI("CONFIG", "SET", "maxmemory", "0")
	b.flush()
	waitFor(t, "nothing to be under way", func() bool { return b.l.Status().Age == 0 })
	if n, st := metric(t, reg, "assay_ledger_pending_bytes"), b.l.Status(); n != 0 || st.Err != nil || !st.Failing.IsZero() {
		t.Errorf("%v bytes after the outage, status %+v", n, st)
	}
	b.close()
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("a closed ledger leaves %d metrics, %v", len(families), err)
	}
}

// An outage is said at once, at growing intervals, and when it is over; errors
// that alternate do not fill the log.
func TestOutageIsSaid(t *testing.T) {
	var book logBook
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.Log = book.logger() })
	b.drop() // its flusher has ended: the outage is the test's
	f := b.l.f
	for i := range 50 {
		f.trouble(fmt.Errorf("READONLY, try %d", i))
	}
	if n := book.count("tried again"); n != 1 {
		t.Errorf("%d lines of 50 errors in a moment", n)
	}
	if n := book.count("nothing is being written"); n != 0 {
		t.Errorf("an outage was warned of after a moment")
	}
	back := func(d time.Duration) { // as if it had begun earlier
		b.l.mu.Lock()
		b.l.failing = b.l.failing.Add(-d)
		b.l.mu.Unlock()
		f.trouble(fmt.Errorf("READONLY"))
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
	f.wrote()
	f.wrote()
	if n := book.count("writes again"); n != 1 || !b.l.Status().Failing.IsZero() {
		t.Errorf("the end of the outage was said %d times", n)
	}
}
