package journal

import (
	"errors"
	"log/slog"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/internal/logtest"
)

// TestWaitingIsBounded: beyond MaxWaiting credits are refused, until there is room.
func TestWaitingIsBounded(t *testing.T) {
	disk := newFaultFS()
	cfg := testConfig(t.TempDir())
	cfg.FS, cfg.MaxWaiting, cfg.Stall = disk.fs, 1000, time.Hour
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	release := disk.holdSync()
	var all []*waiter
	for i := range 500 {
		w := newWaiter(t)
		if i == 0 {
			j.Credit(share(0), w)
			<-disk.waiting
		} else {
			j.Credit(share(i), w)
		}
		all = append(all, w)
	}
	if err := j.Admit(); !errors.Is(err, ErrBusy) {
		t.Errorf("admit says %v", err)
	}
	release()
	taken := 0
	for _, w := range all {
		if err := w.wait(); err == nil {
			taken++
		} else if !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	if taken < 20 || taken > 80 {
		t.Errorf("%d shares of about 20 bytes in 1000 bytes", taken)
	}
	if err := j.Admit(); err != nil {
		t.Errorf("afterwards admit says %v", err)
	}
	credit(t, j, share(0))
}

// TestOpenIsBounded: found blocks beyond MaxOpen are told and logged whole.
func TestOpenIsBounded(t *testing.T) {
	lines := newLogLines()
	cfg := testConfig(t.TempDir())
	cfg.MaxOpen, cfg.Log = 3, slog.New(lines)
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	for i := range 3 {
		found(t, j, Found{Block: block(i), Bytes: []byte("b")})
	}
	found(t, j, Found{Block: block(2), Bytes: []byte("b")}) // the same again
	w := newWaiter(t)
	j.Found(Found{Block: block(3), Bytes: []byte{0xfe, 0xed}}, w)
	if err := w.wait(); !errors.Is(err, ErrOpen) || lines.count("block=feed") != 1 {
		t.Errorf("told %v, log %q", err, lines.lines)
	}
	settle(t, j, Settled{Block: block(1)})
	found(t, j, Found{Block: block(3), Bytes: []byte("b")})
	w = newWaiter(t)
	j.Found(Found{Block: block(9), Bytes: make([]byte, MaxBlock+1)}, w)
	if err := w.wait(); !errors.Is(err, ErrBlock) {
		t.Errorf("a block too long: %v", err)
	}
}

// TestLongestBlock goes through the window and out again.
func TestLongestBlock(t *testing.T) {
	for _, n := range []int{0, 1, shortRecord - 300, shortRecord, windowBytes - 200, windowBytes, windowBytes + 1, MaxBlock} {
		cfg := testConfig(t.TempDir())
		cfg.Sync = SyncOff
		j := mustOpen(t, cfg)
		bytes := make([]byte, n)
		for i := range bytes {
			bytes[i] = byte(i * i >> 3)
		}
		credit(t, j, share(0))
		found(t, j, Found{Block: block(1), Bytes: bytes})
		credit(t, j, share(1))
		all := readAll(t, j, 0)
		if len(all) != 3 || !slices.Equal(all[1].Found.Bytes, bytes) {
			t.Errorf("a block of %d bytes: %d records", n, len(all))
		}
		mustClose(t, j)
		j = mustOpen(t, cfg) // from the record
		mustClose(t, j)
		j = mustOpen(t, cfg) // from the carry
		if u := j.Unsettled(); len(u) != 1 || !slices.Equal(u[0].Bytes, bytes) || u[0].Height != 101 {
			t.Errorf("a block of %d bytes: %d unsettled", n, len(u))
		}
		mustClose(t, j)
	}
}

// TestNothingLogsUnderALock of the journal.
func TestNothingLogsUnderALock(t *testing.T) {
	h := logtest.New(t)
	disk := newFaultFS()
	cfg := testConfig(t.TempDir())
	cfg.FS, cfg.Log, cfg.MaxOpen = disk.fs, slog.New(h), 1
	j := mustOpen(t, cfg)
	h.Watch(logtest.Lock(&j.mu), logtest.Lock(&j.shelf.mu))
	found(t, j, Found{Block: block(1)})
	j.Found(Found{Block: block(2)}, nil)
	disk.set(broken(syscall.EROFS))
	w := newWaiter(t)
	j.Credit(share(0), w)
	w.wait()
	disk.set(nil)
	stop := time.Now().Add(deadline)
	for !h.Checked("the journal is written again") && time.Now().Before(stop) {
		time.Sleep(time.Millisecond)
	}
	mustClose(t, j)
	for _, line := range []string{"no share is taken: the journal cannot be written", "the journal is written again",
		"a found block has no record on disk (--data-dir); a crash before it is settled would lose it from the books"} {
		if !h.Checked(line) {
			t.Errorf("%q was not logged", line)
		}
	}
}
