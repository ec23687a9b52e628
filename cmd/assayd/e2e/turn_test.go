package e2e

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestBlockBesideTheChainWins: of two own blocks of one height monerod keeps the
// second beside its main chain. When the chain turns to it, it is in the books.
func TestBlockBesideTheChainWins(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{}) // every share is a block
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", m.URL, "--listen", "127.0.0.1:0,diff=1")
	height := m.Height()
	c, job := login(t, n.ports[0], walletA+".lone")
	n1, r1 := c.find(job, true)
	n2, r2 := c.find(job, true)
	if s := c.submit(job, n1, r1); s != "" {
		t.Fatal(s)
	}
	b := openBooks(t, redis.URL(), "default")
	n.wait("first block", func() error {
		if len(b.blocks()) != 1 {
			return fmt.Errorf("%d", len(b.blocks()))
		}
		return nil
	})
	if s := c.submit(job, n2, r2); s != "" {
		t.Fatal(s)
	}
	n.wait("second block's answer", func() error {
		if n.metric("assay_blocks_rejected_total", "", "")+n.metric("assay_blocks_unanswered_total", "", "") < 1 {
			return fmt.Errorf("none")
		}
		return nil
	})
	var alts struct {
		Chains []struct {
			Hash string `json:"block_hash"`
		} `json:"chains"`
	}
	if err := m.RPC("get_alternate_chains", nil, &alts); err != nil {
		t.Fatal(err)
	}
	if len(alts.Chains) != 1 {
		t.Fatalf("%+v", alts)
	}
	second := alts.Chains[0].Hash
	if err := m.RPC("generateblocks", map[string]any{"amount_of_blocks": 3, "wallet_address": daemontest.WalletMainnet, "prev_block": second, "starting_nonce": 0}, nil); err != nil {
		t.Fatal(err)
	}
	id := m.BlockIDAt(height)
	if hex.EncodeToString(id[:]) != second {
		t.Fatalf("the chain did not turn: %x", id)
	}
	n.wait("the block that won in the books", func() error {
		for _, blk := range b.blocks() {
			if blk.ID == id {
				return nil
			}
		}
		return fmt.Errorf("%d blocks, without %x", len(b.blocks()), id)
	})
	n.stop()
}
