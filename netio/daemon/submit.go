package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"time"
)

const (
	// maxSubmits calls of Submit may wait for an answer at once. Blocks are rare; this many mean
	// that no daemon answers, and on a test chain of difficulty 1 that the miners are faster than
	// the daemon.
	maxSubmits = 64
	// maxLingers blocks that have their answer may still be on their way to further daemons. One
	// more gives up the oldest: a block is worth less to a daemon that hangs the older it gets, and
	// a new block is never refused for the sake of such copies. One costs its bytes and a goroutine
	// per daemon.
	maxLingers = 64
)

const (
	// submitRetryFirst: a block is worth more than the daemon's quiet, and a daemon between two
	// connections takes the next one at once.
	submitRetryFirst = 100 * time.Millisecond
	// submitRetryMax: a daemon that has been away for seconds is back after many, and the longest
	// wait is what its return costs.
	submitRetryMax = 2 * time.Second
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
	// Open: the daemon may have the block. It said OK, or the block was sent and its answer was lost,
	// and its chain could not be asked since.
	Open   bool
	Tries  int
	Detail string // the daemon's words, or the error
}

// Outcome of a submitted block: exactly one of Accepted, Rejected and Unreachable is true.
type Outcome struct {
	Accepted    bool // a daemon has the block
	Rejected    bool // at least one daemon refused it, and none has it or may have it
	Unreachable bool // nobody knows: no daemon gave a definite answer, or one may have the block
	// Alternative: accepted, but so far beside the main chain of every daemon that has it. Whether
	// it closes a round is for the caller to say.
	Alternative bool
	Daemon      string
	Detail      string // of the daemon that decided the outcome
	Results     []Result
}

// Submit sends a block to all daemons at once, healthy or not, and returns as soon as one has it on
// its main chain, or all have given a definite answer, or ctx ends. A daemon that cannot be reached,
// is busy or fails is tried again until then. After an acceptance the others are still tried for
// SubmitLinger in the background, so that all get the block; Close waits for them.
//
// A daemon that has the block beside its main chain does not end the wait at once, because it says
// nothing about the others: their chains may have our block where its chain has a rival. They get
// AlternativeWait more to say so. If none does and all have answered, the outcome is Accepted and
// Alternative; a daemon that has not answered by then leaves it open.
//
// id is the block's id. With it an OK is checked: monerod says OK to a block with an unknown parent,
// and to one beside its main chain. While the question has no answer the block is neither accepted
// nor rejected; it is asked again until ctx ends. A block that a daemon rejects because it has it
// already, after an answer that was lost, counts as accepted. A zero id turns both checks off.
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
		defer func() { <-c.inFlight }()
	default:
		c.metrics.submitShed.Inc()
		return Outcome{Unreachable: true, Detail: "too many blocks are being submitted"}
	}
	nodes := c.order()
	if len(nodes) == 0 {
		return Outcome{Unreachable: true, Detail: errNoDaemon.Error()}
	}
	s := &submission{c: c, results: make([]Result, len(nodes)), answers: make(chan numbered, len(nodes)), left: len(nodes)}
	// The senders obey the caller until it has its answer, and lingerCx always.
	var sendCx context.Context
	sendCx, s.stop = context.WithCancel(c.lingerCx)
	for i, n := range nodes {
		s.results[i].Daemon = n.name
		c.submits.Go(func() { s.answers <- numbered{i, c.send(sendCx, n, id, block)} })
	}
	s.wait(ctx)
	o := conclude(s.results)
	if o.Rejected {
		c.blockRefused(id, block)
	}
	return o
}

// submission is one block on its way. Owned by Submit until that returns.
type submission struct {
	c       *Client
	results []Result
	answers chan numbered // senders never block on it
	left    int           // senders that have not answered
	stop    context.CancelFunc
}

type numbered struct {
	i int
	r Result
}

// wait collects answers until the outcome is known.
func (s *submission) wait(ctx context.Context) {
	var patience <-chan time.Time // runs once the block is beside a main chain
	accepted := false
	for s.left > 0 {
		select {
		case <-ctx.Done():
			if accepted {
				s.c.linger(s)
				return
			}
			s.stop()
			for ; s.left > 0; s.left-- { // they end at once now
				a := <-s.answers
				s.results[a.i] = a.r
			}
		case <-patience:
			s.c.linger(s)
			return
		case a := <-s.answers:
			s.left--
			s.results[a.i] = a.r
			if a.r.Answer != AnswerAccepted {
				continue
			}
			accepted = true
			if !a.r.Alternative {
				s.c.linger(s)
				return
			}
			if patience == nil {
				timer := time.NewTimer(s.c.cfg.AlternativeWait)
				defer timer.Stop()
				patience = timer.C
			}
		}
	}
	s.stop()
}

// linger lets the daemons that have not answered be tried on, until they have, SubmitLinger is over
// or maxLingers newer blocks linger.
func (c *Client) linger(s *submission) {
	if s.left == 0 {
		s.stop()
		return
	}
	c.lingerMu.Lock()
	defer c.lingerMu.Unlock()
	if len(c.lingers) >= maxLingers {
		c.lingers[0].stop() // its goroutine below takes it off no more
		c.lingers = slices.Delete(c.lingers, 0, 1)
		c.metrics.lingerShed.Inc()
	}
	c.lingers = append(c.lingers, s)
	c.submits.Go(func() {
		defer s.stop()
		over := time.AfterFunc(c.cfg.SubmitLinger, s.stop)
		defer over.Stop()
		for range s.left { // also after stop: the senders end at once then
			<-s.answers
		}
		c.lingerMu.Lock()
		defer c.lingerMu.Unlock()
		if i := slices.Index(c.lingers, s); i >= 0 {
			c.lingers = slices.Delete(c.lingers, i, i+1)
		}
	})
}

// conclude sums up: one daemon with the block on its main chain decides. Without one, a daemon that
// may have it, or has not answered yet, leaves the outcome open, whatever the others said: its chain
// may be the one that wins.
func conclude(results []Result) Outcome {
	o := Outcome{Results: results}
	pick := func(is func(Result) bool) bool {
		i := slices.IndexFunc(results, is)
		if i >= 0 {
			o.Daemon, o.Detail, o.Alternative = results[i].Daemon, results[i].Detail, results[i].Alternative
		}
		return i >= 0
	}
	answered := func(a Answer) func(Result) bool { return func(r Result) bool { return r.Answer == a } }
	switch {
	case pick(func(r Result) bool { return r.Answer == AnswerAccepted && !r.Alternative }):
		o.Accepted = true
	case pick(func(r Result) bool { return r.Open || r.Answer == AnswerNone }):
		o.Unreachable = true
	case pick(answered(AnswerAccepted)):
		o.Accepted = true
	case pick(answered(AnswerRejected)):
		o.Rejected = true
	default:
		pick(answered(AnswerUnreachable))
		o.Unreachable = true
	}
	return o
}

// send tries one daemon until it gives a definite answer or ctx ends. A daemon that said OK is not
// sent the block again, only asked for it.
func (c *Client) send(ctx context.Context, n *node, id [32]byte, block []byte) Result {
	r := Result{Daemon: n.name, Answer: AnswerUnreachable}
	said := false // OK
	for r.Tries = 1; ; r.Tries++ {
		if !said {
			start := time.Now()
			err := n.caller.submit(ctx, c.cfg.SubmitTimeout, block)
			n.metrics.submitSeconds.Observe(time.Since(start).Seconds())
			var e *Error
			switch {
			case err == nil:
				said = true
			case errors.As(err, &e) && e.Kind == KindRPC:
				// A definite no, unless it is one because the daemon has it already.
				c.knownAlready(ctx, n, id, err, &r)
			default:
				r.Open = r.Open || mayHaveArrived(err)
				r.Detail = err.Error()
				n.metrics.errors[KindOf(err)].Inc()
			}
		}
		if said {
			c.confirm(ctx, n, id, &r)
		}
		switch r.Answer {
		case AnswerAccepted:
			r.Open = false
			n.metrics.accepted.Inc()
			if r.Alternative {
				n.wake() // another block has moved its tip
			} else {
				c.blockTaken(n)
			}
			return r
		case AnswerRejected:
			r.Open = false
			n.metrics.rejected.Inc()
			c.cfg.Log.Warn("block rejected", "pool", c.cfg.Pool, "daemon", n.name, "detail", r.Detail)
			if c.gave(n) {
				c.blockRefused(id, block) // the others need not be waited for
			}
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

// submit gives nil when the daemon said OK.
func (c *caller) submit(ctx context.Context, timeout time.Duration, block []byte) error {
	const method = "submit_block"
	res, err := c.call(ctx, timeout, method, []string{hex.EncodeToString(block)})
	if err != nil {
		return err
	}
	var a answerStatus
	derr := strictUnmarshal(res, &a)
	if derr == nil {
		derr = a.check()
	}
	return c.named(method, derr)
}

// mayHaveArrived tells a failed submit_block that the daemon may have acted on from one that it
// cannot have: it was never connected to or is not trusted, wants a login first, said that it is too
// busy to look, or is another service than a daemon (its 4xx says that it did not take the request).
func mayHaveArrived(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	var e *Error
	if !errors.As(err, &e) {
		return true
	}
	switch e.Kind {
	case KindAuth, KindBusy, KindTLS:
		return false
	case KindHTTP:
		return e.Code < 400 || e.Code >= 500
	}
	return true
}

// confirm asks a daemon that said OK for the block. Without an answer it stays open: an OK alone may
// be that of a block beside the main chain.
func (c *Client) confirm(ctx context.Context, n *node, id [32]byte, r *Result) {
	if id == ([32]byte{}) {
		r.Answer, r.Detail = AnswerAccepted, "OK"
		return
	}
	h, err := n.headerByID(ctx, c.cfg.RPCTimeout, id)
	switch {
	case err == nil:
		r.Answer, r.Detail, r.Alternative = AnswerAccepted, "OK", h.Orphan
	case unknownBlock(err):
		r.Answer, r.Detail = AnswerRejected, "answered OK but does not have the block"
	default:
		r.Answer, r.Open, r.Detail = AnswerUnreachable, true, "said OK, and its chain could not be asked: "+err.Error()
		n.metrics.errors[KindOf(err)].Inc()
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
		r.Answer, r.Open = AnswerUnreachable, true
	}
}
