package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

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

// TestMinersLeaveWithoutWork: with the only daemon dead for good a miner's
// connection ends with a text at which XMRig goes, its next logins are refused
// at once and closed, so that it turns to its backup pool, and when the daemon
// is back it is served as before.
func TestMinersLeaveWithoutWork(t *testing.T) {
	const text = "Unauthenticated: the pool has had no work for minutes (its coin daemons are away), please use your backup pool"
	m := daemontest.Start(t, daemontest.Options{Difficulty: noBlocks})
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ, "--template-renew", "5s", "--template-max-age", "10s",
		"--no-work-timeout", "2s", "--listen", "127.0.0.1:0,diff=2")
	// gone is how a client ended: by a text that XMRig takes for its dismissal.
	gone := func(what string, err error) {
		t.Helper()
		var v *xmrig.Violation
		if !errors.As(err, &v) || v.Rule != xmrig.RuleCritical || !strings.Contains(v.Detail, text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var clients []*client
	for _, wallet := range []string{walletA, walletA, walletB} {
		c, job := login(t, n.ports[0], wallet)
		c.share(job)
		clients = append(clients, c)
	}
	for round := range 2 {
		m.Kill()
		for i, c := range clients {
			select {
			case <-c.Done():
				gone(fmt.Sprintf("miner %d", i), c.Err())
			case <-time.After(patience):
				t.Fatalf("miner %d is still there, %v after the daemon's end", i, patience)
			}
		}
		n.waitUnready("default/miners", "miners are sent to their backup pools (--no-work-timeout 2s)")
		if n.metric("assay_no_work_seconds", "pool", "default") < 2 {
			t.Error("assay_no_work_seconds does not say so")
		}
		n.wait("the closed connections to be counted", func() error {
			if got := n.metric("assay_connections_closed_total", "reason", "no_work"); got < float64(len(clients)) {
				return fmt.Errorf("%v are", got)
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		late := connect(t, xmrig.Config{Addr: n.ports[0], Login: walletB})
		began := time.Now()
		_, err := late.Login(ctx)
		cancel()
		gone("a login", err)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a login was refused after %v", took)
		}
		m.Restart()
		n.waitReady()
		for i := range clients {
			c, job := login(t, n.ports[0], walletA)
			c.share(job)
			clients[i] = c
		}
		if got := n.metric("assay_no_work_seconds", "pool", "default"); got != 0 {
			t.Errorf("round %d: with work again assay_no_work_seconds is %v", round, got)
		}
	}
	n.checkI1()
	n.stop()
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
