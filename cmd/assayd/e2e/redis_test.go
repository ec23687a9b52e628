package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestDemotedMaster: Redis has one address, and the master behind it becomes a
// replica while the connections to it stand. The miners see nothing; the node
// says that it cannot write, goes on with the new master as soon as the address
// leads there, and the books have what the miners were told, to the unit.
func TestDemotedMaster(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: 24})
	old, next := redistest.StartTCP(t), redistest.StartTCP(t)
	next.Follow(old)
	relay := redistest.NewRelay(t, old)
	n := startNode(t, "--redis", relay.URL(), "--daemon", m.URL+",zmq="+m.ZMQ,
		"--listen", "127.0.0.1:0,diff=6", "--listen", "127.0.0.1:0,diff=9")
	before := m.Height()
	c := hire(t, rig{n.ports[0], walletA, "one"}, rig{n.ports[1], walletB, "two"})
	c.mine(n, 4)

	next.Promote()
	old.Follow(next)
	c.mine(n, 4)
	n.waitNote("READONLY")
	n.logs("nothing is being written to redis")
	s := n.metrics()
	if up, pending, oldest := s.Sum("assay_redis_up", "", ""), s.Sum("assay_ledger_pending_bytes", "", ""), s.Sum("assay_ledger_oldest_seconds", "", ""); up != 0 || pending == 0 || oldest < 5 {
		t.Errorf("in the outage: up %v, %v bytes wait, the oldest for %v s", up, pending, oldest)
	}

	relay.Switch(next)
	n.waitReady()
	n.wait("all credits to be written", func() error {
		s := n.metrics()
		if up, oldest := s.Sum("assay_redis_up", "", ""), s.Sum("assay_ledger_oldest_seconds", "", ""); up != 1 || oldest > 5 {
			return fmt.Errorf("up %v, the oldest credit is %v s old", up, oldest)
		}
		return nil
	})
	c.mine(n, 4)
	who := c.rest()
	n.checkI1()
	n.stop()
	b := openBooks(t, next.URL(), "default")
	b.equal(who)
	checkChain(t, b, m, before)
}

// TestPoolOfAnother: the keys of a pool are those of one coin and wallet. Another
// one is refused at start by name, and the way out that the refusal names works.
func TestPoolOfAnother(t *testing.T) {
	fake := newFake(t, noBlocks)
	redis := redistest.Start(t)
	flags := []string{"--redis", redis.URL(), "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=2"}
	startNode(t, flags...).stop()
	refused := func(coin, wallet string) {
		t.Helper()
		n := beginNode(t, shortDir(t), append(flags, "--coin", coin, "--wallet", wallet)...)
		select {
		case <-n.done:
		case <-time.After(patience):
			t.Fatal("the node goes on with another's books")
		}
		if n.err == nil {
			t.Error("the node ended with exit 0")
		}
		n.logs("those of --coin monero-regtest --wallet " + walletA)
		n.logs("this node has --coin " + coin + " --wallet " + wallet)
		n.logs("[pool NAME]")
	}
	refused("monero-regtest", walletB)
	refused("monero-stagenet", daemontest.WalletStagenet)
	if got := redis.CLI("HGET", "{default}:identity", "wallet"); got != walletA {
		t.Fatalf("the identity has become %s", got)
	}
	redis.CLI("DEL", "{default}:identity")
	n := startNode(t, append(flags, "--wallet", walletB)...)
	n.wait("the new identity", func() error {
		if redis.CLI("HGET", "{default}:identity", "wallet") != walletB {
			return errors.New("another wallet")
		}
		return nil
	})
	n.stop()
}

// TestOneNodeAFolder: a second node with the same --data-dir is refused also when
// both use a Redis of their own, for the folder has the first one's open blocks.
// When the first is gone the folder is free.
func TestOneNodeAFolder(t *testing.T) {
	fake := newFake(t, noBlocks)
	redis := redistest.Start(t)
	flags := []string{"--redis", redis.URL(), "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=2"}
	first := startNode(t, flags...)
	code, _, refused := runOnce(t, nil, append(base(first.dir), flags...)...)
	if code != 1 || !strings.Contains(refused, "--data-dir: "+first.dir+" is in use by another node") {
		t.Errorf("exit %d, %s", code, refused)
	}
	first.stop()
	launchNode(t, first.dir, flags...).stop()
}
