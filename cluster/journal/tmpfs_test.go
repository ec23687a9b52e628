package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFullDisk fills a file system of 1 MiB, and makes room again.
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a file system of 1 MiB cannot be mounted (needs root): %v", err)
	}
	defer unix.Unmount(mount, unix.MNT_DETACH)
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 400<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(filepath.Join(mount, "journal", "pool"))
	j := mustOpen(t, cfg)
	durable := make(map[uint64]bool)
	next := 0
	try := func() error {
		c := share(next)
		next++
		c.Worker = string(make([]byte, 500)) + time.Duration(next).String() // fills faster
		w := newWaiter(t)
		j.Credit(c, w)
		err := w.wait()
		durable[c.Difficulty] = err == nil
		return err
	}
	var err error
	for err == nil {
		if err = try(); next > 5000 {
			t.Fatal("never full")
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrDisk) {
		t.Fatal(err)
	}
	event := newWaiter(t)
	j.Found(Found{Block: block(1), Bytes: make([]byte, 1000)}, event)
	for range 3 {
		if err := try(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	if err := j.Admit(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("admit says %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := event.wait(); err != nil { // by itself
		t.Fatal(err)
	}
	for range 100 {
		if err := try(); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, j)
	checkDurable(t, cfg.Dir, durable, 1)
	j = mustOpen(t, cfg) // starts on it, full or not
	if u := j.Unsettled(); len(u) != 1 {
		t.Errorf("%d unsettled", len(u))
	}
	mustClose(t, j)
}
