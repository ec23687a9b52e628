package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// bareLedger has no Redis and no flusher running: its queue is the test's.
func bareLedger(t testing.TB, maxPending int) *Ledger {
	t.Helper()
	l := &Ledger{cfg: Config{MaxPending: maxPending, MaxFinds: DefaultMaxFinds, BatchEntries: DefaultBatchEntries, SettleTimeout: patience},
		kick: make(chan struct{}, 1), progress: make(chan struct{}), queue: []*segment{newSegment(1)}}
	var err error
	if l.metrics, err = newMetrics(nil, "test", l.Status); err != nil {
		t.Fatal(err)
	}
	l.f = newFlusher(l)
	return l
}

// A flood of refused shares, which costs its sender nothing, must not take the
// place of credits.
func TestRejectsDoNotCrowdOutCredits(t *testing.T) {
	const limit, flood = 1000, 5000
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.MaxPending = limit; c.FlushInterval = time.Hour })
	for i := range flood {
		l.Reject(fmt.Sprintf("spam%d", i%100), fmt.Sprint(i), "malformed")
	}
	if st := l.Status(); !l.Admit() || st.Pending > limit/rejectPart+1 {
		t.Errorf("%d of %d entries are rejects, admit %v", st.Pending, limit, l.Admit())
	}
	if n := testutil.ToFloat64(l.metrics.unnamed); n != flood-limit/rejectPart {
		t.Errorf("%v counted by reason only, want %d", n, flood-limit/rejectPart)
	}
	const credits = limit - limit/rejectPart - 1
	for i := range credits {
		credit(t, l, "honest", fmt.Sprint(i), 3)
	}
	l.Reject("honest", "0", "stale")
	flush(t, l)
	if r := current(t, l); r.Hashes != 3*credits || len(r.Wallets) != 1 {
		t.Errorf("round of %d hashes, %d wallets", r.Hashes, len(r.Wallets))
	}
	p, err := l.Pool(testCtx(t))
	if err != nil || p.Rejects["malformed"] != flood || p.Rejects["stale"] != 1 {
		t.Errorf("every refused share is counted by its reason: %v, %v", p.Rejects, err)
	}
	// Names that never had a share leave nothing in Redis.
	keys, err := l.cfg.Store.Do(testCtx(t), "KEYS", "*spam*").AsStrSlice()
	if err != nil || len(keys) != 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
	for i := range limit / rejectPart { // with room again they are counted by name
		l.Reject("honest", fmt.Sprint(i), "stale")
	}
	flush(t, l)
	if w, err := l.Wallet(testCtx(t), "honest"); err != nil || w.Rejects["stale"] != limit/rejectPart {
		t.Errorf("wallet %+v, %v", w, err)
	}
}

// Nor shorten what is kept of them for a Redis that forgets.
func TestRejectFloodKeepsCreditsRetained(t *testing.T) {
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.RetainEntries = 40; c.FlushInterval = time.Hour; c.Heartbeat = time.Hour })
	for i := range 5 {
		credit(t, l, "w", fmt.Sprint(i), 10)
		for j := range 1000 {
			l.Reject("w", fmt.Sprint(j%10), fmt.Sprint("reason", j%20))
			l.Reject(fmt.Sprint("spam", j), "", "stale")
		}
		flush(t, l)
	}
	if p, err := l.Pool(testCtx(t)); err != nil || p.Rejects["stale"] != 5000 || p.Rejects["reason7"] != 250 {
		t.Errorf("pool %+v, %v", p, err)
	}
	srv.Forget()
	srv.Run()
	credit(t, l, "w", "a", 1)
	flush(t, l)
	conserved(t, l, map[string]uint64{"w": 51})
	if st := l.Status(); st.Lost != 0 || st.Err != nil || st.Pending != 0 {
		t.Errorf("status %+v", st)
	}
}

// folded sums up all unsent cells and checks each segment's index.
func folded(t *testing.T, l *Ledger) (perWorker map[string]uint64, entries int) {
	t.Helper()
	perWorker = map[string]uint64{}
	for _, s := range l.queue {
		entries += s.cells.n
		if len(s.index) != s.cells.n {
			t.Fatalf("segment %d: %d cells, %d in its index", s.id, s.cells.n, len(s.index))
		}
		for i := range s.cells.n {
			c := s.cells.at(i)
			if s.index[c.key] != i {
				t.Fatalf("segment %d: cell %d is not at its place", s.id, i)
			}
			perWorker[c.key.worker] += c.hashes
		}
		if s.find != nil {
			entries++
		}
	}
	return perWorker, entries
}

// A full queue is folded while credits go on, a bounded number of cells under
// each hold of the lock that event loops wait for, and no credit is lost.
func TestFoldIsBoundedPerCall(t *testing.T) {
	for _, finds := range []int{0, 7} {
		t.Run(fmt.Sprintf("finds-%d", finds), func(t *testing.T) {
			const limit, workers = 20_000, 1500
			l := bareLedger(t, limit)
			rng := rand.New(rand.NewPCG(1, uint64(finds)))
			want := map[string]uint64{}
			var most, total uint64
			for minute := range 40 {
				for w := range workers {
					name, d := fmt.Sprint(w), rng.Uint64N(1000)+1
					before := l.folding.visited
					err := l.Credit(Credit{Wallet: "w", Worker: name, Difficulty: d, Time: noon.Add(time.Duration(minute) * time.Minute)})
					if err != nil {
						t.Fatalf("minute %d, worker %d of %d: %v", minute, w, workers, err)
					}
					want[name] += d
					looked := l.folding.visited - before
					most, total = max(most, looked), total+looked
					before = l.folding.visited
					l.Reject("w", name, "stale")
					if l.folding.visited != before {
						t.Fatal("a reject folds")
					}
				}
				if minute < finds {
					l.Found(Block{ID: blockID(minute)}).Accepted("d")
				}
			}
			got, entries := folded(t, l)
			for _, s := range l.queue {
				entries += s.refs.n
			}
			if entries != l.entries || entries > limit {
				t.Errorf("%d entries wait, %d counted, limit %d", entries, l.entries, limit)
			}
			if len(got) != len(want) {
				t.Errorf("%d workers, want %d", len(got), len(want))
			}
			for w, h := range want {
				if got[w] != h {
					t.Errorf("worker %s has %d, want %d", w, got[w], h)
				}
			}
			if total == 0 || most > 64 {
				t.Errorf("one call looked at %d cells, all at %d", most, total)
			}
		})
	}
}

// A clock that is set back by an hour stops no folding: with Redis away the room
// would be used up by an hour's minutes of each worker.
func TestFoldWithAClockSetBack(t *testing.T) {
	const limit, workers = 400, 50
	l := bareLedger(t, limit)
	want := uint64(0)
	var minutes []int
	for i := range 60 {
		minutes = append(minutes, []int{300, 60, 1000}[i/20]+i%20)
	}
	for _, minute := range minutes {
		for l.folding.running { // the pass under way does not fold what is new
			l.fold(l.folding.minute)
		}
		for w := range workers {
			for _, late := range []int{0, -1, 0} { // as shares that waited for their verdict
				c := Credit{Wallet: "w", Worker: fmt.Sprint(w), Difficulty: 3, Time: noon.Add(time.Duration(minute+late) * time.Minute)}
				if err := l.Credit(c); err != nil {
					t.Fatalf("minute %d, worker %d: %v", minute, w, err)
				}
				want += c.Difficulty
			}
		}
	}
	got, entries := folded(t, l)
	sum := uint64(0)
	for _, n := range got {
		sum += n
	}
	if sum != want || entries != l.entries || entries > limit {
		t.Errorf("%d hashes of %d, %d entries, counted %d", sum, want, entries, l.entries)
	}
}

// Segments that are sent in the middle of a pass are left alone by it.
func TestFoldWhileSending(t *testing.T) {
	l := bareLedger(t, 4000)
	at := func(worker, minute int) {
		t.Helper()
		if err := l.Credit(Credit{Wallet: "w", Worker: fmt.Sprint(worker), Difficulty: 1, Time: noon.Add(time.Duration(minute) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	for seg := range 3 {
		for w := range 500 {
			at(w, 0)
			at(w, 1)
		}
		l.Found(Block{ID: blockID(seg)})
	}
	at(0, 2)
	if l.folding.segment != 1 || l.folding.at == 0 {
		t.Fatalf("the pass has not begun: %+v", l.folding)
	}
	if !l.f.take() {
		t.Fatal("nothing to send")
	}
	sent := l.queue[0]
	for w := range 5 {
		at(w+1, 2)
	}
	if p := l.folding; p.segment != 2 || p.at == 0 {
		t.Errorf("the pass is at %+v, want it past the segment that is sent", p)
	}
	if n := l.queue[0].cells.n; n < 900 {
		t.Errorf("a segment that is being sent was folded to %d cells", n)
	}
	l.entries -= sent.cells.n // as confirm does
	l.f.dequeue(sent)
	l.f.take()
	l.entries -= l.queue[0].cells.n
	l.f.dequeue(l.queue[0]) // now the one the pass looks at is gone
	l.cfg.MaxPending = l.entries + 100
	for w := range 30 {
		at(w, 3)
	}
	if l.folding.segment < 3 {
		t.Errorf("the pass is stuck at %+v", l.folding)
	}
	_, entries := folded(t, l)
	if entries != l.entries {
		t.Errorf("%d entries wait, %d counted", entries, l.entries)
	}
}

// What is done under the lock does not grow with the entries that wait: neither
// taking a segment nor adding to it copies them.
func TestNoCopyUnderTheLock(t *testing.T) {
	takes := func(n int) uint64 {
		l := bareLedger(t, 10*n)
		credit(t, l, "w", "a", 1)
		first := l.open().cells.at(0)
		for i := range n {
			credit(t, l, "w", fmt.Sprint(i), 1)
			l.Reject("w", fmt.Sprint(i), "stale")
		}
		if s := l.open(); s.cells.at(0) != first || s.cells.n != n+1 || s.refs.n < n {
			t.Fatalf("cells have moved, or %d cells and %d rejects are not %d", s.cells.n, s.refs.n, n)
		}
		l.f.due = true
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ok := l.f.take()
		runtime.ReadMemStats(&after)
		if !ok {
			t.Fatal("nothing taken")
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	const bytes = 64 << 10 // far below the 2 MB and more that 20,000 keys have
	if few, many := takes(10), takes(20_000); many > few+bytes {
		t.Errorf("taking a segment of 20,000 entries allocates %d bytes, of 10 %d", many, few)
	}
}

// An emptied map is as large as it was, and clearing it costs as much.
func TestLargeSegmentIsNotUsedAgain(t *testing.T) {
	const n = spareBatches * DefaultBatchEntries
	for _, c := range []struct {
		name  string
		fill  func(l *Ledger)
		spare bool
	}{
		{"few", func(l *Ledger) { credit(t, l, "w", "a", 1); l.Reject("w", "a", "stale") }, true},
		{"most cells", func(l *Ledger) {
			for i := range n {
				credit(t, l, "w", fmt.Sprint(i), 1)
			}
		}, true},
		{"too many cells", func(l *Ledger) {
			for i := range n + 1 {
				credit(t, l, "w", fmt.Sprint(i), 1)
			}
		}, false},
		{"too many rejects", func(l *Ledger) {
			for i := range n + 1 {
				l.Reject("w", fmt.Sprint(i), "stale")
			}
		}, false},
		{"few cells left by a fold", func(l *Ledger) {
			for m := range n + 1 {
				l.Credit(Credit{Wallet: "w", Difficulty: 1, Time: noon.Add(time.Duration(m) * time.Minute)})
			}
			l.cfg.MaxPending = 4 // always short of room
			for range n {
				l.room(noon.Unix()/60 + n + 2)
			}
			if l.open().cells.n > 2 {
				t.Fatalf("%d cells", l.open().cells.n)
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := bareLedger(t, 1_000_000)
			c.fill(l)
			l.f.due = true
			if !l.f.take() {
				t.Fatal("nothing taken")
			}
			l.f.finishSegment()
			if (l.spare != nil) != c.spare {
				t.Errorf("used again: %v, want %v", l.spare != nil, c.spare)
			}
			if s := l.spare; s != nil && (!s.empty() || len(s.index)+len(s.rej)+len(s.reason)+s.peak != 0 || s.frozen) {
				t.Errorf("not empty: %+v", s)
			}
		})
	}
}

func TestList(t *testing.T) {
	var l list[int]
	const n = 3*chunkLen + 1
	for i := range n {
		if at := l.push(i); at != i {
			t.Fatalf("entry %d at %d", i, at)
		}
	}
	for i := range n {
		if *l.at(i) != i {
			t.Fatalf("entry %d is %d", i, *l.at(i))
		}
	}
	if len(l.chunks) != 4 {
		t.Errorf("%d chunks", len(l.chunks))
	}
	for range chunkLen {
		l.pop()
	}
	if l.n != n-chunkLen || len(l.chunks) != 3 {
		t.Errorf("%d entries in %d chunks", l.n, len(l.chunks))
	}
	l.reset()
	if l.push(7) != 0 || *l.at(0) != 7 || len(l.chunks) != 3 {
		t.Errorf("after reset: %d, %d chunks", *l.at(0), len(l.chunks))
	}
}

// endedCtx has ended, but whoever looks at Done waits until the flusher has
// written all or ended: the most that a race with it can do.
type endedCtx struct {
	context.Context
	l *Ledger
}

func (c endedCtx) Done() <-chan struct{} {
	for c.l.Status().Pending > 0 {
		select {
		case <-c.l.done:
			return c.Context.Done()
		case <-time.After(time.Millisecond):
		}
	}
	return c.Context.Done()
}

// Close sends nothing when it has no time, and says so.
func TestCloseWithoutTime(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.FlushInterval = time.Hour })
	credit(t, l, "w", "a", 40)
	flush(t, l)
	credit(t, l, "w", "a", 2)
	l.Reject("w", "a", "stale")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := l.Close(endedCtx{ctx, l})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "up to 1 shares (2 hashes) in 2 entries are not known to be in redis") {
		t.Errorf("error: %v", err)
	}
	if r := current(t, l); r.Hashes != 40 {
		t.Errorf("redis has %d hashes, want what was flushed before (40)", r.Hashes)
	}
	if err := l.Close(testCtx(t)); err != nil {
		t.Errorf("second close: %v", err)
	}
	idle := openLedger(t, l.cfg.Store, nil)
	if err := idle.Close(ctx); err != nil {
		t.Errorf("nothing was left to write: %v", err)
	}
}
