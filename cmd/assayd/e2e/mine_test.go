package e2e

import (
	"fmt"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// checkChain holds the blocks in Redis to the chain: as many as it has grown
// by, each with the id monerod has at that height.
func checkChain(t *testing.T, b *books, m *daemontest.Monerod, before uint64) {
	t.Helper()
	blocks := b.blocks()
	if grown := m.Height() - before; uint64(len(blocks)) != grown {
		t.Errorf("Redis has %d blocks, the chain has grown by %d", len(blocks), grown)
	}
	for _, block := range blocks {
		if id := m.BlockIDAt(block.Height); id != block.ID {
			t.Errorf("height %d: Redis has block %x, monerod %x", block.Height, block.ID, id)
		}
	}
}

// TestMining is the whole path: three rigs of two wallets on two ports find
// real blocks, and the books say what the miners were told.
func TestMining(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: 24})
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ,
		"--listen", "127.0.0.1:0,diff=5", "--listen", "127.0.0.1:0,diff=7,desc=Farms")
	if len(n.ports) != 2 {
		t.Fatalf("the banner names the ports %v, two were asked for", n.ports)
	}
	before := m.Height()
	c := hire(t,
		rig{n.ports[0], walletA, "left"},
		rig{n.ports[1], walletA, "right"},
		rig{n.ports[1], walletB, "other"})
	n.wait("three blocks, and a share of every rig", func() error {
		if got := n.metric("assay_blocks_accepted_total", "", ""); got < 3 {
			return fmt.Errorf("%v blocks", got)
		}
		for i, miner := range c.miners {
			if miner.Stats().Accepted == 0 {
				return fmt.Errorf("rig %d has no share yet", i)
			}
		}
		return nil
	})
	who := c.rest()
	n.checkI1()
	s := n.metrics()
	n.stop()

	b := openBooks(t, redis.URL(), "default")
	b.equal(who)
	checkChain(t, b, m, before)
	if got, want := s.Sum("assay_blocks_accepted_total", "", ""), float64(len(b.blocks())); got != want {
		t.Errorf("the metrics counted %v blocks, Redis has %v", got, want)
	}
	var credited uint64
	for _, w := range who {
		credited += w.hashes
	}
	if got := s.Sum("assay_credited_difficulty_total", "", ""); got != float64(credited) {
		t.Errorf("the metrics have credited %v, the miners were told %d", got, credited)
	}
	t.Logf("%d blocks, %d difficulty credited", len(b.blocks()), credited)
}

// TestRoundIsExact mines in lock step, so that it is known on which side of a
// block each share lies: a round holds exactly the shares told accepted since
// the block before, the finder's included.
func TestRoundIsExact(t *testing.T) {
	const difficulty, blocks = 3, 3
	m := daemontest.Start(t, daemontest.Options{Difficulty: 9})
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ, "--listen", "127.0.0.1:0,diff=3")
	b := openBooks(t, redis.URL(), "default")
	before := m.Height()
	c, job := login(t, n.ports[0], walletA+".lone")
	var sums []uint64
	sum := uint64(0)
	for len(sums) < blocks {
		c.share(job)
		sum += difficulty
		n.wait("the block's fate", func() error {
			s := n.metrics()
			if found, judged := s.Sum("assay_blocks_found_total", "", ""), s.Sum("assay_blocks_accepted_total", "", "")+s.Sum("assay_blocks_rejected_total", "", ""); found != judged {
				return fmt.Errorf("%v found, %v judged", found, judged)
			}
			return nil
		})
		if won := n.metric("assay_blocks_accepted_total", "", ""); int(won) > len(sums) {
			sums = append(sums, sum)
			sum = 0
			// A second block on the same parent would lose against the first.
			job = c.nextJob()
		}
		job = c.newest(job)
	}
	c.share(job)
	n.wait("the last share in Redis", func() error {
		if got := b.sum()[""].hashes; got != difficulty*uint64(n.metric("assay_shares_total", "class", "accepted")) {
			return fmt.Errorf("the rounds have %d", got)
		}
		return nil
	})
	n.stop()
	rounds := b.rounds()
	if len(rounds) < blocks+1 {
		t.Fatalf("%d rounds, at least %d are closed", len(rounds), blocks)
	}
	for i, want := range sums {
		// Newest first, and the open round last; a block of the last share would
		// be one more in front.
		r := rounds[len(rounds)-2-i]
		if r.Hashes != want || r.Shares != want/difficulty || len(r.Wallets) != 1 || r.Wallets[walletA].Hashes != want {
			t.Errorf("the round of chunks %d to %d has %d in %d shares, %v; told accepted were %d", r.First, r.Last, r.Hashes, r.Shares, r.Wallets, want)
		}
	}
	checkChain(t, b, m, before)
}
