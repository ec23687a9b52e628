package e2e

import (
	"encoding/hex"
	"os"
	"testing"

	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestSeedChangeDelay measures what a seed change costs a share: one client in
// lock step, so that its own hashing and the node's never want the same core,
// through the building of the next cache and over the switch. It is a
// measurement, for a machine with nothing else to do; TestSeedChange asserts
// what holds on any machine.
func TestSeedChangeDelay(t *testing.T) {
	if os.Getenv("ASSAY_LONG_TESTS") == "" {
		t.Skip("a measurement: set ASSAY_LONG_TESTS=1 on an idle machine")
	}
	second := daemontest.RandomID()
	fake := newFake(t, noBlocks)
	announce := false
	fake.MutateTemplate(func(r map[string]any) {
		r["seed_hash"], r["seed_height"], r["next_seed_hash"] = genesis, 0, ""
		if announce {
			r["next_seed_hash"] = hex.EncodeToString(second[:])
		}
		if r["height"].(uint64) > lastOfEpoch {
			r["seed_hash"], r["seed_height"], r["next_seed_hash"] = hex.EncodeToString(second[:]), seedBlock, ""
		}
	})
	fake.SetHeight(seedBlock + 1)
	fake.SetTip(second)
	fake.SetHeight(lastOfEpoch - 2)
	n := startNode(t, "--daemon", fake.URL, "--stale-grace", "1m", "--listen", "127.0.0.1:0,diff=1")
	c, job := login(t, n.ports[0], walletA)
	lockstep := func(count int) (l latencies) {
		for range count {
			job = c.newest(job)
			nonce, result := c.find(job, true)
			l = append(l, c.timed(job, nonce, result))
		}
		return l
	}
	lockstep(20) // warm
	before := lockstep(200)
	announce = true
	fake.Extend(1) // from here on the next cache is built, behind the shares
	building := lockstep(200)
	n.logs("\"RandomX cache ready\" seed=" + hex.EncodeToString(second[:]))
	fake.Extend(1)
	settled := lockstep(50)
	fake.Extend(1)
	for job.Seed != second {
		job = c.nextJob()
	}
	after := lockstep(200)
	for _, row := range []struct {
		name string
		l    latencies
	}{
		{"old seed", before}, {"next cache being built", building}, {"before the switch", settled}, {"from the switch on", after},
	} {
		t.Logf("%-24s %v", row.name, row.l)
	}
	if shed := n.metrics().Sum("assay_shares_total", "class", "shed"); shed != 0 {
		t.Errorf("%v shares were shed", shed)
	}
}
