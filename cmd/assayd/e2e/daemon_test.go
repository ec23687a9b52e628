package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// noBlocks is a network difficulty at which no test finds a block.
const noBlocks = 1 << 40

// uses waits until templates come from a daemon.
func (n *node) uses(url string) {
	n.t.Helper()
	name := strings.TrimPrefix(url, "http://")
	n.wait("templates from "+name, func() error {
		if n.metric("assay_daemon_active", "daemon", name) != 1 {
			return errors.New("another daemon is in use, or none")
		}
		return nil
	})
}

// newTemplate waits until one more template has been published.
func (n *node) newTemplate() {
	n.t.Helper()
	before := n.metric("assay_templates_total", "", "")
	n.wait("a new template", func() error {
		if n.metric("assay_templates_total", "", "") == before {
			return errors.New("none yet")
		}
		return nil
	})
}

// TestDaemonsDie takes the daemons away one by one. Two regtest chains without
// a block are the same chain. With one daemon left the miners see nothing; with
// none the last job stays until it is too old, then the node says so.
func TestDaemonsDie(t *testing.T) {
	first := daemontest.Start(t, daemontest.Options{Difficulty: noBlocks})
	second := daemontest.Start(t, daemontest.Options{Difficulty: noBlocks})
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", first.URL+",zmq="+first.ZMQ, "--daemon", second.URL,
		"--template-renew", "5s", "--template-max-age", "10s", "--listen", "127.0.0.1:0,diff=4")
	n.uses(first.URL)
	c := hire(t, rig{n.ports[0], walletA, "rig"})
	c.mine(n, 2)

	first.Kill()
	n.uses(second.URL)
	n.newTemplate()
	c.mine(n, 2)
	if status, body, err := n.get("/readyz"); err != nil || status != http.StatusOK {
		t.Errorf("with one daemon left /readyz is %d %s %v", status, body, err)
	}
	first.Restart()
	n.uses(first.URL)
	n.newTemplate()
	c.mine(n, 2)

	first.Kill()
	second.Kill()
	n.waitUnready("default/daemons", "no daemon is usable (--daemon)")
	c.mine(n, 1) // on the last job
	n.waitUnready("default/template", "--template-max-age")
	late := connect(t, xmrig.Config{Addr: n.ports[0], Login: walletB})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := late.Login(ctx)
	var v *xmrig.Violation
	if !errors.As(err, &v) || v.Rule != xmrig.RuleLoginRefused || !strings.Contains(v.Detail, "No block template yet, try again in a moment") {
		t.Errorf("a login without work was answered by %v", err)
	}

	second.Restart()
	n.waitReady()
	c.mine(n, 2)
	if _, job := login(t, n.ports[0], walletB); job == nil {
		t.Error("no job for a login after the daemon's return")
	}
	who := c.rest()
	n.checkI1()
	n.stop()
	openBooks(t, redis.URL(), "default").equal(who)
}

// TestRestarts takes monerod and Redis away under the node. The miners see
// nothing, and not a unit is lost: blocks found meanwhile wait for the daemon,
// credits for Redis. Redis is killed; monerod is stopped in order, because a
// killed one forgets blocks it has said OK to, and the chain would be shorter
// than anybody's books.
func TestRestarts(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: 24})
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ,
		"--listen", "127.0.0.1:0,diff=3", "--listen", "127.0.0.1:0,diff=8")
	before := m.Height()
	c := hire(t, rig{n.ports[0], walletA, "one"}, rig{n.ports[1], walletB, "two"})
	c.mine(n, 4)

	m.Stop()
	c.mine(n, 4)
	m.Restart()
	n.newTemplate()
	c.mine(n, 4)

	redis.Kill()
	c.mine(n, 6)
	redis.Run()
	c.mine(n, 4)
	n.wait("a block after both restarts", func() error {
		if m.Height() == before {
			return errors.New("the chain has not grown")
		}
		return nil
	})
	who := c.rest()
	n.checkI1()
	n.stop()
	b := openBooks(t, redis.URL(), "default")
	b.equal(who)
	checkChain(t, b, m, before)
}

// redisProcess is the node's private redis-server.
func (n *node) redisProcess() int {
	n.t.Helper()
	pids := n.children()
	if len(pids) != 1 {
		n.t.Fatalf("the node has the children %v, want its redis-server alone", pids)
	}
	return pids[0]
}

// TestPrivateRedisDies kills the redis-server the node runs itself, then ends
// the node and reads the books by starting it again in the same folder.
func TestPrivateRedisDies(t *testing.T) {
	fake := newFake(t, noBlocks)
	dir := shortDir(t)
	flags := []string{"--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=5"}
	n := launchNode(t, dir, flags...)
	n.waitReady()
	c := hire(t, rig{n.ports[0], walletA, "one"}, rig{n.ports[0], walletA, "two"})
	for range 2 {
		c.mine(n, 6)
		old := n.redisProcess()
		killProcess(t, old)
		n.wait("another redis-server", func() error {
			if pids := n.children(); len(pids) != 1 || pids[0] == old {
				return fmt.Errorf("children %v", pids)
			}
			return nil
		})
		n.waitReady()
	}
	c.mine(n, 4)
	who := c.rest()
	n.checkI1()
	n.stop()

	again := launchNode(t, dir, flags...)
	again.waitReady()
	openBooks(t, "unix://"+dir+"/redis/redis.sock", "default").equal(who)
	again.stop()
}
