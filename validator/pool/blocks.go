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
	bytes   []byte // nil once they are in the log
	of      *job.Template
	pending Pending
}

// finds are the blocks that wait for one of Submissions placers, oldest first.
//
// A semaphore the hash worker waits for lost: with daemons that hang it parked
// every worker for SubmitTimeout, and all miners' shares with it.
type finds struct {
	mu      sync.Mutex
	waiting []*find // guarded by mu; not empty only while all placers run
	placers int     // guarded by mu; goroutines
}

// found cuts the round and sends the block on its way. It never waits. Beyond
// FoundBlocks the block is given up, its bytes in the log: that many mean that
// no daemon has answered for minutes, so to wait would lose the worker's shares
// and not win the block.
func (p *Pool) found(s *verify.Share, now time.Time) {
	id, block := verify.Block(s)
	f := &find{
		Block: Block{
			ID: id, Height: s.Template.Height, Difficulty: s.Template.Difficulty.String(),
			Reward: s.Template.Reward, Wallet: s.Wallet, Worker: s.Worker, Time: now,
		},
		id: hex.EncodeToString(id[:]), bytes: block, of: s.Template,
	}
	p.tips.found(f.ID)
	f.pending = p.cfg.Ledger.Found(f.Block)
	p.metrics.found.Inc()
	p.inflight.Add(1)
	if !p.enqueue(f) {
		p.metrics.shed.Inc()
		p.lost(f, errTooMany)
	}
}

var errTooMany = errors.New("too many found blocks wait for the daemons")

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
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.SubmitTimeout)
	defer cancel()
	daemon, err := p.cfg.Blocks.Submit(ctx, f.ID, f.bytes)
	switch {
	case err == nil:
		p.won(f, daemon)
	case p.cfg.Fates != nil && errors.Is(err, ErrUnknownFate):
		p.watch(f, err)
	default:
		p.lost(f, err)
	}
}

// won and lost settle a block, exactly once.
func (p *Pool) won(f *find, daemon string) {
	defer p.inflight.Done()
	p.metrics.won.Inc()
	p.log.Info("block accepted", "height", f.Height, "id", f.id, "daemon", daemon, "worker", f.Worker)
	f.pending.Accepted(daemon)
}

func (p *Pool) lost(f *find, err error) {
	defer p.inflight.Done()
	if errors.Is(err, ErrRefused) {
		p.drop(f)
	}
	p.metrics.lost.Inc()
	p.complain("block not accepted", f, err)
	f.pending.Rejected(err.Error())
}

// complain logs the block's bytes once: an operator can still submit them.
func (p *Pool) complain(text string, f *find, err error) {
	args := []any{"height", f.Height, "id", f.id, "err", err}
	if f.bytes != nil {
		args = append(args, "block", hex.EncodeToString(f.bytes))
		f.bytes = nil
	}
	p.log.Error(text, args...)
}
