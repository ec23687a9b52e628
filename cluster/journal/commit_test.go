package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assay-pool/assay/validator/verify"
)

// TestReplyAfterSync: nobody is told before the disk has answered.
func TestReplyAfterSync(t *testing.T) {
	disk := newFaultFS()
	cfg := testConfig(t.TempDir())
	cfg.FS, cfg.Stall = disk.fs, time.Hour
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	credit(t, j, share(0))
	end := j.End()
	release := disk.holdSync()
	first, block1 := newWaiter(t), newWaiter(t)
	j.Credit(share(1), first)
	<-disk.waiting
	j.Found(Found{Block: block(1), Bytes: []byte("block")}, block1) // of the next batch
	if _, ok := first.told(); ok || j.End() != end || len(readAll(t, j, end)) != 0 {
		t.Error("a share is known before it is durable")
	}
	release()
	if err := errors.Join(first.wait(), block1.wait()); err != nil {
		t.Fatal(err)
	}
	if n := len(readAll(t, j, end)); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// TestGrouping: what comes while a commit is under way shares the next one.
func TestGrouping(t *testing.T) {
	disk := newFaultFS()
	cfg := testConfig(t.TempDir())
	cfg.FS, cfg.Stall = disk.fs, time.Hour
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	release := disk.holdSync()
	w := newWaiter(t)
	j.Credit(share(0), w)
	<-disk.waiting
	const n = 1000
	waiters := make([]*waiter, n)
	var order []int
	for i := range waiters {
		waiters[i] = newWaiter(t)
		j.Credit(share(i), told(func(err error) {
			order = append(order, i) // the committer's alone
			waiters[i].Committed(err)
		}))
	}
	disk.mu.Lock()
	before := disk.calls
	disk.mu.Unlock()
	release()
	for _, w := range waiters {
		if err := w.wait(); err != nil {
			t.Fatal(err)
		}
	}
	disk.mu.Lock()
	calls := disk.calls - before
	disk.mu.Unlock()
	if calls != 2 {
		t.Errorf("%d shares took %d calls to the disk, want one write and one sync", n, calls)
	}
	for i, o := range order {
		if o != i {
			t.Fatalf("waiter %d was told as number %d", o, i)
		}
	}
}

// TestLatencyRule: the first share after a pause is committed at once, later ones
// once in an interval that is counted from the beginning of the commit before.
func TestLatencyRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t.TempDir())
		cfg.Sync = Sync(100 * time.Millisecond)
		j := mustOpen(t, cfg)
		defer mustClose(t, j)
		time.Sleep(time.Minute) // the bubble's clock
		start := time.Now()
		var times []time.Duration
		var mu sync.Mutex
		d := told(func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			times = append(times, time.Since(start))
		})
		for i := range 25 { // one every 10 ms
			j.Credit(share(i), d)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(times) != 25 {
			t.Fatalf("%d of 25 shares were committed", len(times))
		}
		for i, at := range times {
			// The share sent at i·10 ms belongs to the commit at the next 100 ms.
			want := time.Duration((i+9)/10) * 100 * time.Millisecond
			if at < want || at >= want+time.Millisecond && i%10 != 0 {
				t.Errorf("share %d, sent after %dms, was committed after %v, want %v", i, 10*i, at, want)
			}
		}
	})
}

// TestCreditAllocatesNothing also over segments and commits, with many names.
func TestCreditAllocatesNothing(t *testing.T) {
	for _, c := range []struct {
		names int
		work  bool
	}{{1, false}, {10_000, false}, {1000, true}} {
		t.Run(fmt.Sprintf("%d names, work %v", c.names, c.work), func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			cfg.Sync = SyncOff
			j := mustOpen(t, cfg)
			defer mustClose(t, j)
			credits := make([]Credit, c.names)
			for i := range credits {
				credits[i] = Credit{Wallet: fmt.Sprintf("wallet%d", i), Worker: "rig", Difficulty: 1000, Time: noon}
				if c.work {
					credits[i].Work = new(verify.Work)
					credits[i].Work.SetInput(make([]byte, 76))
				}
			}
			var failed atomic.Int64
			var pending sync.WaitGroup
			d := new(countDone)
			d.pending, d.failed = &pending, &failed
			round := func() {
				pending.Add(1000)
				for i := range 1000 {
					j.Credit(credits[i%c.names], d)
				}
				pending.Wait()
			}
			for range 2 * max(10, c.names/1000) { // both buffers, all names
				round()
			}
			// A round has some commits; nothing of theirs grows with its shares.
			if got := testing.AllocsPerRun(20, round); got > 2 {
				t.Errorf("%.0f allocations in 1000 credits", got)
			}
			if failed.Load() > 0 {
				t.Errorf("%d credits were refused", failed.Load())
			}
		})
	}
}

type countDone struct {
	pending *sync.WaitGroup
	failed  *atomic.Int64
}

func (d *countDone) Committed(err error) {
	if err != nil {
		d.failed.Add(1)
	}
	d.pending.Done()
}

// TestReaderAllocatesNothing for credits whose names it has met.
func TestReaderAllocatesNothing(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Sync = SyncOff
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	var pending sync.WaitGroup
	d := &countDone{pending: &pending, failed: new(atomic.Int64)}
	const n = 20_000
	pending.Add(n)
	for i := range n {
		c := share(i)
		if i%3 == 0 {
			c.Work = new(verify.Work)
			c.Work.Key.Seed[0] = 1
			c.Work.SetInput(make([]byte, 76))
		}
		j.Credit(c, d)
	}
	pending.Wait()
	r, err := j.NewReader("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 100 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	got := testing.AllocsPerRun(15_000, func() {
		if rec, err := r.Next(); err != nil || rec.Kind != KindCredit {
			t.Fatal(rec, err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations a record", got)
	}
}

// TestConcurrent: many goroutines append all kinds; a reader follows; the sums are
// exact to the share.
func TestConcurrent(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Sync, cfg.SegmentBytes = Sync(time.Millisecond), 20_000
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	const writers, each = 16, 400
	var want Sums
	var mu sync.Mutex
	var all sync.WaitGroup
	var credits, blocks, answers atomic.Int64
	for g := range writers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			for i := range each {
				if i%100 == 50 {
					b := block(g*each + i)
					j.Found(Found{Block: b, Bytes: make([]byte, 100)}, told(func(error) { answers.Add(1) }))
					j.Settle(Settled{Block: b, Accepted: true}, told(func(error) { answers.Add(1) }))
					blocks.Add(1)
					continue
				}
				c := share(i)
				c.Wallet, c.Difficulty = fmt.Sprintf("wallet%d", rng.IntN(500)), rng.Uint64N(1<<40)+1
				j.Credit(c, told(func(err error) {
					if answers.Add(1); err != nil {
						t.Error(err)
					}
				}))
				credits.Add(1)
				mu.Lock()
				want.Hashes += c.Difficulty
				want.Shares++
				mu.Unlock()
			}
		})
	}
	r, err := j.NewReader("follow", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got Sums
	read := 0
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()
	stop := time.After(deadline)
	for over := false; ; {
		for _, rec := range drain(t, r) {
			if read++; rec.Kind == KindLost {
				t.Fatalf("lost: %+v", rec.Lost)
			}
			got = rec.Sums
		}
		if over && read == int(credits.Load()+2*blocks.Load()) {
			break
		}
		select {
		case <-r.Ready():
		case <-finished:
			over, finished = true, nil
		case <-stop:
			t.Fatalf("read %d of %d records", read, credits.Load()+2*blocks.Load())
		}
	}
	if got != want {
		t.Errorf("sums %v, want %v", got, want)
	}
	if n := credits.Load() + 2*blocks.Load(); answers.Load() != n {
		t.Errorf("%d answers, want %d", answers.Load(), n)
	}
	if s := j.Status(); s.Open != 0 || s.Err != nil {
		t.Errorf("status %+v", s)
	}
}

// TestEventsAreNotPaced: a found block is written at once, and takes with it what
// waits for the next commit.
func TestEventsAreNotPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t.TempDir())
		cfg.Sync = Sync(time.Second)
		j := mustOpen(t, cfg)
		defer mustClose(t, j)
		credit(t, j, share(0))
		began := time.Now()
		waits := newWaiter(t)
		j.Credit(share(1), waits)
		synctest.Wait()
		if _, ok := waits.told(); ok {
			t.Error("a credit is not paced")
		}
		found(t, j, Found{Block: block(1), Bytes: []byte("block")})
		if _, ok := waits.told(); !ok || time.Since(began) != 0 {
			t.Errorf("told %v, after %v", ok, time.Since(began))
		}
		credit(t, j, share(2)) // and then at the old pace
		if took := time.Since(began); took != time.Second {
			t.Errorf("the next commit came after %v, want 1s", took)
		}
	})
}
