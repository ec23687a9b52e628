package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// acceptedAt is when the node logged that its nth block was accepted.
func (n *node) acceptedAt(nth int) (at time.Time) {
	n.t.Helper()
	line := regexp.MustCompile(`time=(\S+) .*msg="block accepted"`)
	n.wait(fmt.Sprintf("accepted block %d in the log", nth), func() error {
		found := line.FindAllStringSubmatch(n.out.String(), -1)
		if len(found) < nth {
			return fmt.Errorf("%d so far", len(found))
		}
		var err error
		at, err = time.Parse(time.RFC3339Nano, found[nth-1][1])
		return err
	})
	return at
}

// TestOwnBlockIsANewJobAtOnce: without ZMQ, and long before a poll is due, the
// job after our own block is on it.
func TestOwnBlockIsANewJobAtOnce(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: 2})
	n := startNode(t, "--daemon", m.URL, "--daemon-poll", "1m", "--listen", "127.0.0.1:0,diff=2")
	c, job := login(t, n.ports[0], walletA)
	var took, fromAnswer []time.Duration
	for range 6 {
		nonce, result := c.find(job, true)
		sent := time.Now()
		if text := c.submit(job, nonce, result); text != "" {
			t.Fatalf("a share of height %d: %s", job.Height, text)
		}
		next := c.nextJob()
		got := time.Now()
		took = append(took, got.Sub(sent))
		fromAnswer = append(fromAnswer, got.Sub(n.acceptedAt(len(took))))
		if next.Height != job.Height+1 || m.BlockIDAt(job.Height) != [32]byte(next.Blob[prevAt:prevEnd]) {
			t.Errorf("the job after block %d is of height %d on %x", job.Height, next.Height, next.Blob[prevAt:prevEnd])
		}
		job = next
	}
	slices.Sort(took)
	if last := took[len(took)-1]; last > 30*time.Second {
		t.Errorf("a job came %v after its block was found: it waited for a poll", last)
	}
	slices.Sort(fromAnswer)
	t.Logf("to the job on a found block: median %v from its share, most of it the daemon's own verification; median %v, at most %v from the daemon's answer",
		took[len(took)/2].Round(time.Millisecond), fromAnswer[len(took)/2].Round(time.Millisecond), fromAnswer[len(took)-1].Round(time.Millisecond))
	n.wait("six blocks", func() error {
		if won := n.metric("assay_blocks_accepted_total", "", ""); won < 6 {
			return fmt.Errorf("%v accepted", won)
		}
		return nil
	})
	n.stop()
}
