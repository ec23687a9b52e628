package server

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/validator/pool"
)

// journalled books credits on disk, as a node does; the ledger behind it is left
// out. Only these measurements know a journal here: the server does not.
type journalled struct {
	noBooks
	*journal.Journal
}

func (b journalled) Admit() bool { return b.Journal.Admit() == nil }

func (b journalled) Credit(s *pool.Share) {
	b.Journal.Credit(journal.Credit{Wallet: s.Wallet, Worker: s.Worker, Difficulty: s.Difficulty, Time: s.Received}, s)
}

func (journalled) Found(pool.Block, []byte)     {}
func (journalled) Settle(pool.Block, pool.Fate) {}

// newJournalled is a bare session over a journal on this disk.
func newJournalled(t testing.TB, sync journal.Sync) *bare {
	t.Helper()
	j, err := journal.Open(journal.Config{Dir: t.TempDir(), Pool: "bench", Sync: sync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return newBareOn(t, DefaultJobShares, journalled{Journal: j})
}

// unlimited lets the session have a whole commit's shares in flight.
func (b *bare) unlimited() {
	b.submit(1<<32 - 1) // proven, so that InflightSession counts
	b.settleAll()
	b.server.cfg.InflightSession, b.server.cfg.InflightLoop = 1<<16-1-candidateRoom, 1<<20
}

// settleAll waits until every share is answered.
func (b *bare) settleAll() {
	for b.loop.inflight > 0 {
		runtime.Gosched()
		b.loop.drainReplies()
	}
}

// TestJournalledSubmitAllocatesNothing: a share costs no memory from the read
// buffer to the journal and back, where each job gets one share, too.
func TestJournalledSubmitAllocatesNothing(t *testing.T) {
	b := newJournalled(t, journal.SyncOff)
	b.unlimited()
	n := uint32(0)
	share := func() { b.nextJob(); b.submit(n); n++; b.settleAll() }
	for range 2000 {
		share()
	}
	written := b.conn.written
	if allocs := testing.AllocsPerRun(2000, share); allocs != 0 {
		t.Errorf("%v allocations a share", allocs)
	}
	if b.conn.written == written {
		t.Error("nothing was answered")
	}
}

// BenchmarkSubmitJournal is BenchmarkSubmit with the journal behind it, group commit
// and disk included: compare its rows with those of "none". cpu-ns/share is of all
// threads, so 10⁹ through it is the shares a second that one core does.
func BenchmarkSubmitJournal(b *testing.B) {
	for _, books := range []string{"none", "off", "5ms", "always"} {
		for _, perJob := range []uint32{1, DefaultJobShares} {
			b.Run(fmt.Sprintf("%s/shares-a-job-%d", books, perJob), func(b *testing.B) {
				s := newBooked(b, books)
				s.unlimited()
				nonce := uint32(0)
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					if nonce%perJob == 0 {
						s.nextJob()
					}
					s.submit(nonce)
					nonce++
					for s.loop.inflight >= s.server.cfg.InflightSession-1 {
						runtime.Gosched()
						s.loop.drainReplies()
					}
				}
				s.settleAll()
				used := cpuTime(b) - before
				b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/share")
				b.ReportMetric(float64(b.N)/used.Seconds(), "shares/core-s")
			})
		}
	}
}

func newBooked(b *testing.B, books string) *bare {
	if books == "none" {
		return newBare(b, DefaultJobShares)
	}
	sync, err := journal.ParseSync(books)
	if err != nil {
		b.Fatal(err)
	}
	return newJournalled(b, sync)
}

// BenchmarkAnswer is the time from a submitted line to its answer, at a pace of
// 1,000 shares a second, with and without the journal in turns.
func BenchmarkAnswer(b *testing.B) {
	const pace = time.Millisecond
	for _, books := range []string{"none", "off", "5ms", "always"} {
		b.Run(books, func(b *testing.B) {
			s := newBooked(b, books)
			s.unlimited()
			took := make([]time.Duration, 0, b.N)
			sent := make([]time.Time, 0, 64)
			nonce := uint32(0)
			answered := func() {
				for len(sent) > s.loop.inflight { // answers come in order
					took = append(took, time.Since(sent[0]))
					sent = sent[1:]
				}
			}
			for b.Loop() {
				s.nextJob()
				at := time.Now()
				sent = append(sent, at)
				s.submit(nonce)
				nonce++
				for answered(); time.Since(at) < pace; answered() {
					s.loop.drainReplies()
					time.Sleep(20 * time.Microsecond) // an event loop would be woken
				}
			}
			for len(sent) > 0 {
				s.loop.drainReplies()
				answered()
			}
			slices.Sort(took)
			for _, part := range []float64{50, 99, 99.9} {
				b.ReportMetric(float64(took[int(float64(len(took))*part/100)])/1e6, fmt.Sprintf("p%v-ms", part))
			}
		})
	}
}
