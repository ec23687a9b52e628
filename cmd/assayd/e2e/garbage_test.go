package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// Where a hashing blob of these chains has the parent's id: behind two version
// bytes and a timestamp of five.
const prevAt, prevEnd = 7, 39

// garbage is one way a daemon can be wrong. It is made between two tips.
type garbage struct {
	name   string
	make   func(f *daemontest.Fake)
	reason string // /readyz says so
	heal   func(f *daemontest.Fake)
}

// lie makes a daemon change its templates.
func lie(name, reason string, change func(r map[string]any)) garbage {
	return garbage{name, func(f *daemontest.Fake) { f.MutateTemplate(change) }, reason,
		func(f *daemontest.Fake) { f.MutateTemplate(nil) }}
}

// set makes a daemon say something else in one field.
func set(name, reason, field string, value any) garbage {
	return lie(name, reason, func(r map[string]any) { r[field] = value })
}

// edit makes a daemon change the hex of some fields.
func edit(name, reason string, change func(digits string) string, fields ...string) garbage {
	return lie(name, reason, func(r map[string]any) {
		for _, field := range fields {
			r[field] = change(r[field].(string))
		}
	})
}

// at writes two hex digits over the byte at an index.
func at(index int, digits string) func(string) string {
	return func(s string) string { return s[:2*index] + digits + s[2*index+2:] }
}

func reply(name, reason, body string) garbage {
	return garbage{name, func(f *daemontest.Fake) { f.SetReply("get_block_template", body) }, reason,
		func(f *daemontest.Fake) { f.SetReply("get_block_template", "") }}
}

// allGarbage is what TestGarbage runs, each in a pool of its own; the names are
// names of pools.
func allGarbage() []garbage {
	const blob, hashing = "blocktemplate_blob", "blockhashing_blob"
	other := strings.Repeat("7e", 32)
	return []garbage{
		edit("cut-off", "unparsable: ", func(s string) string { return s[:len(s)-2] }, blob),
		edit("half", "absurd: reserved_offset", func(s string) string { return s[:len(s)/2] }, blob),
		edit("odd-digits", "malformed: blocktemplate_blob", func(s string) string { return s[1:] }, blob),
		edit("not-hex", "malformed: blocktemplate_blob", at(50, "zz"), blob),
		edit("one-more", "1 bytes left over", func(s string) string { return s + "00" }, blob),
		set("no-blob", "blocktemplate_blob has 0 bytes", blob, ""),
		edit("nonce-set", "refused: nonce: ", at(39, "01"), blob, hashing),
		edit("version-17", "refused: algorithm: ", at(0, "11"), blob, hashing),
		edit("other-root", "refused: hashing_blob: ", at(60, "aa"), hashing),
		lie("offset-one-off", "refused: reserved_offset: ", func(r map[string]any) { r["reserved_offset"] = r["reserved_offset"].(int) + 1 }),
		set("offset-beyond", "absurd: reserved_offset", "reserved_offset", 1<<30),
		set("offset-negative", "malformed: ", "reserved_offset", -5),
		set("height-one-off", "refused: height: ", "height", 101),
		set("height-absurd", "absurd: height", "height", uint64(1)<<60),
		set("height-text", "malformed: ", "height", "a hundred"),
		lie("difficulty-zero", "absurd: difficulty is zero", func(r map[string]any) { r["difficulty"], r["wide_difficulty"] = 0, "0x0" }),
		set("other-parent", "absurd: prev_hash", "prev_hash", other),
		set("wrong-seed", "refused: seed: ", "seed_hash", other),
		set("no-seed", "refused: seed: ", "seed_hash", ""),
		set("wrong-seed-height", "absurd: seed_height", "seed_height", 2048),
		set("not-ok", "busy: status BUSY", "status", "BUSY"),
		reply("no-json", "malformed: ", "<html>502 Bad Gateway</html>"),
		reply("half-json", "malformed: ", `{"jsonrpc":"2.0","id":"0","result":{"blocktemplate_blob":"10`),
		reply("five-megabytes", "too_large: ", strings.Repeat(" ", 5<<20)),
		{"http-500", func(f *daemontest.Fake) { f.SetHTTPStatus(500) }, "http 500", func(f *daemontest.Fake) { f.SetHTTPStatus(0) }},
		{"slow", func(f *daemontest.Fake) { f.SetDelay(3 * time.Second) }, "timeout: ", func(f *daemontest.Fake) { f.SetDelay(0) }},
		{"hangs", (*daemontest.Fake).Hold, "timeout: ", (*daemontest.Fake).Release},
		{"busy", func(f *daemontest.Fake) { f.SetBusy(true) }, "busy: ", func(f *daemontest.Fake) { f.SetBusy(false) }},
		{"not-synced", func(f *daemontest.Fake) { f.SetSynced(false) }, "not_synced: ", func(f *daemontest.Fake) { f.SetSynced(true) }},
		{"gone", (*daemontest.Fake).Down, "unreachable: ", (*daemontest.Fake).Up},
	}
}

// checkJob holds a job to the chain's truth: the height, parent and seed of the
// scripted daemon.
func checkJob(t *testing.T, job *xmrig.Job, parent [32]byte) {
	t.Helper()
	if job.Blob[0] != 16 || job.Height != 100 || job.Seed != seedOf(t, genesis) || !bytes.Equal(job.Blob[prevAt:prevEnd], parent[:]) {
		t.Errorf("a wrong job: height %d, seed %x, blob %x; the parent is %x", job.Height, job.Seed, job.Blob, parent)
	}
}

// TestGarbage lets 30 daemons of 30 pools go wrong, each in its own way, while
// their chains get another tip. No miner is sent a job for what they say,
// /readyz tells what is wrong, and once they heal the right job comes.
func TestGarbage(t *testing.T) {
	list := allGarbage()
	redis := redistest.Start(t)
	fakes := make([]*daemontest.Fake, len(list))
	tips := make([][32]byte, len(list))
	var text strings.Builder
	for i, g := range list {
		fakes[i], tips[i] = newFake(t, noBlocks), daemontest.RandomID()
		fakes[i].SetTip(tips[i])
		fmt.Fprintf(&text, "[pool %s]\ndaemon = %s\nlisten = 127.0.0.1:0,diff=1\n", g.name, fakes[i].URL)
	}
	file := filepath.Join(t.TempDir(), "assay.conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// The timeout is far above what a healthy answer takes on a busy machine.
	n := startNode(t, "--config", file, "--redis", redis.URL(), "--daemon-timeout", "2s", "--stale-grace", "0s")
	clients := make([]*client, len(list))
	for i := range list {
		var job *xmrig.Job
		clients[i], job = login(t, n.ports[i], walletA)
		checkJob(t, job, tips[i])
	}
	for i, g := range list {
		g.make(fakes[i])
		if g.name != "gone" {
			tips[i] = daemontest.RandomID()
			fakes[i].SetTip(tips[i]) // a reorganisation: the height stays
		}
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for i, g := range list {
		n.waitUnready(g.name+"/daemons", g.reason)
		if job, err := clients[i].NextJob(now); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: a job while the daemon is wrong: %+v, %v", g.name, job, err)
		}
	}
	for i, g := range list {
		g.heal(fakes[i])
		if g.name == "gone" {
			tips[i] = daemontest.RandomID()
			fakes[i].SetTip(tips[i])
		}
	}
	for i, g := range list {
		job := clients[i].nextJob()
		checkJob(t, job, tips[i])
		if t.Failed() {
			t.Fatalf("%s: the job after the daemon has healed", g.name)
		}
		clients[i].share(job)
	}
	n.waitReady()
	for i, g := range list {
		if err := clients[i].Err(); err != nil {
			t.Errorf("%s: XMRig would have gone: %v", g.name, err)
		}
	}
	n.checkI1()
	n.stop()
}

// TestReorganisation: another block at the same height is a new job at once,
// and work on the one before is stale.
func TestReorganisation(t *testing.T) {
	fake := newFake(t, noBlocks)
	n := startNode(t, "--daemon", fake.URL, "--stale-grace", "0s", "--listen", "127.0.0.1:0,diff=2")
	c, job := login(t, n.ports[0], walletA)
	for range 3 {
		old := job
		tip := daemontest.RandomID()
		fake.SetTip(tip)
		job = c.nextJob()
		checkJob(t, job, tip)
		if nonce, result := c.find(old, true); c.submit(old, nonce, result) != "Block expired" {
			t.Error("work on a block that is no parent any more was not stale")
		}
		c.share(job)
	}
	n.stop()
}

// TestBlockIsWhatTheMinerHashed: the block a daemon is given has the hashing
// blob the miner was sent, with the miner's nonce in it, byte for byte.
func TestBlockIsWhatTheMinerHashed(t *testing.T) {
	redis := redistest.Start(t)
	fake := newFake(t, 3)
	fake.SetTxs(5)
	candidates := make(chan daemontest.Candidate, 100)
	fake.CheckBlock(func(c daemontest.Candidate) error {
		candidates <- c
		return nil
	})
	n := startNode(t, "--redis", redis.URL(), "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=3")
	c, job := login(t, n.ports[0], walletA)
	for height := uint64(100); height < 103; height++ {
		nonce, _ := c.share(job) // at the network's own difficulty: a block
		var got daemontest.Candidate
		select {
		case got = <-candidates:
		case <-time.After(patience):
			t.Fatal("the daemon was given no block")
		}
		want := append([]byte{}, job.Blob...)
		copy(want[xmrig.NonceOffset:], nonce[:])
		if got.Height != height || !bytes.Equal(got.Hashing, want) {
			t.Errorf("height %d: the block hashes %x, the miner hashed %x", got.Height, got.Hashing, want)
		}
		job = c.nextJob()
	}
	n.stop()
	b := openBooks(t, redis.URL(), "default")
	b.equal([]told{{walletA, "default", 9, 3}})
	if blocks := b.blocks(); len(blocks) != 3 {
		t.Errorf("%d blocks in Redis, 3 were found", len(blocks))
	}
}
