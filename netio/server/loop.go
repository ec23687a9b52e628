package server

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/assay-pool/assay/netio/stratum"
)

// loop is our side of one event loop. Fields are the loop's own unless said
// otherwise.
type loop struct {
	server *Server
	engine gnet.EventLoop     // immutable
	ports  map[net.Addr]*port // by the address gnet keeps for each listener

	head     *session // every session, newest first
	inflight int      // shares without a verdict
	free     []*submission

	parser stratum.Parser
	req    stratum.Request
	out    []byte // answers of one read
	blob   []byte // hashing blob of the job being sent
	jobID  []byte
	wire   stratum.Job

	fan   fanWalk
	sweep sweepWalk

	// replied is a stack of shares to be answered, newest first; any thread pushes.
	replied atomic.Pointer[submission]
	// drainQueued is set while somebody on the loop is bound to look at replied:
	// a task on its way, or a read being served.
	drainQueued atomic.Bool
	fanQueued   atomic.Bool
	sweepQueued atomic.Bool
	drainTask   gnet.Runnable // immutable, as are the next three
	fanTask     gnet.Runnable
	fanNextTask gnet.Runnable
	sweepTask   gnet.Runnable
}

func newLoop(s *Server, el gnet.EventLoop) *loop {
	l := &loop{server: s, engine: el, ports: make(map[net.Addr]*port, len(s.ports))}
	l.fan.init(len(s.pools))
	l.drainTask = l.task(l.drainReplies)
	l.fanTask = l.task(l.fanWanted)
	l.fanNextTask = l.task(l.fanStep)
	l.sweepTask = l.task(l.sweepStart)
	return l
}

// task wraps what a loop is asked to do so that a panic ends the task only.
func (l *loop) task(f func()) gnet.Runnable {
	return gnet.RunnableFunc(func(context.Context) error {
		defer func() { l.server.caught(recover()) }()
		f()
		return nil
	})
}

// request sends the loop a task unless it is on its way already. Any thread.
func (l *loop) request(queued *atomic.Bool, task gnet.Runnable) {
	if queued.CompareAndSwap(false, true) {
		// The only error is that the engine is shut down, and then there is
		// nobody left to do the work for.
		_ = l.engine.Execute(context.Background(), task)
	}
}

// portOf tells which port a connection came in by. gnet hands out the same
// address value for all connections of a listener but does not say whose it is,
// so the first of each is asked for its own address.
func (l *loop) portOf(c gnet.Conn) *port {
	at := c.LocalAddr()
	if p, ok := l.ports[at]; ok {
		return p
	}
	own, err := localAddr(c.Fd())
	if err != nil {
		return nil
	}
	p := l.server.portAt(own)
	if p != nil {
		l.ports[at] = p
	}
	return p
}

// portAt finds the port that listens on an address, itself or by a wildcard.
func (s *Server) portAt(own netip.AddrPort) *port {
	var found *port
	for _, p := range s.ports {
		switch {
		case p.addr == own:
			return p
		case p.addr.Port() == own.Port() && p.addr.Addr().IsUnspecified():
			found = p
		}
	}
	return found
}

// add puts a session in front: a walk that is under way does not meet it, and
// need not, because it gets the newest job when it logs in.
func (l *loop) add(s *session) {
	s.next = l.head
	if l.head != nil {
		l.head.prev = s
	}
	l.head = s
}

// remove takes a session out, and out of the way of walks that stand at it.
func (l *loop) remove(s *session) {
	if s.closed {
		return
	}
	s.closed = true
	if l.fan.cursor == s {
		l.fan.cursor = s.next
	}
	if l.sweep.cursor == s {
		l.sweep.cursor = s.next
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.head = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	s.release()
}

// sliceOver reports every few sessions whether a walk has used up its slice.
func sliceOver(n int, until time.Time) bool { return n%8 == 0 && time.Now().After(until) }
