package server

import (
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// handler is the Server as gnet calls it. gnet recovers from no panic, so each
// method does: one connection ends, not the node (I12).
type handler Server

// OnBoot learns where the listeners really are. The loops do not run yet.
func (h *handler) OnBoot(eng gnet.Engine) gnet.Action {
	s := (*Server)(h)
	defer close(s.booted)
	s.engine = eng
	for i, addr := range s.listenAddrs() {
		if err := s.bootPort(eng, s.ports[i], strings.TrimPrefix(addr, "tcp://")); err != nil {
			s.bootErr = fmt.Errorf("server: port %s: %w", s.ports[i].Addr, err)
			return gnet.Shutdown
		}
	}
	return gnet.None
}

func (s *Server) bootPort(eng gnet.Engine, p *port, text string) error {
	fd, err := eng.DupListener("tcp", text)
	if err != nil {
		return fmt.Errorf("find its listener: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if p.addr, err = localAddr(fd); err != nil {
		return err
	}
	p.metrics = s.metrics.port(label(p.addr))
	return s.setListenerOptions(fd)
}

const (
	keepAliveProbes = 5 // unanswered probes before the kernel gives up
	// keepAliveShare is how many probes are sent in the time a connection may be
	// idle before the first.
	keepAliveShare = 5
)

// setListenerOptions sets what every connection accepted inherits. gnet's own
// keepalive option is not used: it hides the error of a port that is taken.
func (s *Server) setListenerOptions(fd int) error {
	idle := max(int(s.cfg.KeepAlive/time.Second), 1)
	for _, o := range []struct {
		name              string
		level, opt, value int
	}{
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(idle/keepAliveShare, 1)},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes},
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(s.cfg.UserTimeout / time.Millisecond)},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("set %s to %d: %w", o.name, o.value, err)
		}
	}
	return nil
}

func localAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %w", err)
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("getsockname: unexpected address %T", sa)
}

// OnOpen admits a connection or closes it.
func (h *handler) OnOpen(c gnet.Conn) (out []byte, action gnet.Action) {
	s := (*Server)(h)
	defer func() {
		if s.caught(recover()) {
			out, action = nil, gnet.Close
		}
	}()
	switch {
	case s.draining.Load():
		s.metrics.refused[refusedDraining].Inc()
		return nil, gnet.Close
	case s.conns.Load() >= int64(s.cfg.MaxConns):
		s.metrics.refused[refusedLimit].Inc()
		return nil, gnet.Close
	}
	l := s.loopOf(c.EventLoop())
	p := l.portOf(c)
	if p == nil {
		s.metrics.refused[refusedAddress].Inc()
		return nil, gnet.Close
	}
	session := &session{loop: l, port: p, conn: c, opened: s.clock(), seen: s.clock()}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		// gnet forgets it when the connection closes.
		addr := a.AddrPort()
		session.remote = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	c.SetContext(session)
	l.add(session)
	// With several loops the limit may be passed by one connection each; the
	// headroom has room for that.
	s.conns.Add(1)
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
