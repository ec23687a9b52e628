package pool

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"

	"github.com/assay-pool/assay/internal/crash"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
)

// find is a found block until it is settled.
type find struct {
	Block
	id     string // hex
	bytes  []byte
	of     *job.Template // nil of an earlier start's block
	logged bool          // its bytes are in the log
	beside bool          // a rival came first, which is logged and counted
}

// newFind is the block of a proven share.
func newFind(s *Share) *find {
	id, block := s.block()
	t := s.Template
	return &find{
		Block: Block{
			ID: id, Height: t.Height, Difficulty: t.Difficulty.String(),
			Reward: t.Reward, Wallet: s.Wallet, Worker: s.Worker, Time: s.Received,
		},
		id: hex.EncodeToString(id[:]), bytes: block, of: t,
	}
}

// block is the whole block of a share, as the daemon wants it, and its id.
func (s *Share) block() (id [32]byte, block []byte) {
	return blob.BlockID(s.Input()), s.Template.AppendBlock(nil, s.Extra[:], s.Nonce)
}

// finds are the blocks that wait for one of Submissions placers, oldest first.
//
// A semaphore the hash worker waits for lost: with daemons that hang it parked
// every worker for SubmitTimeout, and all miners' shares with it.
type finds struct {
	mu      sync.Mutex
	waiting []*find // guarded by mu; not empty only while all placers run
	placers int     // guarded by mu; goroutines
	closed  bool    // guarded by mu
}

// Errors of blocks that are given up without having been submitted.
var (
	errTooMany = errors.New("too many found blocks wait for the daemons")
	errClosed  = errors.New("it was found after the pool was closed")
)

// found writes a block down and sends it on its way, once. It never waits.
// Beyond FoundBlocks the block is given up, its bytes in the log: that many mean
// that no daemon has answered for minutes, so to wait would lose the worker's
// shares and not win the block.
func (p *Pool) found(f *find) {
	if !p.known.add(f.ID) {
		p.metrics.known.Inc()
		return
	}
	p.metrics.found.Inc()
	crash.At(crash.PoolBeforeFound)
	p.cfg.Books.Found(f.Block, f.bytes)
	crash.At(crash.PoolAfterFound)
	switch {
	case !p.begin():
		p.metrics.left.Inc()
		p.complain("block left unsettled", f, errClosed)
	case !p.enqueue(f):
		p.metrics.shed.Inc()
		p.lost(f, errTooMany)
	}
}

// begin counts a block as on its way, unless the pool is closed.
func (p *Pool) begin() bool {
	q := &p.finds
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		p.inflight.Add(1)
	}
	return !q.closed
}

// enqueue gives f to a placer, a new one if there may be one more.
func (p *Pool) enqueue(f *find) bool {
	q := &p.finds
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.placers < p.cfg.Submissions:
		q.placers++
		p.inflight.Go(func() { p.placer(f) })
	case len(q.waiting) >= p.cfg.FoundBlocks:
		return false
	default:
		q.waiting = append(q.waiting, f)
		p.metrics.waiting.Set(float64(len(q.waiting)))
	}
	return true
}

// placer submits f and then what waits, in the order it was found. It ends when
// nothing waits.
func (p *Pool) placer(f *find) {
	for f != nil {
		p.place(f)
		f = p.next()
	}
}

// next takes the oldest block that waits; nil ends the placer.
func (p *Pool) next() *find {
	q := &p.finds
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.placers--
		q.waiting = nil // do not keep a burst's memory
		return nil
	}
	f := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	p.metrics.waiting.Set(float64(len(q.waiting)))
	return f
}

// place submits a block and settles it, or hands it to a watch.
func (p *Pool) place(f *find) {
	if p.submitting.Err() != nil {
		p.leave(f, errors.New("it was not submitted before the pool was closed"))
		return
	}
	daemon, err := p.offer(f)
	switch {
	case err == nil:
		p.won(f, daemon)
	case errors.Is(err, ErrBeside):
		p.beside(f, err)
	case unknown(err):
		p.watch(f, err)
	default:
		p.lost(f, err)
	}
}

// offer submits a block to the daemons.
func (p *Pool) offer(f *find) (daemon string, err error) {
	ctx, cancel := context.WithTimeout(p.submitting, p.cfg.SubmitTimeout)
	defer cancel()
	crash.At(crash.PoolBeforeSubmit)
	defer crash.At(crash.PoolAfterSubmit)
	return p.cfg.Blocks.Submit(ctx, f.ID, f.bytes)
}

// won, lost and leave are the ends of a block's way, exactly one of them for each.
// The first two settle it. What is left is still open in the books, where the next
// start finds it.
func (p *Pool) won(f *find, daemon string) {
	defer p.inflight.Done()
	p.metrics.won.Inc()
	p.log.Info("block accepted", "height", f.Height, "id", f.id, "daemon", daemon, "worker", f.Worker)
	p.settle(f, Fate{Accepted: true, Daemon: daemon})
}

func (p *Pool) lost(f *find, err error) {
	defer p.inflight.Done()
	if errors.Is(err, ErrRefused) {
		p.drop(f)
	}
	if !f.beside {
		p.metrics.lost.Inc()
	}
	p.complain("block not accepted", f, err)
	p.settle(f, Fate{Reason: err.Error()})
}

// settle tells the books; only won and lost do.
func (p *Pool) settle(f *find, fate Fate) {
	crash.At(crash.PoolBeforeSettle)
	p.cfg.Books.Settle(f.Block, fate)
	crash.At(crash.PoolAfterSettle)
}

// leave gives up on a block that may have been taken all the same.
func (p *Pool) leave(f *find, err error) {
	defer p.inflight.Done()
	if f.beside {
		return // where it is is known, and that it can still win is the next start's to see
	}
	p.metrics.left.Inc()
	p.complain("block left unsettled", f, err)
	p.unsettled.add(f)
}

// complain logs the block's bytes once: an operator can still submit them.
func (p *Pool) complain(text string, f *find, err error) {
	args := []any{"height", f.Height, "id", f.id, "err", err}
	if !f.logged {
		args = append(args, "block", hex.EncodeToString(f.bytes))
		f.logged = true
	}
	p.log.Error(text, args...)
}
