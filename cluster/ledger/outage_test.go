package ledger

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// crowd is wallets that send shares of one difficulty; unlike bed.credit it keeps
// nothing of a share.
type crowd struct {
	j       *journal.Journal
	members []member
	began   time.Time // of the first share; one a millisecond follows
	sent    int
	told    atomic.Int64 // of all members
	refused atomic.Int64
}

// member implements journal.Done.
type member struct {
	c    *crowd
	name string
	told atomic.Int64
}

func (m *member) Committed(err error) {
	if err != nil {
		m.c.refused.Add(1)
		return
	}
	m.told.Add(1)
	m.c.told.Add(1)
}

const crowdShare = 120_000

func newCrowd(j *journal.Journal, wallets int) *crowd {
	c := &crowd{j: j, members: make([]member, wallets), began: time.Now().Add(-time.Hour)}
	for i := range c.members {
		c.members[i].c, c.members[i].name = c, fmt.Sprintf("4%094d", i)
	}
	return c
}

// send is n shares, one wallet after the other.
func (c *crowd) send(n int) {
	for range n {
		m := &c.members[c.sent%len(c.members)]
		c.j.Credit(journal.Credit{Wallet: m.name, Worker: "rig", Difficulty: crowdShare, Time: c.began.Add(time.Duration(c.sent) * time.Millisecond)}, m)
		c.sent++
	}
}

// answered waits until all are.
func (c *crowd) answered(t testing.TB) {
	t.Helper()
	waitFor(t, "answers", func() bool { return c.told.Load()+c.refused.Load() == int64(c.sent) })
}

// heap is what is in use, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools have held on to goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Redis is away while shares come in: they cost disk and no memory, and all of them
// are counted when it is back. With ASSAY_LONG_TESTS=1 it is what comes in an
// hour at 1,000 shares a second, of 5,000 wallets.
func TestOutage(t *testing.T) {
	shares, wallets := 200_000, 500
	if os.Getenv("ASSAY_LONG_TESTS") != "" {
		shares, wallets = 3_600_000, 5_000
	}
	srv := redistest.Start(t, "--appendfsync", "everysec")
	b := newBed(t, openStore(t, srv.URL()), func(b *bed) { b.cfg.RetryMax = time.Second })
	b.l.SetDifficulty(1e12) // chunks as a large pool has them
	c := newCrowd(b.j, wallets)
	c.send(2 * wallets)
	c.answered(t)
	b.flush()
	srv.Kill()
	c.send(1000) // the flusher has its hands full
	c.answered(t)
	waitFor(t, "the outage to be noticed", func() bool { return b.l.Status().Err != nil })
	before, most := heap(), int64(0)
	const step = 1000
	for c.sent < shares {
		c.send(step)
		c.answered(t)
		if c.sent%(shares/10) < step {
			most = max(most, heap()-before)
		}
	}
	st := b.l.Status()
	t.Logf("%d shares, the heap grew by %d bytes, %d bytes wait on disk", c.sent, most, st.Pending)
	if limit := int64(4 << 20); most > limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", most, limit)
	}
	if st.Err == nil || st.Pending < uint64(shares)*5 || c.refused.Load() != 0 {
		t.Errorf("status %+v, %d shares refused", st, c.refused.Load())
	}
	srv.Run()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), max(patience, time.Duration(shares)*time.Millisecond))
	defer cancel()
	if err := b.l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	t.Logf("drained in %s, %.0f shares a second", took.Round(time.Millisecond), float64(shares)/took.Seconds())
	got := b.all()
	for i := range c.members {
		m := &c.members[i]
		if want := uint64(m.told.Load()) * crowdShare; got[m.name] != (Sum{want, 0}) {
			t.Errorf("wallet %d has %v, told %d", i, got[m.name], want)
		}
	}
	if p := b.pool(); p.Shares != uint64(c.sent) || p.Hashes != uint64(c.sent)*crowdShare {
		t.Errorf("pool %+v", p)
	}
	report := audit(t, b)
	if len(report.Differences)+len(report.Unchecked) != 0 || report.Shares != uint64(c.sent) {
		t.Errorf("the audit says %+v", report)
	}
}
