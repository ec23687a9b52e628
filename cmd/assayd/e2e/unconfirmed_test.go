package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// gate stands between a node and its daemon and fails the calls of one method
// while it is shut.
type gate struct {
	URL string

	mu     sync.Mutex
	shut   string          // guarded by mu; the method, "" = open
	failed map[string]bool // guarded by mu; the parameters of the failed calls
}

func newGate(t *testing.T, daemon string) *gate {
	t.Helper()
	target, err := url.Parse(daemon)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{failed: map[string]bool{}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the node has hung up
		}
		var call struct {
			Method string
			Params json.RawMessage
		}
		if err := json.Unmarshal(body, &call); err == nil && g.fails(call.Method, string(call.Params)) {
			http.Error(w, "the gate is shut", http.StatusGatewayTimeout)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.URL = server.URL
	return g
}

func (g *gate) fails(method, params string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if method != g.shut {
		return false
	}
	g.failed[params] = true
	return true
}

// set shuts the gate for a method, or opens it.
func (g *gate) set(method string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = method
}

// refused is the number of different calls that failed.
func (g *gate) refused() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.failed)
}

// TestUnconfirmedBlocks: monerod says OK to three blocks of one height, of which
// it puts two beside its main chain, and cannot be asked which. None closes a
// round until it can; then the one on the chain does.
func TestUnconfirmedBlocks(t *testing.T) {
	const rivals = 3
	m := daemontest.Start(t, daemontest.Options{}) // every share is a block
	g := newGate(t, m.URL)
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", g.URL, "--listen", "127.0.0.1:0,diff=1")
	before := m.Height()
	c, job := login(t, n.ports[0], walletA+".lone")
	g.set("get_block_header_by_hash")
	for range rivals {
		nonce, result := c.find(job, true)
		if text := c.submit(job, nonce, result); text != "" {
			t.Fatalf("a block of the first job: %s", text)
		}
	}
	n.wait("each block to be asked for", func() error {
		if got := g.refused(); got != rivals {
			return fmt.Errorf("%d blocks", got)
		}
		return nil
	})
	if won, lost := n.metric("assay_blocks_accepted_total", "", ""), n.metric("assay_blocks_rejected_total", "", ""); won+lost != 0 {
		t.Errorf("while the daemon could not be asked %v blocks counted as accepted, %v as rejected", won, lost)
	}
	g.set("")
	n.wait("the blocks' fate", func() error {
		if won, lost := n.metric("assay_blocks_accepted_total", "", ""), n.metric("assay_blocks_rejected_total", "", ""); won != 1 || won+lost != rivals {
			return fmt.Errorf("%v accepted, %v rejected", won, lost)
		}
		return nil
	})
	n.stop()
	b := openBooks(t, redis.URL(), "default")
	if got := b.sum()[""]; got.Shares != rivals {
		t.Errorf("the rounds have %d shares, told accepted were %d", got.Shares, rivals)
	}
	checkChain(t, b, m, before)
}
