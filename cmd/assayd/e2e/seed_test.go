package e2e

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// Heights around the second epoch: blocks from 2113 on are hashed with the id of
// block 2048 (epochs of 2048 blocks, 64 late).
const (
	seedBlock   = 2048
	lastOfEpoch = 2112
)

// epochFake is a scripted daemon at height 2110, whose templates change to the
// second seed where a chain's do. The next seed is told before, as monerod does.
func epochFake(t *testing.T, second [32]byte) *daemontest.Fake {
	t.Helper()
	f := newFake(t, noBlocks)
	f.MutateTemplate(func(r map[string]any) {
		r["seed_hash"], r["seed_height"], r["next_seed_hash"] = genesis, 0, hex.EncodeToString(second[:])
		if r["height"].(uint64) > lastOfEpoch {
			r["seed_hash"], r["seed_height"], r["next_seed_hash"] = hex.EncodeToString(second[:]), seedBlock, ""
		}
	})
	f.SetHeight(seedBlock + 1)
	f.SetTip(second)
	f.SetHeight(lastOfEpoch - 2)
	return f
}

// latencies of answers.
type latencies []time.Duration

func (l latencies) String() string {
	slices.Sort(l)
	return fmt.Sprintf("%d shares, p50 %v, max %v", len(l), l[len(l)/2].Round(time.Millisecond), l[len(l)-1].Round(time.Millisecond))
}

// timed sends a share that must be accepted, and takes the answer's time.
func (c *client) timed(job *xmrig.Job, nonce [4]byte, result [32]byte) time.Duration {
	c.t.Helper()
	began := time.Now()
	text := c.submit(job, nonce, result)
	took := time.Since(began)
	if text != "" {
		c.t.Errorf("a share of height %d: %s", job.Height, text)
	}
	return took
}

// TestSeedChange crosses from one RandomX epoch to the next with shares coming
// all the time. The cache of the new seed stands before the first job that
// needs it, shares of the old seed are judged as before, and none is lost.
// How long the shares took is logged (-v); a test on a busy machine asserts no
// times.
func TestSeedChange(t *testing.T) {
	second := daemontest.RandomID()
	fake := epochFake(t, second)
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", fake.URL, "--stale-grace", "1m", "--listen", "127.0.0.1:0,diff=3")
	// The load is on a thread of its own; the shares timed are in lock step.
	c := hire(t, rig{n.ports[0], walletB, "load"})
	timed, job := login(t, n.ports[0], walletA+".timed")
	if job.Seed != seedOf(t, genesis) || job.NextSeed != second {
		t.Fatalf("at height %d the job's seeds are %x and %x", job.Height, job.Seed, job.NextSeed)
	}
	n.logs("\"RandomX cache ready\" seed=" + hex.EncodeToString(second[:]))
	var before, at, after latencies
	shares := uint64(0)
	lockstep := func(into *latencies, count int) {
		t.Helper()
		for range count {
			job = timed.newest(job)
			nonce, result := timed.find(job, true)
			*into = append(*into, timed.timed(job, nonce, result))
			shares++
		}
	}
	lockstep(&before, 12)
	fake.Extend(1)
	lockstep(&before, 4)
	fake.Extend(1) // 2112: the last of the old seed
	for job.Height != lastOfEpoch {
		job = timed.nextJob()
	}
	if job.Seed != seedOf(t, genesis) {
		t.Errorf("height %d has the seed %x", job.Height, job.Seed)
	}
	// Three shares of the old seed that are sent after the switch.
	old := job
	type found struct {
		nonce  [4]byte
		result [32]byte
	}
	var kept []found
	for range 3 {
		nonce, result := timed.find(old, true)
		kept = append(kept, found{nonce, result})
	}
	loaded := c.accepted()
	if built := strings.Count(n.out.String(), "RandomX cache ready"); built != 2 {
		t.Errorf("%d caches were built before the switch, want those of both seeds", built)
	}

	fake.Extend(1)
	for job.Seed != second {
		job = timed.nextJob()
	}
	if job.Height != lastOfEpoch+1 {
		t.Errorf("the second seed begins at height %d", job.Height)
	}
	for _, f := range kept {
		at = append(at, timed.timed(old, f.nonce, f.result))
		shares++
		lockstep(&at, 1)
	}
	// Judged, not waved through: the old seed's hash of a wrong nonce is refused.
	var wrong [32]byte
	if text := timed.submit(old, [4]byte{0xff, 0xff, 0xff, 0xee}, wrong); text != "Invalid share: the result is not the hash of this job and nonce" {
		t.Errorf("a wrong hash under the old seed: %q", text)
	}
	// The right hash by the wrong seed is wrong too.
	mixed := *job
	mixed.Seed = old.Seed
	nonce, result := timed.find(&mixed, true)
	if text := timed.submit(job, nonce, result); text != "Invalid share: the result is not the hash of this job and nonce" {
		t.Errorf("a share of the new epoch hashed with the old seed: %q", text)
	}
	lockstep(&after, 12)
	n.wait("the load to go on with the second seed", func() error {
		if c.accepted() < loaded+4 {
			return fmt.Errorf("%d shares accepted since", c.accepted()-loaded)
		}
		return nil
	})
	who := append(c.rest(), told{walletA, "timed", 3 * shares, shares})
	seeds := map[[32]byte]int{}
	for _, s := range c.miners[0].Shares() {
		seeds[s.Seed]++
	}
	if seeds[second] == 0 || seeds[seedOf(t, genesis)] == 0 {
		t.Errorf("the load's shares by seed: %v", seeds)
	}
	n.checkI1()
	s := n.metrics()
	if shed := s.Sum("assay_shares_total", "class", "shed"); shed != 0 {
		t.Errorf("%v shares were shed", shed)
	}
	if rejected := s.Sum("assay_shares_total", "class", "rejected"); rejected != 2 {
		t.Errorf("%v shares were rejected, 2 were wrong", rejected)
	}
	if built := strings.Count(n.out.String(), "RandomX cache ready"); built != 2 {
		t.Errorf("%d caches were built, want one of each seed", built)
	}
	n.stop()
	openBooks(t, redis.URL(), "default").equal(who)
	t.Logf("answers before the switch: %v", before)
	t.Logf("answers at the switch:     %v", at)
	t.Logf("answers after the switch:  %v", after)
}
