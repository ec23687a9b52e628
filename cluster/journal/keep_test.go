package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// fill appends shares until the journal has so many segments.
func fill(t testing.TB, j *Journal, segments int) {
	t.Helper()
	for i := 0; len(segmentFiles(t, j.cfg.Dir)) < segments; i++ {
		credit(t, j, share(i))
	}
}

// TestKeep: a segment goes when every reader has released it and its time is over,
// and not before.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(t.TempDir())
		cfg.Sync, cfg.SegmentBytes, cfg.Keep = SyncOff, 500, time.Hour
		j := mustOpen(t, cfg)
		defer mustClose(t, j)
		fill(t, j, 5)
		time.Sleep(2 * time.Hour)
		if n := len(segmentFiles(t, cfg.Dir)); n != 5 {
			t.Fatalf("without a reader %d of 5 segments are left", n)
		}
		slow, err := j.NewReader("slow", 0)
		if err != nil {
			t.Fatal(err)
		}
		fast, err := j.NewReader("fast", 0)
		if err != nil {
			t.Fatal(err)
		}
		fast.Release(j.End())
		time.Sleep(time.Minute)
		if n := len(segmentFiles(t, cfg.Dir)); n != 5 || j.Begin() != 0 {
			t.Fatalf("one reader has released nothing, and %d of 5 segments are left", n)
		}
		if s := j.Status(); s.Unreleased != uint64(s.End) {
			t.Errorf("unreleased %d, want %d", s.Unreleased, s.End)
		}
		third := j.shelf.segs[3].base
		slow.Release(third - 1)
		time.Sleep(time.Minute)
		if n := len(segmentFiles(t, cfg.Dir)); n != 3 || j.Begin() != j.shelf.segs[0].base {
			t.Fatalf("%d segments are left, want 3", n)
		}
		slow.Release(0) // takes nothing back
		slow.Release(third)
		time.Sleep(time.Minute)
		if n := len(segmentFiles(t, cfg.Dir)); n != 2 || j.Begin() != third {
			t.Fatalf("%d segments are left, want 2", n)
		}
		// What is gone is said to be, with the sums up to there.
		is := readAll(t, j, 0)
		if is[0].Kind != KindLost || is[0].At != 0 || is[0].End != third || is[0].Sums != j.shelf.segs[0].sums {
			t.Errorf("before the oldest: %+v", is[0])
		}
		// New segments are young: they stay.
		fill(t, j, 5)
		slow.Close()
		fast.Release(j.End())
		time.Sleep(time.Minute)
		if n := len(segmentFiles(t, cfg.Dir)); n != 4 { // what had been the last is old
			t.Errorf("%d segments are left, want 4", n)
		}
		if j.metrics.early == nil || value(t, j.metrics.early) != 0 {
			t.Error("segments went early")
		}
		fast.Close()
	})
}

func value(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	if m.Counter != nil {
		return m.Counter.GetValue()
	}
	return m.Gauge.GetValue()
}

// TestMaxBytes: released segments go early; without any credits are refused, events
// are not; it ends when there is room.
func TestMaxBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := newLogLines()
		cfg := testConfig(t.TempDir())
		cfg.Sync, cfg.MaxBytes, cfg.Log = SyncOff, 20_000, slog.New(lines)
		j := mustOpen(t, cfg)
		defer mustClose(t, j)
		r, err := j.NewReader("test", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for i := range 3000 { // 60 KB: more than fits
			credit(t, j, share(i))
			r.Release(j.End())
			synctest.Wait()
		}
		if early := value(t, j.metrics.early); early < 10 || lines.count("before --journal-keep is over") != 1 {
			t.Errorf("%v segments went early, log %q", early, lines.lines)
		}
		if size := j.Status().Bytes; size > cfg.MaxBytes {
			t.Errorf("%d bytes", size)
		}
		var w *waiter
		for i := 0; ; i++ { // nothing is released any more
			w = newWaiter(t)
			j.Credit(share(i), w)
			if w.wait() != nil {
				break
			}
			synctest.Wait()
			if i > 3000 {
				t.Fatal("never full")
			}
		}
		if !errors.Is(w.err, ErrFull) || !strings.Contains(w.err.Error(), "--journal-max") {
			t.Errorf("refused by %v", w.err)
		}
		if err := j.Admit(); !errors.Is(err, ErrFull) {
			t.Errorf("admit says %v", err)
		}
		found(t, j, Found{Block: block(1), Bytes: make([]byte, 2000)})
		synctest.Wait()
		if s := j.Status(); s.Bytes < cfg.MaxBytes || !errors.Is(s.Err, ErrFull) {
			t.Errorf("status %+v", s)
		}
		for i := 1; ; i++ { // a chain of which every share is a block does not fill the disk
			j.Settle(Settled{Block: block(i), At: time.Now()}, nil)
			synctest.Wait()
			w := newWaiter(t)
			j.Found(Found{Block: block(i + 1), Bytes: make([]byte, 2000)}, w)
			if err := w.wait(); err != nil {
				if !errors.Is(err, ErrFull) {
					t.Errorf("a block is refused by %v", err)
				}
				break
			}
			if i > 10 {
				t.Fatal("blocks have no limit")
			}
		}
		if size := j.Status().Bytes; size > cfg.MaxBytes+cfg.MaxBytes/4 {
			t.Errorf("%d bytes with blocks", size)
		}
		if on := bytesOnDisk(t, cfg.Dir); on != j.Status().Bytes {
			t.Errorf("%d bytes on disk, %d counted", on, j.Status().Bytes)
		}
		r.Release(j.End())
		synctest.Wait()
		if err := j.Admit(); err != nil {
			t.Errorf("with room, admit says %v", err)
		}
		credit(t, j, share(0))
		if lines.count("the journal is full") != 1 || lines.count("has room again") != 1 {
			t.Errorf("log %q", lines.lines)
		}
	})
}

func bytesOnDisk(t testing.TB, dir string) (n int64) {
	for _, f := range segmentFiles(t, dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// TestSkip: the hole is no damage, and a position in it is as good as its end.
func TestSkip(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			j := mustOpen(t, cfg)
			defer func() { mustClose(t, j) }()
			for i := range 5 {
				credit(t, j, share(i))
			}
			end := j.End()
			if err := j.Skip(end); err != nil || j.End() != end {
				t.Fatalf("a skip to the end: %v, end %d", err, j.End())
			}
			to := end + 1000
			if err := j.Skip(to); err != nil || j.End() != to {
				t.Fatalf("skip: %v, end %d, want %d", err, j.End(), to)
			}
			if restart {
				mustClose(t, j)
				j = mustOpen(t, cfg)
			}
			credit(t, j, share(5))
			all := readAll(t, j, 0)
			if len(all) != 6 || all[5].At != to || all[4].End != end || all[5].Sums.Shares != 6 {
				t.Fatalf("read %+v", all)
			}
			for _, from := range []Position{end, end + 1, to - 1, to} {
				if rest := readAll(t, j, from); !reflect.DeepEqual(rest, all[5:]) {
					t.Errorf("from %d: %+v", from, rest)
				}
			}
		})
	}
}

// TestSkipOnBadDisk says so at once, and is done with the next good segment.
func TestSkipOnBadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newFaultFS()
		cfg := testConfig(t.TempDir())
		cfg.FS = disk.fs
		j := mustOpen(t, cfg)
		defer mustClose(t, j)
		disk.set(broken(syscall.ENOSPC))
		for range 2 {
			if err := j.Skip(5000); !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}
		disk.set(nil)
		until(t, "recovery", func() bool { return j.Admit() == nil })
		if err := j.Skip(5000); err != nil || j.End() != 5000 {
			t.Errorf("%v, end %d", err, j.End())
		}
		credit(t, j, share(0))
		if all := readAll(t, j, 0); len(all) != 1 || all[0].At != 5000 {
			t.Errorf("read %+v", all)
		}
	})
}

// TestCarry: unsettled blocks come over any number of segments and starts, whole;
// settled ones do not.
func TestCarry(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.FS, cfg.SegmentBytes = quickFS(), 100
	j := mustOpen(t, cfg)
	var want []Found
	for i := range 30 {
		f := Found{Block: block(i), Bytes: []byte(fmt.Sprintf("the bytes of block %d", i))}
		found(t, j, f)
		for k := range 10 { // several segments
			credit(t, j, share(k))
		}
		switch {
		case i%3 != 0:
			settle(t, j, Settled{Block: f.Block, Accepted: i%2 == 0})
		default:
			want = append(want, f)
		}
		if i%7 == 6 {
			mustClose(t, j)
			j = mustOpen(t, cfg)
			if got := j.Unsettled(); !reflect.DeepEqual(got, want) {
				t.Fatalf("after block %d: %d unsettled, want %d", i, len(got), len(want))
			}
		}
	}
	if s := j.Status(); s.Open != len(want) {
		t.Errorf("%d open, want %d", s.Open, len(want))
	}
	mustClose(t, j)
	files := segmentFiles(t, cfg.Dir)
	if len(files) < 60 {
		t.Errorf("only %d segments", len(files))
	}
	for _, f := range files[:len(files)-1] {
		os.Remove(f) // a start needs the last one alone
	}
	j = mustOpen(t, cfg)
	if got := j.Unsettled(); !reflect.DeepEqual(got, want) {
		t.Errorf("from the last segment: %d unsettled, want %d", len(got), len(want))
	}
	for _, f := range want {
		settle(t, j, Settled{Block: f.Block})
	}
	mustClose(t, j)
	j = mustOpen(t, cfg)
	defer mustClose(t, j)
	if got := j.Unsettled(); len(got) != 0 {
		t.Errorf("all settled, %d are not", len(got))
	}
}

// TestManyNames: a segment ends when it has too many; beyond that a credit has its
// name with it. Nothing is lost.
func TestManyNames(t *testing.T) {
	disk := newFaultFS()
	cfg := testConfig(t.TempDir())
	cfg.FS, cfg.Stall, cfg.MaxWaiting = disk.fs, time.Hour, 1<<30
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	release := disk.holdSync()
	first := newWaiter(t)
	j.Credit(share(0), first)
	<-disk.waiting
	const n = maxNames + 1000
	last := newWaiter(t)
	for i := range n {
		var d Done
		if i == n-1 {
			d = last
		}
		j.Credit(Credit{Wallet: fmt.Sprint("w", i), Worker: "r", Difficulty: uint64(i + 1), Time: noon}, d)
	}
	release()
	if err := last.wait(); err != nil {
		t.Fatal(err)
	}
	credit(t, j, share(1))
	if got := len(segmentFiles(t, cfg.Dir)); got != 2 {
		t.Errorf("%d segments, want 2", got)
	}
	r, err := j.NewReader("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := -1; i <= n; i++ {
		rec, err := r.Next()
		if err != nil || rec.Kind != KindCredit {
			t.Fatal(rec, err)
		}
		if i >= 0 && i < n && (rec.Credit.Wallet != fmt.Sprint("w", i) || rec.Credit.Difficulty != uint64(i+1)) {
			t.Fatalf("credit %d is %+v", i, rec.Credit)
		}
	}
}
