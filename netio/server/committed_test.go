package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/pool"
)

// submitAs sends a share whose request has a number, which is its nonce too.
func (c *client) submitAs(n uint32, difficulty uint64) {
	c.t.Helper()
	c.send(`{"id":%d,"jsonrpc":"2.0","method":"submit","params":{"id":"%s","job_id":"%s","nonce":"%08x","result":"%s"}}`,
		n, c.id, c.job.JobID, n, claimHex(difficulty))
}

// numberOf is the request's number of a share from submitAs: a nonce's digits are
// its bytes in the blob's order.
func numberOf(s *pool.Share) uint32 { return bits.ReverseBytes32(s.Nonce) }

// quiet asserts that nothing but the answer to a keepalive comes.
func (c *client) quiet() {
	c.t.Helper()
	c.send(`{"id":"k","jsonrpc":"2.0","method":"keepalived","params":{"id":"%s"}}`, c.id)
	if a := c.answer(); a.Result == nil || a.Result.Status != "KEEPALIVED" {
		c.t.Fatalf("answered too soon, or twice: %s", a.line)
	}
}

// commit tells shares what became of their credits, on another goroutine.
func commit(err error, shares ...*pool.Share) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, s := range shares {
			s.Committed(err)
		}
	}()
	<-done
}

// TestAnswerWaitsForTheCommit: a miner is told "accepted" when its credit is safe
// and not before, in whatever order that happens; what is refused is answered at
// once.
func TestAnswerWaitsForTheCommit(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	c.prove()
	r.books.set(false, true)
	for n := range uint32(4) {
		c.submitAs(n, 10_000)
	}
	c.submitAs(4, block)
	r.eventually("five credits wait", func() bool { return r.books.waiting() == 5 })
	c.quiet()
	c.submitAs(1, 10_000)
	if a := c.refused("Duplicate share"); string(a.ID) != "1" {
		t.Errorf("id %s", a.ID)
	}
	// The block is in the books and on its way before its credit is safe.
	r.eventually("the block is settled", func() bool { r.books.mu.Lock(); defer r.books.mu.Unlock(); return r.books.settled == 1 })
	held := r.books.take()
	slices.Reverse(held)
	for _, s := range held {
		c.quiet()
		want := strconv.FormatUint(uint64(numberOf(s)), 10)
		commit(nil, s)
		if a := c.answer(); a.Result == nil || a.Result.Status != "OK" || string(a.ID) != want {
			t.Fatalf("answer %s, want OK to %s", a.line, want)
		}
	}
	c.quiet()
	if n := r.metric("assay_shares_total", "class=accepted"); n != 1+5 {
		t.Errorf("%v accepted", n)
	}
	r.balanced()
}

// TestCommitThatFails: the miner is told that its share did not count, and may send
// it again; but not a block, which is on its way.
func TestCommitThatFails(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	c.prove()
	r.books.set(false, true)
	c.submit(1, 10_000)
	c.submit(2, block)
	r.eventually("two credits wait", func() bool { return r.books.waiting() == 2 })
	commit(errFull, r.books.take()...)
	for range 2 {
		c.refused(stratum.Text(validator.ShedLedger))
	}
	r.books.set(false, false)
	c.submit(1, 10_000)
	c.accepted()
	c.submit(2, block)
	c.refused("Duplicate share")
	c.quiet()
	if n := r.books.blocks(); n != 1 {
		t.Errorf("%d blocks found", n)
	}
	if n := r.books.rejected[validator.ShedLedger]; n != 2 {
		t.Errorf("%d shares are in the books as shed", n)
	}
	r.balanced()
}

// TestCommitAfterTheEnd: credits that are committed when their miner has gone are
// counted, and their shares are other miners' then.
func TestCommitAfterTheEnd(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Loops = 1 })
	r.offer(false)
	gone := r.dial()
	gone.login(r, "")
	gone.prove()
	r.books.set(false, true)
	const shares = 10
	for n := range uint32(shares) {
		gone.submit(n, 10_000)
	}
	r.eventually("all credits wait", func() bool { return r.books.waiting() == shares })
	_ = gone.conn.Close()
	r.eventually("the session is gone", func() bool { return r.metric("assay_sessions") == 0 })
	held := r.books.take()
	commit(nil, held[:shares/2]...)
	commit(errFull, held[shares/2:]...)
	r.balanced()
	for class, want := range map[string]float64{"class=accepted": 1 + shares/2, "class=shed": shares / 2} {
		if n := r.metric("assay_shares_total", class); n != want {
			t.Errorf("%v of %s, want %v", n, class, want)
		}
	}
	r.books.set(false, false)
	c := r.dial()
	c.login(r, "")
	for n := range uint32(2 * shares) {
		c.submit(n, 10_000)
		c.accepted()
	}
	if n := r.metric("assay_handler_panics_total"); n != 0 {
		t.Errorf("%v panics", n)
	}
}

// TestDrainWaitsForCommits: a node does not stop over a share that has no answer.
func TestDrainWaitsForCommits(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	r.books.set(false, true)
	c.submit(1, 10_000)
	r.eventually("a credit waits", func() bool { return r.books.waiting() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- r.server.Drain(ctx) }()
	r.eventually("draining", r.server.draining.Load)
	c.quiet()
	select {
	case err := <-drained:
		t.Fatalf("drained with a share in flight: %v", err)
	default:
	}
	commit(nil, r.books.take()...)
	c.accepted()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestEveryCommitIsOneAnswer: several committers in no order, some failing, for the
// miners of several loops: each request has one answer, and the right one.
func TestEveryCommitIsOneAnswer(t *testing.T) {
	const miners, shares, committers = 8, 60, 3
	r := newRig(t, func(c *Config) { c.InflightSession = shares })
	r.offer(false)
	clients := make([]*client, miners)
	for i := range clients {
		clients[i] = r.dial()
		clients[i].login(r, "")
		clients[i].prove()
	}
	r.books.set(false, true)
	fails := func(n uint32) bool { return n%3 == 0 }
	stop := make(chan struct{})
	var working sync.WaitGroup
	for range committers {
		working.Go(func() {
			for {
				held := r.books.take()
				rand.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
				for _, s := range held {
					if fails(numberOf(s)) {
						s.Committed(errFull)
					} else {
						s.Committed(nil)
					}
				}
				if len(held) > 0 {
					continue
				}
				select {
				case <-stop:
					return
				default:
					runtime.Gosched()
				}
			}
		})
	}
	var mining sync.WaitGroup
	for i, c := range clients {
		mining.Go(func() {
			for n := range uint32(shares) {
				c.submitAs(n, 10_000)
			}
			seen := make(map[uint32]bool)
			for range shares {
				a, err := readAnswer(c)
				if err != nil {
					t.Errorf("miner %d: %v", i, err)
					return
				}
				if err := checkAnswer(a, seen, fails); err != nil {
					t.Errorf("miner %d: %v: %s", i, err, a.line)
				}
			}
		})
	}
	mining.Wait()
	for _, c := range clients {
		c.quiet()
	}
	close(stop)
	working.Wait()
	r.balanced()
	if n := r.metric("assay_shares_total", "class=shed"); n != miners*shares/3 {
		t.Errorf("%v shed", n)
	}
}

// checkAnswer holds an answer against what its request's number asks for.
func checkAnswer(a reply, seen map[uint32]bool, fails func(uint32) bool) error {
	var n uint32
	if err := json.Unmarshal(a.ID, &n); err != nil {
		return err
	}
	if seen[n] {
		return fmt.Errorf("a second answer to %d", n)
	}
	seen[n] = true
	if failed := a.Error != nil && a.Error.Message == stratum.Text(validator.ShedLedger); failed != fails(n) || !failed && a.Error != nil {
		return fmt.Errorf("the wrong answer to %d", n)
	}
	return nil
}
