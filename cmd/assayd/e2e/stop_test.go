package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// killProcess ends a process at once, as a crash does.
func killProcess(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// TestStopUnderLoad ends nodes whose queues are full. Every share its miner was
// told accepted is in Redis; what was credited beyond that can only be shares
// whose answers did not arrive.
func TestStopUnderLoad(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: 30})
	redis := redistest.Start(t)
	before := m.Height()
	var who []told
	unanswered := uint64(0)
	for range 2 {
		n := startNode(t, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ, "--listen", "127.0.0.1:0,diff=1")
		c := hire(t, rig{n.ports[0], walletA, "one"}, rig{n.ports[0], walletA, "two"}, rig{n.ports[0], walletB, "three"})
		c.mine(n, 20)
		n.stop()
		who = append(who, c.finish("The pool node is shutting down, please reconnect",
			"Throttled down share submission (please increase difficulty)")...)
		for _, miner := range c.miners {
			unanswered += miner.Stats().Unanswered
		}
	}
	b := openBooks(t, redis.URL(), "default")
	checkChain(t, b, m, before)
	if unanswered == 0 {
		b.equal(who)
		return
	}
	var hashes uint64
	for _, w := range who {
		hashes += w.hashes
	}
	if got := b.sum()[""].hashes; got < hashes || got > hashes+unanswered {
		t.Errorf("Redis has %d; the miners were told %d, and %d shares were not answered", got, hashes, unanswered)
	}
	t.Logf("%d shares were not answered", unanswered)
}

// TestStopIdle: a node with nothing to do is gone at once, and so is its
// redis-server.
func TestStopIdle(t *testing.T) {
	n := startNode(t, "--daemon", newFake(t, noBlocks).URL, "--listen", "127.0.0.1:0,diff=2")
	pid := n.redisProcess()
	began := time.Now()
	n.stop()
	t.Logf("stopped in %v", time.Since(began))
	if syscall.Kill(pid, 0) == nil {
		t.Errorf("redis-server %d outlived its node", pid)
	}
}

// TestStopWhileStarting: SIGTERM is obeyed at any moment of a start, with exit 0
// and nothing left behind.
func TestStopWhileStarting(t *testing.T) {
	fake := newFake(t, noBlocks)
	for _, words := range []string{"HUGE PAGES", "RANDOMX", "private redis-server runs", "redis is ready"} {
		t.Run(words, func(t *testing.T) {
			n := beginNode(t, shortDir(t), "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=2")
			n.logs(words)
			n.stop()
		})
	}
	t.Run("redis that never answers", func(t *testing.T) {
		n := beginNode(t, shortDir(t), "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=2", "--redis", "redis://127.0.0.1:1")
		n.logs("CRYPTONIGHT")
		n.stop()
	})
}

// TestPrivateRedisStartTimeout: a private redis-server that does not come up is
// given up after the time the flag says.
func TestPrivateRedisStartTimeout(t *testing.T) {
	dir := shortDir(t)
	deaf := filepath.Join(dir, "deaf-redis")
	if err := os.WriteFile(deaf, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	n := beginNode(t, filepath.Join(dir, "data"), "--daemon", "http://127.0.0.1:1", "--listen", "127.0.0.1:0,diff=2",
		"--redis-server", deaf, "--redis-start-timeout", "1s")
	n.logs("within 1s (--redis-start-timeout)")
	select {
	case <-n.done:
	case <-time.After(patience):
		t.Fatal("the node goes on without its Redis")
	}
	if n.err == nil {
		t.Error("the node ended with exit 0")
	}
}
