//go:build crashpoints

package crash

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestKills starts this test program again, which dies at the time it was told.
func TestKills(t *testing.T) {
	const marker = "ASSAY_CRASH_CHILD"
	if os.Getenv(marker) != "" {
		for range 3 {
			os.Stdout.WriteString("x")
			At(JournalAfterReply)
			At(JournalBeforeFound)
		}
		return
	}
	for _, c := range []struct {
		plan, out string
		killed    bool
	}{
		{"journal-after-reply", "x", true},
		{"journal-after-reply:2", "xx", true},
		{"journal-before-found:3", "xxx", true},
		{"ledger-after-call", "xxx", false},
	} {
		t.Run(c.plan, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestKills$")
			cmd.Env = append(os.Environ(), marker+"=1", Env+"="+c.plan)
			out, err := cmd.Output()
			ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if killed := ws.Signaled() && ws.Signal() == syscall.SIGKILL; killed != c.killed {
				t.Fatalf("killed = %v (%v), want %v", killed, err, c.killed)
			}
			if n := len(c.out); string(out[:min(n, len(out))]) != c.out {
				t.Errorf("output %q, want %q first", out, c.out)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"journal-nothing", "journal-after-reply:0", "journal-after-reply:x"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", text)
				}
			}()
			parse(text)
		}()
	}
}
