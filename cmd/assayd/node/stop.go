package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A stop has one deadline, --stop-timeout after the signal. Each stage may use
// all the time that is left but for what is reserved to the stages after it, in
// parts of --stop-timeout: a miner who goes on sending or a daemon that hangs
// cannot take the time that the journal and the ledger need to write what was promised, and what one
// stage does not need is the next one's.
//
//	|── drain ≤ ½ ──|─ verify ─|─ blocks ─|──── ledger ────|─ the rest, tailTime ─|
//	signal                                            --stop-timeout            exit
const (
	verifyReserve = 0.125 // the queue is emptied, by hashing or shedding
	blocksReserve = 0.125 // found blocks reach the daemons, or the chain is asked
	ledgerReserve = 0.25  // the journal's last commit; credits and rounds are written
	// lingerPart bounds the wait for further daemons when the first has a block:
	// it is placed, and a daemon that hangs is not worth the miners' time.
	lingerPart = 0.125
)

const (
	// tailTime is for what comes after the books: sockets, admin port, C memory and
	// Redis. With the usual --stop-timeout all is over before the ten seconds that
	// a container manager waits: of the two left, half a second is for the last log
	// lines and a quarter the exit's own.
	tailTime = 1250 * time.Millisecond
	// overrun is what a stage may take beyond its time before it is left behind:
	// each ends by itself at its deadline, but for a batch of hashes under way.
	overrun = 750 * time.Millisecond
	// epochsGrace is twice what filling a cache takes on an idle machine.
	epochsGrace = time.Second
)

// stop is a stop under way. Owned by Node.Stop.
type stop struct {
	*Node
	begin time.Time
	errs  []error
}

// before is a context that ends when only the reserved parts of the time are left.
func (s *stop) before(reserved float64) (context.Context, context.CancelFunc) {
	return context.WithDeadline(context.Background(), s.begin.Add(time.Duration((1-reserved)*float64(s.cfg.StopTimeout))))
}

// note keeps an error for the end.
func (s *stop) note(what string, err error) {
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", what, err))
	}
}

// errLeftBehind is a stage that did not end in its time.
var errLeftBehind = errors.New("not done in time, left behind")

// within runs f and waits for it, but not for long after ctx has ended: whatever
// hangs, the process ends.
func within(ctx context.Context, grace time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		return errLeftBehind
	}
}

// Stop takes the node down in the order of the package comment. The error says
// what could not be finished in time; a node that could not start in full is
// stopped as far as it got.
func (n *Node) Stop() error {
	s := &stop{Node: n, begin: time.Now()}
	s.shares()
	s.blocks()
	s.books()
	s.tail()
	return errors.Join(s.errs...)
}

// shares takes no more of them and answers those that are on their way.
func (s *stop) shares() {
	if s.follow != nil {
		s.follow()
	}
	if s.server != nil {
		ctx, cancel := s.before(verifyReserve + blocksReserve + ledgerReserve)
		s.note("answer the shares on their way", within(ctx, overrun, func() error { return s.server.Drain(ctx) }))
		cancel()
	}
	if s.verify != nil {
		ctx, cancel := s.before(blocksReserve + ledgerReserve)
		s.note("hash what is queued", within(ctx, overrun, func() error { return s.verify.Close(ctx) }))
		cancel()
	}
}

// blocks lets them reach the daemons, those of all pools at once.
func (s *stop) blocks() {
	ctx, cancel := s.before(ledgerReserve)
	defer cancel()
	s.note("end the daemons' followers", within(ctx, 0, func() error { s.follows.Wait(); return nil }))
	s.each(ctx, func(p *poolNode) error {
		if p.pool == nil {
			return nil
		}
		return p.pool.Close(ctx)
	})
	linger, cancel := context.WithTimeout(ctx, time.Duration(lingerPart*float64(s.cfg.StopTimeout)))
	defer cancel()
	s.each(linger, func(p *poolNode) error { p.closeDaemons(linger); return nil })
}

// books makes what was accepted durable and writes it to Redis.
func (s *stop) books() {
	ctx, cancel := s.before(0)
	defer cancel()
	s.each(ctx, func(p *poolNode) error { return p.closeBooks(ctx) })
}

// each runs a stage for all pools at once.
func (s *stop) each(ctx context.Context, stage func(*poolNode) error) {
	errs := make([]error, len(s.pools))
	var wait sync.WaitGroup
	for i, p := range s.pools {
		wait.Go(func() { errs[i] = within(ctx, overrun, func() error { return stage(p) }) })
	}
	wait.Wait()
	for i, p := range s.pools {
		s.note("pool "+p.cfg.Name, errs[i])
	}
}

// tail takes down what nobody depends on any more.
func (s *stop) tail() {
	ctx, cancel := context.WithDeadline(context.Background(), s.begin.Add(s.cfg.StopTimeout+tailTime))
	defer cancel()
	// They wait for nothing but each other's time, so all begin at once; Redis
	// alone waits for its connection to be closed.
	var wait sync.WaitGroup
	part := func(what string, f func() error) {
		wait.Go(func() {
			if err := within(ctx, 0, f); err != nil {
				s.log.Warn("the process ends without it", "stage", what, "err", err)
			}
		})
	}
	if s.server != nil {
		part("close the sockets", func() error { s.server.Stop(); return nil })
	}
	if s.admin != nil {
		part("close the admin port", s.stopAdmin)
	}
	part("free RandomX's memory", func() error { s.closeEpochs(); return nil })
	part("close Redis", func() error {
		if s.store != nil {
			s.store.Close()
		}
		if s.redis != nil {
			s.redis.Stop()
		}
		return nil
	})
	wait.Wait()
	if s.folder != nil {
		s.folder.Close() // only now: what is in the folder was ours until here
	}
}

// closeEpochs frees RandomX's memory. A cache that is being filled cannot be
// interrupted, and at low priority on a busy machine it takes long: then the
// memory goes with the process.
func (n *Node) closeEpochs() {
	if n.epochs == nil {
		return
	}
	closed := make(chan struct{})
	go func() { n.epochs.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(epochsGrace):
		n.log.Info("a RandomX cache is still being filled; its memory goes with the process")
	}
}
