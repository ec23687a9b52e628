package daemon

import (
	"context"
	"errors"
	"time"
)

// maxSubmits blocks may be on their way at once. Blocks are rare; this many mean that no daemon
// answers, and on a test chain of difficulty 1 that the miners are faster than the daemon.
const maxSubmits = 64

// An unreachable daemon is tried again after 100 ms, doubling to 2 s: a found block is worth more
// than the daemon's quiet.
const (
	submitRetryFirst = 100 * time.Millisecond
	submitRetryMax   = 2 * time.Second
)

// Answer is what one daemon finally said to a block.
type Answer uint8

const (
	AnswerNone     Answer = iota // still asked when Submit returned
	AnswerAccepted               // it has the block
	AnswerRejected
	AnswerUnreachable // no definite answer before the context ended
)

func (a Answer) String() string {
	return [...]string{"pending", "accepted", "rejected", "unreachable"}[a]
}

// Result is one daemon's part in an Outcome.
type Result struct {
	Daemon string // host:port
	Answer Answer
	// Alternative: the daemon has the block but not on its main chain; another block of that
	// height came first. It may still win.
	Alternative bool
	Tries       int
	Detail      string // the daemon's words, or the error
}

// Outcome of a submitted block: exactly one of Accepted, Rejected and Unreachable is true.
type Outcome struct {
	Accepted    bool // a daemon has the block
	Rejected    bool // at least one daemon refused it and none accepted it
	Unreachable bool // no daemon gave a definite answer
	Alternative bool // accepted, but so far beside the main chain
	Daemon      string
	Detail      string // of the daemon that decided the outcome
	Results     []Result
}

// Submit sends a block to all daemons at once, healthy or not, and returns as soon as one accepts
// it, or all have given a definite answer, or ctx ends. A daemon that cannot be reached, is busy or
// fails is tried again until then. After the first acceptance the others are still tried for
// SubmitLinger in the background, so that all get the block; Close waits for them.
//
// id is the block's id. With it an OK is checked (monerod says OK to a block with an unknown
// parent), and a block that a daemon rejects because it has it already, after an answer that was
// lost, counts as accepted. A zero id turns both checks off.
func (c *Client) Submit(ctx context.Context, id [32]byte, block []byte) Outcome {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.submits.Add(1) // before Close may wait
		defer c.submits.Done()
	}
	c.mu.Unlock()
	if closed {
		return Outcome{Unreachable: true, Detail: "daemon client is closed"}
	}
	select {
	case c.inFlight <- struct{}{}:
	default:
		c.metrics.submitShed.Inc()
		return Outcome{Unreachable: true, Detail: "too many blocks are being submitted"}
	}
	// The senders obey the caller until it has its answer, and lingerCx always.
	sendCx, stop := context.WithCancel(c.lingerCx)
	results := make([]Result, len(c.nodes))
	for i, n := range c.nodes {
		results[i].Daemon = n.name
	}
	type numbered struct {
		i int
		r Result
	}
	answers := make(chan numbered, len(c.nodes)) // senders never block on it
	for i, n := range c.nodes {
		c.submits.Go(func() { answers <- numbered{i, c.send(sendCx, n, id, block)} })
	}
	finish := func() { stop(); <-c.inFlight }
	left := len(c.nodes)
	for left > 0 {
		select {
		case <-ctx.Done():
			stop()
			for ; left > 0; left-- { // they end at once now
				a := <-answers
				results[a.i] = a.r
			}
		case a := <-answers:
			left--
			results[a.i] = a.r
			if a.r.Answer != AnswerAccepted {
				continue
			}
			c.nodes[a.i].wake() // its tip has just moved
			if left == 0 {
				break
			}
			// The others may still be asked; end them when they are done or SubmitLinger is over.
			c.submits.Go(func() {
				defer finish()
				linger := time.NewTimer(c.cfg.SubmitLinger)
				defer linger.Stop()
				for range left {
					select {
					case <-answers:
					case <-linger.C:
						stop()
						return
					}
				}
			})
			return conclude(results)
		}
	}
	finish()
	return conclude(results)
}

// conclude sums up: accepted by one is accepted.
func conclude(results []Result) Outcome {
	o := Outcome{Results: results}
	pick := func(want Answer) bool {
		for _, r := range results {
			if r.Answer == want {
				o.Daemon, o.Detail, o.Alternative = r.Daemon, r.Detail, r.Alternative
				return true
			}
		}
		return false
	}
	switch {
	case pick(AnswerAccepted):
		o.Accepted = true
		for _, r := range results { // on one main chain is enough
			if r.Answer == AnswerAccepted && !r.Alternative {
				o.Daemon, o.Detail, o.Alternative = r.Daemon, r.Detail, false
				break
			}
		}
	case pick(AnswerRejected):
		o.Rejected = true
	default:
		pick(AnswerUnreachable)
		o.Unreachable = true
	}
	return o
}

// send tries one daemon until it gives a definite answer or ctx ends.
func (c *Client) send(ctx context.Context, n *node, id [32]byte, block []byte) Result {
	r := Result{Daemon: n.name, Answer: AnswerUnreachable}
	for r.Tries = 1; ; r.Tries++ {
		start := time.Now()
		err := n.caller.submit(ctx, c.cfg.SubmitTimeout, block)
		n.metrics.submitSeconds.Observe(time.Since(start).Seconds())
		var e *Error
		switch {
		case err == nil:
			c.confirm(ctx, n, id, &r)
		case errors.As(err, &e) && e.Kind == KindRPC:
			// A definite no, unless it is one because the daemon has it already.
			c.knownAlready(ctx, n, id, err, &r)
		default:
			r.Detail = err.Error()
			n.metrics.errors[KindOf(err)].Inc()
		}
		switch r.Answer {
		case AnswerAccepted:
			n.metrics.accepted.Inc()
			return r
		case AnswerRejected:
			n.metrics.rejected.Inc()
			c.cfg.Log.Warn("block rejected", "pool", c.cfg.Pool, "daemon", n.name, "detail", r.Detail)
			return r
		}
		select {
		case <-ctx.Done():
			n.metrics.unreachable.Inc()
			return r
		case <-time.After(backoff(submitRetryFirst, submitRetryMax, r.Tries-1)):
		}
	}
}

// confirm checks a daemon's OK.
func (c *Client) confirm(ctx context.Context, n *node, id [32]byte, r *Result) {
	r.Answer, r.Detail = AnswerAccepted, "OK"
	if id == ([32]byte{}) {
		return
	}
	h, err := n.headerByID(ctx, c.cfg.RPCTimeout, id)
	switch {
	case err == nil:
		r.Alternative = h.Orphan
	case unknownBlock(err):
		r.Answer, r.Detail = AnswerRejected, "answered OK but does not have the block"
	default:
		// It said OK; that it cannot be asked again now does not make the block less accepted.
		r.Detail = "OK, not confirmed: " + err.Error()
	}
}

// knownAlready tells a repeated block from a bad one. When the daemon cannot be asked the answer
// stays open and the block is sent again.
func (c *Client) knownAlready(ctx context.Context, n *node, id [32]byte, reject error, r *Result) {
	r.Answer, r.Detail = AnswerRejected, reject.Error()
	if id == ([32]byte{}) {
		return
	}
	h, err := n.headerByID(ctx, c.cfg.RPCTimeout, id)
	switch {
	case err == nil:
		r.Answer, r.Alternative, r.Detail = AnswerAccepted, h.Orphan, "known already"
	case !unknownBlock(err):
		r.Answer = AnswerUnreachable
	}
}
