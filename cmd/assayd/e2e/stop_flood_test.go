package e2e

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopUnderFlood: with 24 sessions that forge as fast as they can, and a
// RandomX cache being filled, the node is gone in the time promised, each time.
func TestStopUnderFlood(t *testing.T) {
	for round := range 3 {
		fake := newFake(t, 1000)
		n := startNode(t, "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=2")
		f := forgery{sessions: 24, host: forgingHost, claims: true}.begin(t, n.ports[0])
		n.wait("the flood to be in the queue", func() error {
			s := n.metrics()
			if judged := s.Sum("assay_shares_total", "verdict", "bad_hash"); judged < 20 || f.sent.Load() < 2000 {
				return fmt.Errorf("%v judged, %d sent", judged, f.sent.Load())
			}
			return nil
		})
		// The next epoch's seed is the block at height 2048: its cache begins to be
		// filled as soon as the node learns of it.
		fake.SetHeight(2049)
		fake.SetSeeds(seedOf(t, genesis), fake.Tip(), 0)
		fake.Extend(1)
		n.wait("a second cache", func() error {
			if building := n.metric("assay_randomx_epochs_waiting", "", ""); building == 0 {
				return errors.New("none is being filled")
			}
			return nil
		})
		began := time.Now()
		if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-n.done:
		case <-time.After(patience):
			t.Fatalf("the node did not end within %v of SIGTERM", patience)
		}
		took := time.Since(began)
		if took > stopWithin {
			t.Errorf("round %d: the node took %v to stop, promised are %v", round, took, stopWithin)
		}
		t.Logf("round %d: stopped in %v after %d forged shares, %v", round, took.Round(time.Millisecond), f.sent.Load(), n.err)
		text := n.out.String()
		t.Logf("its last words: %s", text[strings.LastIndex(text, "msg=stopping"):])
		f.stop()
	}
}
