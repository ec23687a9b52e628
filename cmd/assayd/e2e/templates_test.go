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

// TestSteadyTransactionsKeepWork: notices of transactions that pay nothing more
// come all the time, as when blocks are full. The template stays young, and is
// renewed at its age.
func TestSteadyTransactionsKeepWork(t *testing.T) {
	fake := newFake(t, noBlocks)
	pub := daemontest.NewPublisher(t)
	fake.SetTxs(3)
	n := startNode(t, "--daemon", fake.URL+",zmq="+pub.Addr, "--listen", "127.0.0.1:0,diff=2",
		"--template-refresh", "1s", "--template-renew", "5s", "--template-max-age", "10s")
	c, job := login(t, n.ports[0], walletA)
	// Three renewals are 15 s, well past the age at which there is no work.
	n.wait("three renewals", func() error {
		fake.SetTxs(3) // moves the timestamp
		pub.Tx()
		if age := n.metric("assay_template_age_seconds", "", ""); age >= 10 {
			t.Fatalf("the template is %.1f s old with a good daemon", age)
		}
		if got := n.metric("assay_templates_total", "", ""); got < 4 {
			return fmt.Errorf("%v templates", got)
		}
		return nil
	})
	c.share(c.newest(job))
	if s := n.metrics(); s.Sum("assay_daemon_templates_total", "result", "not_worth") == 0 {
		t.Error("no fetch was of a template that is not worth a change, so this shows nothing")
	}
	n.stop()
}

// txs is the number of transactions in a job's block, the miner's own counted:
// the last byte of its hashing blob.
func txs(blob []byte) int { return int(blob[len(blob)-1]) }

// TestTransactionLeavesThePool: a template with a transaction that monerod has
// dropped can be no block any more, and what is found on it is refused. The node
// sees the pool shrink and takes another template; if it does not see it, the
// first refused block tells.
func TestTransactionLeavesThePool(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: 2})
	w := newWallet(t, m)
	flush := func() {
		t.Helper()
		if err := m.RPC("flush_txpool", map[string]any{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	fates := func(n *node) (won, lost float64) {
		t.Helper()
		n.wait("the blocks' fate", func() error {
			s := n.metrics()
			won, lost = s.Sum("assay_blocks_accepted_total", "", ""), s.Sum("assay_blocks_rejected_total", "", "")
			if found := s.Sum("assay_blocks_found_total", "", ""); found != won+lost {
				return fmt.Errorf("%v found, %v judged", found, won+lost)
			}
			return nil
		})
		return won, lost
	}

	t.Run("a poll sees it", func(t *testing.T) {
		n := startNode(t, "--daemon", m.URL, "--template-refresh", "1s", "--listen", "127.0.0.1:0,diff=2")
		c, job := login(t, n.ports[0], walletA)
		w.pay()
		for txs(job.Blob) != 2 {
			job = c.nextJob()
		}
		flush()
		for txs(job.Blob) != 1 {
			job = c.nextJob()
		}
		c.share(job)
		if won, lost := fates(n); won != 1 || lost != 0 {
			t.Errorf("%v blocks accepted, %v refused", won, lost)
		}
		n.stop()
	})
	t.Run("a refused block tells", func(t *testing.T) {
		w.pay()
		n := startNode(t, "--daemon", m.URL, "--daemon-poll", "1m", "--listen", "127.0.0.1:0,diff=2")
		c, job := login(t, n.ports[0], walletA)
		if txs(job.Blob) != 2 {
			t.Fatalf("the first job has %d transactions", txs(job.Blob))
		}
		flush()
		c.share(job)
		job = c.nextJob()
		if txs(job.Blob) != 1 {
			t.Errorf("the job after a refused block has %d transactions", txs(job.Blob))
		}
		c.share(job)
		if won, lost := fates(n); won != 1 || lost != 1 {
			t.Errorf("%v blocks accepted, %v refused", won, lost)
		}
		n.logs("its template is dropped")
		if got := n.metric("assay_templates_dropped_total", "", ""); got != 1 {
			t.Errorf("%v templates counted as dropped", got)
		}
		n.stop()
	})
}

// TestWrongNetwork: a daemon that works, on another chain than the coin's.
func TestWrongNetwork(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{})
	n := launchNode(t, shortDir(t), "--coin", "monero", "--daemon", m.URL)
	n.waitUnready("default/daemons", "it is on regtest, and --coin monero is on mainnet")
	n.logs("a coin daemon cannot be used (--daemon)")
	n.stop()
	right := startNode(t, "--daemon", m.URL)
	right.stop()
}
