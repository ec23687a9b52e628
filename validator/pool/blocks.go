package pool

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/verify"
)

// find is a found block until it is settled.
type find struct {
	Block
	id      string // hex
	bytes   []byte
	of      *job.Template // nil of an earlier start's block
	logged  bool          // its bytes are in the log
	kept    bool          // its record is on disk
	beside  bool          // a rival came first, which is logged and counted
	settler Settler
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
	errTooMany    = errors.New("too many found blocks wait for the daemons")
	errUnrecorded = errors.New("too many found blocks wait for redis")
	errClosed     = errors.New("it was found after the pool was closed")
)

// found cuts the round and sends the block on its way, once. It never waits.
// Beyond FoundBlocks the block is given up, its bytes in the log: that many mean
// that no daemon has answered for minutes, so to wait would lose the worker's
// shares and not win the block.
func (p *Pool) found(s *verify.Share, now time.Time) {
	id, block := verify.Block(s)
	if !p.known.add(id) {
		p.metrics.known.Inc()
		return
	}
	f := &find{
		Block: Block{
			ID: id, Height: s.Template.Height, Difficulty: s.Template.Difficulty.String(),
			Reward: s.Template.Reward, Wallet: s.Wallet, Worker: s.Worker, Time: now,
		},
		id: hex.EncodeToString(id[:]), bytes: block, of: s.Template, settler: noRound{},
	}
	p.metrics.found.Inc()
	if !p.begin() {
		p.metrics.shed.Inc()
		p.metrics.lost.Inc()
		p.complain("block not accepted", f, errClosed)
		return
	}
	settler, room := p.cfg.Ledger.Found(f.Block)
	if !room {
		p.metrics.shed.Inc()
		p.lost(f, errUnrecorded)
		return
	}
	f.settler = settler
	if !p.enqueue(f) {
		p.metrics.shed.Inc()
		p.lost(f, errTooMany)
	}
}

// noRound settles a block that has cut no round.
type noRound struct{}

func (noRound) Accepted(string) {}
func (noRound) Rejected(string) {}
func (noRound) LeaveOpen()      {}

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

// place writes a block down, submits it and settles it, or hands it to a watch.
func (p *Pool) place(f *find) {
	if p.cfg.Keeper != nil {
		f.kept = p.cfg.Keeper.Keep(p.asking, f.Block, f.bytes) == nil
	}
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
	return p.cfg.Blocks.Submit(ctx, f.ID, f.bytes)
}

// won, lost and leave settle a block, exactly once. The record on disk of one
// that is won goes when its round is closed in Redis, which the Ledger tells.
func (p *Pool) won(f *find, daemon string) {
	defer p.inflight.Done()
	p.metrics.won.Inc()
	p.log.Info("block accepted", "height", f.Height, "id", f.id, "daemon", daemon, "worker", f.Worker)
	f.settler.Accepted(daemon)
}

func (p *Pool) lost(f *find, err error) {
	defer p.inflight.Done()
	if errors.Is(err, ErrRefused) {
		p.drop(f)
	}
	if !f.beside {
		p.metrics.lost.Inc()
		p.complain("block not accepted", f, err)
		f.settler.Rejected(err.Error())
	}
	if p.cfg.Keeper != nil {
		p.cfg.Keeper.Drop(f.ID)
	}
}

// leave gives up on a block that may have been taken all the same. Its record
// stays on disk, where the next start finds it.
func (p *Pool) leave(f *find, err error) {
	defer p.inflight.Done()
	f.settler.LeaveOpen()
	if f.beside {
		return // its round has gone on, which is what holds as things are
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
