package server

import (
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// handler is the Server as gnet calls it. gnet recovers from no panic, so each
// method does: one connection ends, not the node (I12).
type handler Server

// OnBoot ends the holds: the first loop's listeners listen now.
func (h *handler) OnBoot(eng gnet.Engine) gnet.Action {
	s := (*Server)(h)
	s.engine = eng
	s.releaseHolds()
	close(s.booted)
	return gnet.None
}

// OnOpen admits a connection or closes it.
func (h *handler) OnOpen(c gnet.Conn) (out []byte, action gnet.Action) {
	s := (*Server)(h)
	defer func() {
		if s.caught(recover()) {
			if c.Context() == nil {
				s.conns.Add(-1) // OnClose will not know it
			}
			out, action = nil, gnet.Close
		}
	}()
	refuse := func(why connRefusal) ([]byte, gnet.Action) {
		s.conns.Add(-1)
		s.metrics.refused[why].Inc()
		return nil, gnet.Close
	}
	// Counted first: several loops may be here at once.
	if s.conns.Add(1) > int64(s.cfg.MaxConns) {
		return refuse(refusedLimit)
	}
	if s.draining.Load() {
		return refuse(refusedDraining)
	}
	l := s.loopOf(c.EventLoop())
	p := l.portOf(c)
	if p == nil {
		return refuse(refusedAddress)
	}
	if s.setOptions(c.Fd()) != nil {
		return refuse(refusedOptions)
	}
	session := &session{loop: l, port: p, conn: c, opened: s.clock(), seen: s.clock()}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		// gnet forgets it when the connection closes.
		addr := a.AddrPort()
		session.remote = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	c.SetContext(session)
	l.add(session)
	s.metrics.accepted.Inc()
	s.metrics.connections.Inc()
	return nil, gnet.None
}

// OnTraffic serves every full line a connection has sent.
func (h *handler) OnTraffic(c gnet.Conn) (action gnet.Action) {
	session, ok := c.Context().(*session)
	if !ok {
		return gnet.Close
	}
	l := session.loop
	queued := l.enter()
	defer func() {
		if l.server.caught(recover()) {
			session.reason = closedPanic
			action = gnet.Close
		}
		l.leave(queued)
		if session.closed || session.reason != closedByPeer {
			action = gnet.Close
		}
	}()
	session.traffic()
	return gnet.None
}

// OnClose forgets a session. Its shares in flight find it closed.
func (h *handler) OnClose(c gnet.Conn, _ error) gnet.Action {
	s := (*Server)(h)
	defer func() { s.caught(recover()) }()
	session, ok := c.Context().(*session)
	if !ok {
		return gnet.None // refused as it opened
	}
	if s.stopping.Load() && session.reason == closedByPeer {
		session.reason = closedShutdown
	}
	session.loop.remove(session)
	s.conns.Add(-1)
	s.metrics.connections.Dec()
	s.metrics.closes[session.reason].Inc()
	return gnet.None
}

// OnTick runs on a goroutine of gnet's own and only sends the loops to work.
func (h *handler) OnTick() (time.Duration, gnet.Action) {
	s := (*Server)(h)
	s.watchWork()
	for _, l := range s.allLoops() {
		l.request(&l.sweepQueued, l.sweepTask)
	}
	return s.cfg.SweepInterval, gnet.None
}

// OnShutdown comes before the connections are closed: nothing to do there.
func (h *handler) OnShutdown(gnet.Engine) {}

// caught reports a panic; the stack goes to the log, for each is a bug.
func (s *Server) caught(v any) bool {
	if v == nil {
		return false
	}
	s.metrics.panics.Inc()
	s.log.Error("panic on an event loop", "panic", v, "stack", string(debug.Stack()))
	return true
}
