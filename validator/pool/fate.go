package pool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrUnknownFate is wrapped by [Blocks.Submit]'s error when no daemon gave a
// definite answer. One may have taken the block and its answer got lost: to
// book it as rejected at once could leave a paid block without a record.
var ErrUnknownFate = errors.New("no daemon gave a definite answer")

// Fates answers for blocks of unknown fate.
type Fates interface {
	// OnChain names a daemon that has the block on its main chain; an error
	// when none is known to.
	OnChain(ctx context.Context, id [32]byte) (daemon string, err error)
}

const (
	// The chain is asked after half a second, then ever less often: a daemon
	// that restarts is back in seconds, and 15 s more or less do not matter to
	// a round that is minutes late already.
	fateFirst = 500 * time.Millisecond
	fateMost  = 15 * time.Second
	// fateAsk bounds one question to all daemons, of which some may hang.
	fateAsk = 10 * time.Second
	// maxWatched blocks are asked for at once, each by a goroutine: at one
	// question in 15 s each, 17 a second. As many as wait for a placer by
	// default.
	maxWatched = DefaultFoundBlocks
)

// watch asks the chain for the block in the background, until it has it or
// FateTimeout is over; then the block is settled.
func (p *Pool) watch(f *find, cause error) {
	p.metrics.unanswered.Inc()
	select {
	case p.watched <- struct{}{}:
	default:
		p.lost(f, fmt.Errorf("%w; too many such blocks", cause))
		return
	}
	p.complain("nobody answered for a block, the chain is asked for it", f, cause)
	p.metrics.watched.Inc()
	p.inflight.Go(func() {
		defer func() { <-p.watched }()
		defer p.metrics.watched.Dec()
		p.follow(f, cause)
	})
}

// follow settles a block of unknown fate. When the pool closes the chain is
// asked one last time.
func (p *Pool) follow(f *find, cause error) {
	over := time.NewTimer(p.cfg.FateTimeout)
	defer over.Stop()
	timer := time.NewTimer(fateFirst)
	defer timer.Stop()
	for wait, last := fateFirst, ""; ; timer.Reset(wait) {
		select {
		case <-timer.C:
		case <-over.C:
			last = "within " + p.cfg.FateTimeout.String()
		case <-p.closing.Done():
			last = "before the pool was closed"
		}
		ctx, cancel := context.WithTimeout(p.ctx, fateAsk)
		daemon, err := p.cfg.Fates.OnChain(ctx, f.ID)
		cancel()
		switch {
		case err == nil:
			p.won(f, daemon)
			return
		case last != "":
			p.lost(f, fmt.Errorf("%w, and it was not seen on the chain %s: %v", cause, last, err))
			return
		}
		wait = min(2*wait, fateMost)
	}
}
