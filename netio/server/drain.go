package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// drainPoll is how often Drain asks the loops whether they are done: nothing
// tells when gnet has written a buffer out.
const drainPoll = 10 * time.Millisecond

// Drain begins the end: new connections are closed as they open, new shares are
// refused with a text, except the first few of each session that claim to be
// blocks and are believed (see session.candidate). It returns once
// every share in flight has its answer and every answer is with the kernel, or
// when ctx ends. Shares must be judged and credited meanwhile.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		shares, waiting, err := s.unfinished(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("drain: %w", err)
		case shares == 0 && waiting == 0:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain: %d shares in flight and %d bytes unsent: %w", shares, waiting, ctx.Err())
		case <-s.done:
			return errors.New("drain: the network engine is gone")
		case <-ticker.C:
		}
	}
}

// unfinished asks each loop for its shares in flight and its unsent bytes.
func (s *Server) unfinished(ctx context.Context) (shares, waiting int, err error) {
	type count struct{ shares, waiting int }
	for _, l := range s.allLoops() {
		answer := make(chan count, 1)
		ask := gnet.RunnableFunc(func(context.Context) error {
			c := count{shares: l.inflight}
			for s := l.head; s != nil; s = s.next {
				// A reader that has stalled gets no more time than anybody else
				// has: it is not waited for.
				if s.stalled == 0 || time.Duration(l.server.clock()-s.stalled) < time.Second {
					c.waiting += s.conn.OutboundBuffered()
				}
			}
			answer <- c
			return nil
		})
		if err := l.engine.Execute(ctx, ask); err != nil {
			return 0, 0, err
		}
		select {
		case c := <-answer:
			shares, waiting = shares+c.shares, waiting+c.waiting
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-s.done:
			return 0, 0, errors.New("the network engine is gone")
		}
	}
	return shares, waiting, nil
}
