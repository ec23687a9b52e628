package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestOneWalletManyPools: two pools of one process, and a node with a Redis of
// its own, mine to one wallet on one daemon. None works on what another works on,
// and what one has credited no other credits again.
func TestOneWalletManyPools(t *testing.T) {
	fake := newFake(t, noBlocks)
	redis := redistest.Start(t)
	file := filepath.Join(t.TempDir(), "assay.conf")
	pool := "daemon = " + fake.URL + "\nlisten = 127.0.0.1:0,diff=3\n"
	if err := os.WriteFile(file, []byte("[pool one]\n"+pool+"[pool two]\n"+pool), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "--config", file, "--redis", redis.URL())
	apart := startNode(t, "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=3", "--redis", redistest.Start(t).URL())
	c, job := login(t, n.ports[0], walletA)
	nonce, result := c.share(job)
	for i, port := range []string{n.ports[1], apart.ports[0]} {
		other, same := login(t, port, walletA)
		if bytes.Equal(same.Blob, job.Blob) {
			t.Errorf("pool %d hands out the blob of the first: %x", i+2, job.Blob)
		}
		if other.submit(same, nonce, result) == "" {
			t.Errorf("pool %d has credited a hash that the first has credited", i+2)
		}
	}
	n.stop()
	apart.stop()
	if sum := openBooks(t, redis.URL(), "one").sum()[""]; sum.hashes != 3 || sum.shares != 1 {
		t.Errorf("the first pool has %+v, its miner was told of one share of 3", sum)
	}
	if sum := openBooks(t, redis.URL(), "two").sum()[""]; sum.shares != 0 {
		t.Errorf("the second pool has %+v", sum)
	}
}

// TestForeignExtraNonce: a block of the chain that has an extra nonce of the node
// and was not found by it raises the alarm, and the node's own does not.
func TestForeignExtraNonce(t *testing.T) {
	const alarm = "assay_foreign_extra_nonce_total"
	fake := daemontest.NewFake(t, daemontest.FakeOptions{Height: 1, Difficulty: 3, Seed: seedOf(t, genesis)})
	fake.SetTip(seedOf(t, genesis))
	fake.SetHeight(100)
	n := startNode(t, "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=3", "--redis", redistest.Start(t).URL())
	c, job := login(t, n.ports[0], walletA)
	c.share(job)
	height := func(want uint64) {
		t.Helper()
		n.wait(fmt.Sprintf("a template of height %d", want), func() error {
			if got := n.metric("assay_template_height", "", ""); got != float64(want) {
				return fmt.Errorf("height %v", got)
			}
			return nil
		})
	}
	height(101)
	job = c.newest(c.nextJob())

	fake.CheckBlock(func(daemontest.Candidate) error { return errors.New("not today") })
	c.share(job)
	n.wait("the second block", func() error {
		if len(fake.Submitted()) < 2 {
			return errors.New("not submitted yet")
		}
		return nil
	})
	if got := n.metric(alarm, "", ""); got != 0 {
		t.Errorf("%v alarms for the node's own block", got)
	}
	// Somebody who hands out the same jobs finds another nonce of them.
	block := bytes.Clone(fake.Submitted()[1])
	const nonceAt = 39
	binary.LittleEndian.PutUint32(block[nonceAt:], binary.LittleEndian.Uint32(block[nonceAt:])+1)
	fake.AddBlock(block)
	n.wait("the alarm", func() error {
		if got := n.metric(alarm, "", ""); got != 1 {
			return fmt.Errorf("%v alarms", got)
		}
		return nil
	})
	n.logs("somebody else hands out the same jobs")
	n.logs("wallet=" + walletA)
	n.stop()
}
