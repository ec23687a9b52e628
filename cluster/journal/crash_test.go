//go:build crashpoints

package journal

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/internal/crash"
)

const crashDir = "ASSAY_JOURNAL_CRASH_DIR"

// TestCrash kills a process that writes a journal at each point, several times over
// on the same folder: what it was told is there, once, and the next start works.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashChild(t, dir)
		return
	}
	for _, p := range crash.Points() {
		if !strings.HasPrefix(string(p), "journal-") {
			continue
		}
		removes := p == crash.JournalBeforeRemove || p == crash.JournalAfterRemove
		t.Run(string(p), func(t *testing.T) {
			dir := t.TempDir()
			told := make(map[uint64]bool)
			for _, n := range []int{1, 2, 3, 7} {
				cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
				cmd.Env = append(os.Environ(), crashDir+"="+dir, fmt.Sprintf("%s=%s:%d", crash.Env, p, n), fmt.Sprintf("ASSAY_JOURNAL_CRASH_RELEASE=%v", removes))
				out, err := cmd.Output()
				if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
					t.Fatalf("time %d: %v, %s", n, err, out)
				}
				for line := range bytes.Lines(out) {
					var d uint64
					if _, err := fmt.Sscanf(string(line), "told %d\n", &d); err == nil {
						told[d] = true
					}
				}
				afterCrash(t, dir, told, removes)
			}
		})
	}
}

// crashChild writes until it is killed, and prints what it is told.
func crashChild(t *testing.T, dir string) {
	cfg := testConfig(dir)
	cfg.SegmentBytes, cfg.Keep = 300, time.Nanosecond
	j := mustOpen(t, cfg)
	r, err := j.NewReader("child", j.Begin())
	if err != nil {
		t.Fatal(err)
	}
	start := uint64(time.Now().UnixNano())
	for i := range uint64(2000) {
		d := start + i
		c := share(int(i))
		c.Difficulty = d % (1 << 40)
		w := newWaiter(t)
		j.Credit(c, told(func(err error) {
			if err == nil {
				fmt.Printf("told %d\n", c.Difficulty)
			}
			w.Committed(err)
		}))
		if i%10 == 5 {
			found(t, j, Found{Block: block(int(i)), Bytes: []byte("a block")})
		}
		if err := w.wait(); err != nil {
			t.Fatal(err)
		}
		if os.Getenv("ASSAY_JOURNAL_CRASH_RELEASE") == "true" {
			r.Release(j.End())
		}
	}
	t.Fatal("nobody killed it")
}

func afterCrash(t *testing.T, dir string, told map[uint64]bool, removes bool) {
	t.Helper()
	j := mustOpen(t, testConfig(dir))
	defer mustClose(t, j)
	seen := make(map[uint64]int)
	for _, rec := range readAll(t, j, j.Begin()) {
		if rec.Kind == KindLost {
			t.Fatalf("lost: %+v", rec.Lost)
		}
		if rec.Kind == KindCredit {
			seen[rec.Credit.Difficulty]++
		}
	}
	for d, n := range seen {
		if n > 1 {
			t.Errorf("credit %d is there %d times", d, n)
		}
	}
	for d := range told {
		if seen[d] == 0 && !removes {
			t.Errorf("credit %d was told and is not there", d)
		}
	}
	if u := j.Unsettled(); len(seen) > 10 && len(u) == 0 {
		t.Error("no block is open")
	}
}
