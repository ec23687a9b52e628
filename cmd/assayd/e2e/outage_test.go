package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// waitNote waits until /readyz has a note with these words. It must be 200: what is
// noted is no reason to send miners elsewhere.
func (n *node) waitNote(words string) {
	n.t.Helper()
	n.wait(fmt.Sprintf("a note with %q", words), func() error {
		status, body, err := n.get("/readyz")
		if err == nil && status != http.StatusOK {
			n.t.Fatalf("/readyz is %d: %s", status, body)
		}
		if err == nil && !strings.Contains(body, words) {
			err = errors.New(body)
		}
		return err
	})
}

// TestRedisAwayForTheRun: Redis dies and stays away until the node has ended. The
// miners notice nothing, the node is ready and says what is wrong, its end is
// nobody's fault, and the next start brings all into the books.
func TestRedisAwayForTheRun(t *testing.T) {
	m, redis := startBoth(t, worth)
	s := newSite(t, assayd, worth, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ)
	n := s.start(t)
	before := m.Height()
	redis.Kill()
	c := hire(t, s.rig(walletA, "one"), s.rig(walletB, "two"))
	c.mine(n, 10)
	n.waitNote("nothing has been written to Redis (--redis) since")
	c.mine(n, 10)
	n.wait("a block to be settled", func() error {
		if n.metric("assay_blocks_accepted_total", "", "") == 0 {
			return fmt.Errorf("none is")
		}
		return nil
	})
	who := c.rest()
	n.checkI1()
	n.stop()
	after := m.Height()
	redis.Run()
	b := openBooks(t, redis.URL(), "default")
	n = s.settled(t, s.start(t), b, m.Generate)
	n.stop()
	b.equal(who)
	b.chain(t, before, after, m.BlockIDAt)
	s.audit(t)
}

// TestRedisFromOlderCopy puts an older copy of Redis' folder in its place, once
// under a node that runs and once without: what Redis has forgotten comes again from
// the journal, to the unit.
func TestRedisFromOlderCopy(t *testing.T) {
	m, redis := startBoth(t, worth)
	s := newSite(t, assayd, worth, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ)
	b := openBooks(t, redis.URL(), "default")
	before := m.Height()
	n := s.start(t)
	c := tireless(t, s.rig(walletA, "one"), s.rig(walletB, "two"))
	c.mine(n, 5)
	inRedis := func() {
		t.Helper()
		goal := c.accepted() * s.worth
		n.wait("what was accepted in Redis", func() error {
			if got := b.sum()[""].hashes; got < goal {
				return fmt.Errorf("%d of %d", got, goal)
			}
			return nil
		})
	}
	inRedis()
	data, old := filepath.Join(redis.Dir(), "appendonlydir"), filepath.Join(shortDir(t), "old")
	redis.Stop()
	if err := os.CopyFS(old, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		t.Helper()
		redis.Forget()
		if err := os.CopyFS(data, os.DirFS(old)); err != nil {
			t.Fatal(err)
		}
		redis.Run()
	}
	redis.Run()
	c.mine(n, 20)
	inRedis()
	restore()
	n.logs("redis has another mark of the journal than was confirmed; the journal is read again from there")
	c.mine(n, 5)
	inRedis()
	c.finish()
	after := m.Height()
	n.stop()
	restore()
	s.settled(t, s.start(t), b, m.Generate).stop()
	b.within(t, c.owed(t, worth))
	b.chain(t, before, after, m.BlockIDAt)
	s.audit(t)
}

// TestZeroesBehindRedisFile: a power cut leaves zero bytes behind what the node's own
// Redis had written. The next start has all of it, and asks nobody to mend a file.
func TestZeroesBehindRedisFile(t *testing.T) {
	s := newSite(t, assayd, worth, "--daemon", newFake(t, noBlocks).URL)
	n := s.start(t)
	c := hire(t, s.rig(walletA, "one"))
	c.mine(n, 5)
	who := c.rest()
	n.stop()
	files, err := filepath.Glob(filepath.Join(s.dir, "redis", "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no append-only file: %v", err)
	}
	slices.Sort(files)
	f, err := os.OpenFile(files[len(files)-1], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	n = s.start(t)
	openBooks(t, "unix://"+filepath.Join(s.dir, "redis", "redis.sock"), "default").equal(who)
	n.stop()
	s.audit(t)
}

// TestTwoJournals: two nodes have one Redis. With the journals of both all of the
// books can be compared, with one only a part.
func TestTwoJournals(t *testing.T) {
	m, redis := startBoth(t, worth)
	flags := []string{"--redis", redis.URL(), "--daemon", m.URL + ",zmq=" + m.ZMQ}
	first, second := newSite(t, assayd, worth, flags...), newSite(t, assayd, worth, flags...)
	b := openBooks(t, redis.URL(), "default")
	before := m.Height()
	one, two := first.start(t), second.start(t)
	c := hire(t, first.rig(walletA, "one"), second.rig(walletA, "two"))
	one.wait("shares at both nodes", func() error {
		for i, miner := range c.miners {
			if got := miner.Stats().Accepted; got < 8 {
				return fmt.Errorf("%d of miner %d", got, i)
			}
		}
		return nil
	})
	who := c.rest()
	after := m.Height()
	one = first.settled(t, one, b, m.Generate)
	two = second.settled(t, two, b, func(int) {})
	one.stop()
	two.stop()
	b.equal(who)
	b.chain(t, before, after, m.BlockIDAt)
	folder := func(s *site) string { return filepath.Join(s.dir, "journal", "default") }
	first.audit(t, "--journal", folder(first), "--journal", folder(second))
	for _, s := range []*site{first, second} {
		code, stdout, stderr := s.tool(t, "ledger audit")
		if code != 3 || !strings.Contains(stdout, "not compared: ") || !strings.Contains(stdout, " 0 differences") {
			t.Errorf("with one journal of two: exit %d\n%s%s", code, stdout, stderr)
		}
	}
	redis.CLI("FLUSHALL")
	if code, stdout, stderr := first.tool(t, "ledger rebuild", "--journal", folder(first), "--journal", folder(second)); code != 0 {
		t.Errorf("rebuild of both: exit %d\n%s%s", code, stdout, stderr)
	}
	b.equal(who)
	b.chain(t, before, after, m.BlockIDAt)
	first.audit(t, "--journal", folder(first), "--journal", folder(second))
}
