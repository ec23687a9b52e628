package miner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/assay-pool/assay/bench/xmrig"
)

// session is one connection, from dial to close.
type session struct {
	m       *Miner
	client  *xmrig.Client
	slots   chan struct{}   // one per submit in flight
	submits sync.WaitGroup  // added to under mu only while open
	drain   context.Context // outlives the stop by DrainTimeout

	mu   sync.Mutex
	open bool // guarded by mu
}

// session runs one connection. loggedIn tells that it was of use.
func (m *Miner) session(ctx context.Context) (loggedIn bool, err error) {
	client, err := xmrig.Dial(ctx, m.cfg.Pool)
	if err != nil {
		return false, err
	}
	defer client.Close()
	job, err := client.Login(ctx)
	if err != nil {
		return false, err
	}
	m.book.connected()
	drain, endDrain := context.WithCancel(context.Background())
	defer endDrain()
	s := &session{m: m, client: client, slots: make(chan struct{}, m.cfg.InFlight), drain: drain, open: true}
	defer s.finish(endDrain)

	live, endLive := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { s.keepAlive(live) })
	defer keeper.Wait()
	defer endLive()
	// A preparation must not outlive the connection that asked for it.
	keeper.Go(func() {
		select {
		case <-client.Done():
			endLive()
		case <-live.Done():
		}
	})
	for {
		if err := s.take(live, job); err != nil {
			return true, s.why(err)
		}
		if job, err = client.NextJob(live); err != nil {
			return true, s.why(err)
		}
	}
}

// why prefers the connection's own end to the context it cancelled.
func (s *session) why(err error) error {
	if end := s.client.Err(); end != nil {
		return end
	}
	return err
}

// take makes a job the one all threads work on.
func (s *session) take(ctx context.Context, job *xmrig.Job) error {
	s.m.board.idleUnless(job)
	if err := s.m.cfg.Hashers.Prepare(ctx, s.m.cfg.Name, job); err != nil {
		return err
	}
	s.m.board.post(&work{job: job, session: s})
	s.m.book.job(job)
	s.m.log.Debug("job", "id", job.ID, "height", job.Height, "difficulty", job.Difficulty())
	return nil
}

// keepAlive does as XMRig: only when the pool has the extension.
func (s *session) keepAlive(ctx context.Context) {
	tick := time.NewTicker(s.m.cfg.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := s.client.KeepAlive(ctx)
		if errors.Is(err, xmrig.ErrNoKeepAlive) {
			return
		}
		if err == nil {
			s.m.book.keptAlive()
		}
	}
}

// submit sends a share in a goroutine of its own, so that a slow answer does
// not stop the thread.
func (s *session) submit(share Share, job *xmrig.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		s.m.book.unsent()
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.m.book.unsent()
		return
	}
	if !s.m.book.reserve() {
		<-s.slots
		return
	}
	s.submits.Go(func() {
		err := s.client.Submit(s.drain, job, share.Nonce, share.Result)
		s.m.book.answered(share, err)
		<-s.slots
	})
}

// finish waits for the answers in flight, at most DrainTimeout.
func (s *session) finish(endDrain context.CancelFunc) {
	s.m.board.post(nil)
	s.mu.Lock()
	s.open = false
	s.mu.Unlock()
	timer := time.AfterFunc(s.m.cfg.DrainTimeout, endDrain)
	defer timer.Stop()
	s.submits.Wait()
}
