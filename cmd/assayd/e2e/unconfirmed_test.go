package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// pauser stands between a node and its monerod. It gathers blocks, lets them
// through together, and stops the process (SIGSTOP) before the node hears an OK:
// whatever the node asks about them then finds a daemon that has its connections
// and says nothing.
type pauser struct {
	URL string

	m      *daemontest.Monerod
	turn   sync.Mutex     // one block at a time
	passed sync.WaitGroup // the blocks to gather

	mu    sync.Mutex
	over  bool           // guarded by mu; the daemon runs on
	asked map[string]int // guarded by mu; questions for a block before that
}

const (
	submitBlock = "submit_block"
	askForBlock = "get_block_header_by_hash"
	// buried is more blocks than a rival is waited for (validator/pool).
	buried = 65
)

func newPauser(t *testing.T, m *daemontest.Monerod, blocks int) *pauser {
	t.Helper()
	target, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &pauser{m: m, asked: map[string]int{}}
	p.passed.Add(blocks)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // calls the node has given up are what this is about
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the node has hung up
		}
		var call struct {
			Method string
			Params json.RawMessage
		}
		if err := json.Unmarshal(body, &call); err != nil {
			t.Errorf("the node sends %.100q: %v", body, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch call.Method {
		case submitBlock:
			p.place(w, r, proxy)
			return
		case askForBlock:
			p.note(string(call.Params))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(m.Resume) // a stopped daemon keeps the server's calls open
	p.URL = server.URL
	return p
}

// place passes a block on and gives the node the answer once all blocks are
// placed and the daemon stands.
func (p *pauser) place(w http.ResponseWriter, r *http.Request, proxy http.Handler) {
	answer := httptest.NewRecorder()
	p.turn.Lock()
	proxy.ServeHTTP(answer, r)
	p.turn.Unlock()
	p.passed.Done()
	p.passed.Wait()
	p.mu.Lock()
	if !p.over {
		p.m.Pause()
	}
	p.mu.Unlock()
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the node may have hung up
}

// note counts a question for a block.
func (p *pauser) note(block string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.asked[block]++
	}
}

// resume lets the daemon run from now on.
func (p *pauser) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.m.Resume()
}

// askedFor are the blocks asked for at least n times while the daemon stood.
func (p *pauser) askedFor(n int) (blocks int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, times := range p.asked {
		if times >= n {
			blocks++
		}
	}
	return blocks
}

// TestUnconfirmedBlocks: monerod says OK to three blocks of one height, of which
// it puts two beside its main chain, and is stopped before it can be asked which.
// None closes a round, neither while the node asks again nor when the time for
// that is over; once monerod runs on, the one on the chain does.
func TestUnconfirmedBlocks(t *testing.T) {
	const rivals = 3
	m := daemontest.Start(t, daemontest.Options{}) // every share is a block
	p := newPauser(t, m, rivals)
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", p.URL, "--listen", "127.0.0.1:0,diff=1",
		"--daemon-timeout", "300ms", "--submit-timeout", "5s")
	before := m.Height()
	c, job := login(t, n.ports[0], walletA+".lone")
	var found [rivals]struct {
		nonce  [4]byte
		result [32]byte
	}
	for i := range found {
		found[i].nonce, found[i].result = c.find(job, true)
	}
	for _, f := range found {
		if text := c.submit(job, f.nonce, f.result); text != "" {
			t.Fatalf("a block of the first job: %s", text)
		}
	}
	decided := func() (won, lost float64) {
		return n.metric("assay_blocks_accepted_total", "", ""), n.metric("assay_blocks_rejected_total", "", "")
	}
	n.wait("each block to be asked for again", func() error {
		if got := p.askedFor(2); got != rivals {
			return fmt.Errorf("%d blocks", got)
		}
		return nil
	})
	n.wait("each block to be of unknown fate", func() error {
		if got := n.metric("assay_blocks_unanswered_total", "", ""); got != rivals {
			return fmt.Errorf("%v blocks", got)
		}
		return nil
	})
	if won, lost := decided(); won+lost != 0 {
		t.Errorf("while the daemon could not be asked %v blocks counted as accepted, %v as rejected", won, lost)
	}
	p.resume()
	n.wait("the block on the chain to be accepted", func() error {
		if won, _ := decided(); won != 1 {
			return fmt.Errorf("%v accepted", won)
		}
		return nil
	})
	m.Generate(buried) // until then the chain may turn to one of the two others
	n.wait("the blocks beside the chain to be given up", func() error {
		if won, lost := decided(); won != 1 || lost != rivals-1 {
			return fmt.Errorf("%v accepted, %v rejected", won, lost)
		}
		return nil
	})
	n.stop()
	b := openBooks(t, redis.URL(), "default")
	if got := b.sum()[""]; got.shares != rivals {
		t.Errorf("the rounds have %d shares, told accepted were %d", got.shares, rivals)
	}
	if blocks := b.blocks(); len(blocks) != 1 || blocks[0].Height != before || blocks[0].ID != m.BlockIDAt(before) {
		t.Errorf("Redis has the blocks %+v, the chain %x at height %d", blocks, m.BlockIDAt(before), before)
	}
}
