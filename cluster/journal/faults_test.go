package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// logLines is a log that a test can count.
type logLines struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func newLogLines() *logLines { return &logLines{Handler: slog.DiscardHandler} }

func (l *logLines) Enabled(context.Context, slog.Level) bool { return true }
func (l *logLines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %s=%v", a.Key, a.Value); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, b.String())
	return nil
}

func (l *logLines) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// until waits for something in a bubble, whose clock runs as fast as it can.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 10_000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within 100 s", what)
}

// TestEveryFault lets each call to the disk fail once, and from each on for a while,
// in every way. Whoever was told that it is durable finds it; whoever was told
// otherwise does not; events are there whatever happens.
func TestEveryFault(t *testing.T) {
	for name, fault := range map[string]func() (int, error){
		"full":           func() (int, error) { return 0, syscall.ENOSPC },
		"full in a part": func() (int, error) { return 11, syscall.ENOSPC },
		"short":          func() (int, error) { return 7, errShort },
		"I/O error":      func() (int, error) { return 0, syscall.EIO },
	} {
		for _, lasts := range []int{1, 40} {
			t.Run(fmt.Sprintf("%s, %d calls", name, lasts), func(t *testing.T) {
				for n, fired := 1, true; fired; n++ {
					synctest.Test(t, func(t *testing.T) { fired = faultAt(t, n, lasts, fault) })
					if t.Failed() {
						t.Fatalf("call %d", n)
					}
				}
			})
		}
	}
}

// faultAt runs the journal with a fault at call n; fired is false if there are not
// so many calls.
func faultAt(t *testing.T, n, lasts int, fault func() (int, error)) (fired bool) {
	disk := newFaultFSOver(quickFS())
	disk.set(func(call int, name string) (int, error) {
		if call < n || call >= n+lasts {
			return 0, nil
		}
		fired = true
		short, err := fault()
		if err == errShort && name != "write" {
			return 0, nil
		}
		return short, err
	})
	cfg := testConfig(t.TempDir())
	cfg.FS, cfg.SegmentBytes = disk.fs, 300
	j, err := Open(cfg)
	for ; err != nil; j, err = Open(cfg) {
		if !fired {
			t.Fatal(err)
		}
	}
	durable := make(map[uint64]bool) // by difficulty
	var events []*waiter
	event := func() *waiter {
		events = append(events, newWaiter(t))
		return events[len(events)-1]
	}
	for i := range 40 {
		w := newWaiter(t)
		c := share(i)
		j.Credit(c, w)
		switch {
		case i%8 == 3:
			j.Found(Found{Block: block(i), Bytes: []byte("a block")}, event())
		case i == 22:
			j.Settle(Settled{Block: block(3), Accepted: true}, event())
		case i == 23:
			j.Vest(Vest{Wallet: "w", Hashes: 1, At: noon}, event())
		}
		durable[c.Difficulty] = w.wait() == nil
		if i == 30 {
			// Until there is a new segment, nothing on disk says where the old one ends.
			until(t, "a segment", func() bool { return j.Admit() == nil })
			if err := j.Close(t.Context()); err != nil {
				// What was kept for the next good segment is given up, and said to be.
				events = slices.DeleteFunc(events, func(w *waiter) bool { err, ok := w.told(); return ok && errors.Is(err, ErrClosed) })
			}
			if j, err = Open(cfg); err != nil {
				disk.set(nil)
				j = mustOpen(t, cfg)
			}
		}
	}
	until(t, "recovery", func() bool { // other calls bring the fault to its end
		w := newWaiter(t)
		j.Credit(Credit{Wallet: "last", Difficulty: 1, Time: noon}, w)
		if err := w.wait(); err != nil && !errors.Is(err, ErrDisk) {
			t.Fatal(err)
		}
		return w.err == nil
	})
	for i, e := range events {
		if err := e.wait(); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	}
	mustClose(t, j)
	checkDurable(t, cfg.Dir, durable, len(events))
	return fired
}

func checkDurable(t *testing.T, dir string, durable map[uint64]bool, events int) {
	t.Helper()
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint64]bool)
	for _, rec := range readAll(t, j, 0) {
		switch {
		case rec.Kind == KindLost:
			t.Errorf("lost: %+v", rec.Lost)
		case rec.Kind != KindCredit:
			events--
		case rec.Credit.Difficulty == 1: // the last
		case !durable[rec.Credit.Difficulty]:
			t.Errorf("credit %d was refused, and is there", rec.Credit.Difficulty)
		case seen[rec.Credit.Difficulty]:
			t.Errorf("credit %d is there twice", rec.Credit.Difficulty)
		default:
			seen[rec.Credit.Difficulty] = true
		}
	}
	for d, was := range durable {
		if was && !seen[d] {
			t.Errorf("credit %d was durable, and is not there", d)
		}
	}
	if events != 0 {
		t.Errorf("%d events are missing", events)
	}
}

// TestStall: a disk that does not answer holds up the committer alone. Waiters are
// answered in time, and a late success does not count.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, lines := newFaultFS(), newLogLines()
		cfg := testConfig(t.TempDir())
		cfg.FS, cfg.Log = disk.fs, slog.New(lines)
		j := mustOpen(t, cfg)
		credit(t, j, share(0))
		release := disk.holdSync()
		began := time.Now()
		inflight, next, event := newWaiter(t), newWaiter(t), newWaiter(t)
		j.Credit(share(1), inflight)
		<-disk.waiting
		j.Credit(share(2), next)
		j.Found(Found{Block: block(1), Bytes: []byte("block")}, event)
		for _, w := range []*waiter{inflight, next} {
			if err := w.wait(); !errors.Is(err, ErrDisk) || !errors.Is(err, ErrStalled) {
				t.Errorf("told %v", err)
			}
		}
		if took := time.Since(began); took != DefaultStall {
			t.Errorf("told after %v, want %v", took, DefaultStall)
		}
		if err := j.Admit(); !errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("admit says %v", err)
		}
		refused := newWaiter(t)
		j.Credit(share(3), refused)
		if err, ok := refused.told(); !ok || !errors.Is(err, ErrStalled) {
			t.Errorf("a credit meanwhile: %v, told %v", err, ok)
		}
		time.Sleep(time.Minute)
		if _, ok := event.told(); ok {
			t.Error("a block's record was given up")
		}
		release()
		if err := event.wait(); err != nil {
			t.Fatal(err)
		}
		credit(t, j, share(4))
		time.Sleep(2 * calm)
		if n := lines.count("no share is taken: "); n != 1 {
			t.Errorf("%d lines about the stall, want 1", n)
		}
		if n := lines.count("still no share is taken"); n != 2 { // after 10 s and 30 s of the minute
			t.Errorf("it was said again %d times, want 2", n)
		}
		if lines.count("the journal is written again") != 1 || lines.count("refused=3") != 1 {
			t.Errorf("the end of the stall: %q", lines.lines)
		}
		mustClose(t, j)
		checkDurable(t, cfg.Dir, map[uint64]bool{share(0).Difficulty: true, share(4).Difficulty: true}, 1)
	})
}

// TestStallThatFails: a call that stalls and then fails is one trouble.
func TestStallThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newFaultFS()
		cfg := testConfig(t.TempDir())
		cfg.FS = disk.fs
		j := mustOpen(t, cfg)
		release := disk.holdSync()
		w := newWaiter(t)
		j.Credit(share(0), w)
		<-disk.waiting
		if err := w.wait(); !errors.Is(err, ErrStalled) {
			t.Fatal(err)
		}
		disk.set(broken(syscall.EIO))
		release()
		until(t, "the cause", func() bool { return errors.Is(j.Admit(), syscall.EIO) })
		disk.set(nil)
		until(t, "recovery", func() bool { return j.Admit() == nil })
		credit(t, j, share(1))
		mustClose(t, j)
		checkDurable(t, cfg.Dir, map[uint64]bool{share(1).Difficulty: true}, 0)
	})
}

// TestOutage: a long one is logged once at each end, with its counts, also when the
// disk seems well in between.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, lines := newFaultFS(), newLogLines()
		cfg := testConfig(t.TempDir())
		cfg.FS, cfg.Log = disk.fs, slog.New(lines)
		j := mustOpen(t, cfg)
		defer mustClose(t, j)
		credit(t, j, share(0))
		for phase := range 20 {
			disk.set(broken(syscall.ENOSPC))
			for range 5 {
				j.Credit(share(1), newWaiter(t))
				time.Sleep(100 * time.Millisecond)
			}
			if err := j.Admit(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "--journal-max") {
				t.Fatalf("phase %d: admit says %v", phase, err)
			}
			if s := j.Status(); s.Err == nil || time.Since(s.Since) > time.Second {
				t.Fatalf("phase %d: status %+v", phase, s)
			}
			disk.set(nil)
			until(t, "a new segment", func() bool { return j.Admit() == nil })
			time.Sleep(calm / 2)
		}
		if lines.count("no share is taken") != 1 || lines.count("written again") != 0 {
			t.Errorf("while it lasts: %q", lines.lines)
		}
		time.Sleep(2 * calm)
		if lines.count("no share is taken") != 1 || lines.count("written again") != 1 || lines.count("refused=100") != 1 {
			t.Errorf("afterwards: %q", lines.lines)
		}
	})
}

// TestRemedies: each text names the flag.
func TestRemedies(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EIO, ErrStalled, errors.New("else")} {
		text := (&diskError{dir: "/d", cause: err}).Error()
		if !strings.Contains(text, "--data-dir") || !strings.Contains(text, "/d") || !strings.Contains(text, err.Error()) {
			t.Errorf("%v: %s", err, text)
		}
	}
}

// TestCloseWhileFailing: events that no disk took are told, and so is the caller.
func TestCloseWhileFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, lines := newFaultFS(), newLogLines()
		cfg := testConfig(t.TempDir())
		cfg.FS, cfg.Log = disk.fs, slog.New(lines)
		j := mustOpen(t, cfg)
		credit(t, j, share(0))
		disk.set(broken(syscall.EIO))
		w, event, late := newWaiter(t), newWaiter(t), newWaiter(t)
		j.Credit(share(1), w)
		j.Found(Found{Block: block(1), Bytes: []byte{0xab, 0xcd}}, event)
		if err := w.wait(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := j.Close(t.Context()); !errors.Is(err, syscall.EIO) {
			t.Errorf("close says %v", err)
		}
		if err := event.wait(); !errors.Is(err, ErrClosed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("the block was told %v", err)
		}
		if lines.count("block=abcd") != 1 {
			t.Errorf("the block is not in the log: %q", lines.lines)
		}
		j.Found(Found{Block: block(2)}, late)
		if err := late.wait(); !errors.Is(err, ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	})
}

// TestCloseInTime: a disk that hangs does not hold Close up.
func TestCloseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newFaultFS()
		cfg := testConfig(t.TempDir())
		cfg.FS = disk.fs
		j := mustOpen(t, cfg)
		release := disk.holdSync()
		w := newWaiter(t)
		j.Credit(share(0), w)
		<-disk.waiting
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := j.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close says %v", err)
		}
		if err := w.wait(); !errors.Is(err, ErrStalled) {
			t.Errorf("the waiter was told %v", err)
		}
		release()
		if err := j.Close(t.Context()); err != nil {
			t.Errorf("the disk is back: %v", err)
		}
	})
}

// TestDeathBeforeANewSegment: a batch that was written but not synced is cut off at
// once, so that a start finds nothing of it although no segment says where it ends.
func TestDeathBeforeANewSegment(t *testing.T) {
	disk := newFaultFS()
	cfg := testConfig(t.TempDir())
	cfg.FS = disk.fs
	j := mustOpen(t, cfg)
	credit(t, j, share(0))
	disk.set(func(_ int, call string) (int, error) {
		if call == "sync" || call == "create" {
			return 0, syscall.EIO
		}
		return 0, nil
	})
	w := newWaiter(t)
	j.Credit(share(1), w)
	if err := w.wait(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := j.Close(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	checkDurable(t, cfg.Dir, map[uint64]bool{share(0).Difficulty: true}, 0)
}
