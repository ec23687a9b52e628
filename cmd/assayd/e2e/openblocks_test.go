package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// slowly stands between a node and its daemon and holds the answers to found
// blocks back, or the blocks themselves.
type slowly struct {
	URL     string
	arrived chan struct{} // one for each block that has arrived here, or whose answer has; capacity 64

	mu    sync.Mutex
	delay time.Duration // guarded by mu; of an answer
	eat   bool          // guarded by mu; the daemon never gets the block
}

func newSlowly(t *testing.T, daemon string) *slowly {
	t.Helper()
	target, err := url.Parse(daemon)
	if err != nil {
		t.Fatal(err)
	}
	s := &slowly{arrived: make(chan struct{}, 64)}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the node has hung up
		}
		var call struct{ Method string }
		r.Body = io.NopCloser(bytes.NewReader(body))
		if json.Unmarshal(body, &call) != nil || call.Method != "submit_block" {
			proxy.ServeHTTP(w, r)
			return
		}
		s.mu.Lock()
		delay, eat := s.delay, s.eat
		s.mu.Unlock()
		if eat {
			s.arrived <- struct{}{}
			<-r.Context().Done()
			return
		}
		answer := httptest.NewRecorder()
		// The daemon is asked whatever becomes of the node meanwhile.
		proxy.ServeHTTP(answer, r.WithContext(t.Context()))
		if delay > 0 {
			s.arrived <- struct{}{}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(delay):
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *slowly) set(delay time.Duration, eat bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.eat = delay, eat
}

// await waits for a block to be on its way.
func (s *slowly) await(t *testing.T) {
	t.Helper()
	select {
	case <-s.arrived:
	case <-time.After(patience):
		t.Fatal("no block came to the daemon")
	}
}

// openBlocks waits until the books have so many found blocks whose fate is not
// known, and gives their ids.
func (n *node) openBlocks(b *books, want int) (ids []string) {
	n.t.Helper()
	n.wait(fmt.Sprintf("%d open blocks in the books", want), func() error {
		if ids = b.open(); len(ids) != want {
			return fmt.Errorf("%v", ids)
		}
		return nil
	})
	return ids
}

// endsBadly sends SIGTERM and waits, in the time promised, for an end with an
// error and these words.
func (n *node) endsBadly(words ...string) {
	n.t.Helper()
	began := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatalf("SIGTERM: %v", err)
	}
	select {
	case <-n.done:
	case <-time.After(patience):
		n.t.Fatalf("the node did not end within %v of SIGTERM", patience)
	}
	if took := time.Since(began); took > stopWithin {
		n.t.Errorf("the node took %v to stop, promised are %v", took, stopWithin)
	}
	if n.err == nil {
		n.t.Error("the node ended with exit 0")
	}
	for _, w := range words {
		if !strings.Contains(n.out.String(), w) {
			n.t.Errorf("the node's last words lack %q", w)
		}
	}
}

// TestStopWhileABlockIsPlaced: SIGTERM while the daemon takes two seconds to
// answer for a found block. The stop waits for it, and the books have the block.
func TestStopWhileABlockIsPlaced(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{}) // every share is a block
	relay := newSlowly(t, m.URL)
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", relay.URL, "--listen", "127.0.0.1:0,diff=1")
	before := m.Height()
	c, job := login(t, n.ports[0], walletA+".lone")
	relay.set(2*time.Second, false)
	c.share(job)
	relay.await(t)
	b := openBooks(t, redis.URL(), "default")
	n.openBlocks(b, 1) // while the daemon thinks
	n.stop()
	checkChain(t, b, m, before)
	if blocks := b.blocks(); len(blocks) != 1 || blocks[0].Shares != 1 || blocks[0].Wallet != walletA || blocks[0].Worker != "lone" {
		t.Errorf("the books have the blocks %+v", blocks)
	}
	if open := b.open(); len(open) != 0 {
		t.Errorf("left open: %v", open)
	}
}

// TestCrashWhileABlockIsPlaced: kill −9 at the same moment. The next start puts
// the block into the books, once, whether the daemon had got it or not.
func TestCrashWhileABlockIsPlaced(t *testing.T) {
	for _, eaten := range []bool{false, true} {
		t.Run(fmt.Sprintf("before the daemon had it: %v", eaten), func(t *testing.T) {
			m := daemontest.Start(t, daemontest.Options{})
			relay := newSlowly(t, m.URL)
			redis := redistest.Start(t)
			dir := shortDir(t)
			flags := []string{"--redis", redis.URL(), "--daemon", relay.URL, "--listen", "127.0.0.1:0,diff=1"}
			n := launchNode(t, dir, flags...)
			n.waitReady()
			before := m.Height()
			c, job := login(t, n.ports[0], walletA+".lone")
			relay.set(2*time.Second, eaten)
			c.share(job)
			relay.await(t)
			n.kill()
			b := openBooks(t, redis.URL(), "default")
			if blocks := b.blocks(); len(blocks) != 0 {
				t.Fatalf("the books have the block before its fate is known: %+v", blocks)
			}
			relay.set(0, false)
			for range 2 { // the second start has nothing to do any more
				n = launchNode(t, dir, flags...)
				n.waitReady()
				n.wait("the block in the books", func() error {
					if blocks := b.blocks(); len(blocks) != 1 {
						return fmt.Errorf("%d blocks", len(blocks))
					}
					return nil
				})
				n.openBlocks(b, 0)
				n.stop()
			}
			checkChain(t, b, m, before)
			if rounds := b.rounds(); len(rounds) != 2 {
				t.Errorf("%d rounds, want one closed by the block and the open one", len(rounds))
			}
			if blocks := b.blocks(); len(blocks) == 1 && (blocks[0].Wallet != walletA || blocks[0].Worker != "lone" || blocks[0].Reward == 0) {
				t.Errorf("the block's record is %+v", blocks[0])
			}
		})
	}
}

// TestStopWithHungDaemon: a daemon that does not answer for a found block takes
// no time from the ledger: what the miner was told accepted is in Redis when the
// node has ended, in time. The end says which block is unsettled, and the next
// start settles it.
func TestStopWithHungDaemon(t *testing.T) {
	fake := newFake(t, 1) // every share is a block
	redis := redistest.Start(t)
	dir := shortDir(t)
	flags := []string{"--redis", redis.URL(), "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=1"}
	n := launchNode(t, dir, flags...)
	n.waitReady()
	c, job := login(t, n.ports[0], walletA+".one")
	nonce, result := c.find(job, true)
	fake.Hold()
	defer fake.Release()
	if text := c.submit(job, nonce, result); text != "" {
		t.Fatalf("the share: %s", text)
	}
	b := openBooks(t, redis.URL(), "default")
	id := n.openBlocks(b, 1)[0]
	n.endsBadly("1 found blocks are unsettled", id)
	if got := b.sum()[""].hashes; got != 1 {
		t.Errorf("Redis has %d hashes, the miner was told of 1", got)
	}
	if blocks := b.blocks(); len(blocks) != 0 {
		t.Errorf("a block whose fate nobody knows is in the books: %+v", blocks)
	}
	fake.Release()
	n = launchNode(t, dir, flags...)
	n.waitReady()
	n.wait("the block in the books", func() error {
		if blocks := b.blocks(); len(blocks) != 1 || hex.EncodeToString(blocks[0].ID[:]) != id || blocks[0].Hashes != 1 {
			return fmt.Errorf("%+v", blocks)
		}
		return nil
	})
	n.stop()
	if tip := fake.Tip(); hex.EncodeToString(tip[:]) != id {
		t.Errorf("the chain's tip is %x, not the block", tip)
	}
}
