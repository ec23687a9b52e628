package server

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
)

// holdPorts takes every port for this process before gnet listens on it.
//
//	hold:  bind, listen       alone, or "address already in use"
//	hold:  SO_REUSEPORT       from now on others of ours may join it
//	gnet:  bind, listen       the first loop's listeners, then OnBoot
//	hold:  close              in OnBoot
//	gnet:  bind, listen       the other loops' listeners
//
// Each loop has a listener of its own, by SO_REUSEPORT, and that option hides a
// port that is taken: two nodes of one user would share it and each get half of
// the miners. A listener without the option conflicts with every other one,
// with it or not, and the kernel checks that in listen(2) under a lock; so of
// two nodes that start at once at most one gets the hold, and at no moment until the
// node ends is there no listener that the other's hold conflicts with. What
// remains is a program of the same user that asks for SO_REUSEPORT without a
// check of its own: nothing stops it from joining a port that uses it.
//
// A miner that connects in the few milliseconds of the hold may be reset, and
// comes again as if it had been refused a moment earlier.
func (s *Server) holdPorts() error {
	for _, p := range s.ports {
		if err := s.holdPort(p); err != nil {
			s.releaseHolds()
			return fmt.Errorf("server: port %s: %w", p.Addr, err)
		}
	}
	return nil
}

// holdPort holds one port and learns its address.
func (s *Server) holdPort(p *port) error {
	reuseAddr := []socket.Option[int]{{SetSockOpt: socket.SetReuseAddr, Opt: 1}} // TIME_WAIT of the node before us
	fd, _, err := socket.TCPSocket("tcp", p.Addr, true, reuseAddr, nil)
	if err != nil {
		return err
	}
	s.holds = append(s.holds, fd)
	if p.addr, err = localAddr(fd); err != nil {
		return err
	}
	p.metrics = s.metrics.port(label(p.addr))
	// Options that the kernel refuses are better told now than by each miner.
	if err := s.setOptions(fd); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// releaseHolds leaves the ports to gnet's listeners.
func (s *Server) releaseHolds() {
	for _, fd := range s.holds {
		_ = unix.Close(fd)
	}
	s.holds = nil
}

// listenAddrs are the ports held as gnet wants them. The host stays as it
// was written: to gnet ":3333" is both families, "[::]:3333" IPv6 alone.
func (s *Server) listenAddrs() []string {
	addrs := make([]string, len(s.ports))
	for i, p := range s.ports {
		host, _, _ := net.SplitHostPort(p.Addr) // checked by Port.Check
		addrs[i] = "tcp://" + net.JoinHostPort(host, strconv.Itoa(int(p.addr.Port())))
	}
	return addrs
}

const (
	keepAliveProbes = 5 // unanswered probes before the kernel gives up
	// keepAliveShare is how many probes are sent in the time a connection may be
	// idle before the first.
	keepAliveShare = 5
)

// setOptions sets what gnet does not set on a connection. A connection inherits
// it from its listener, but those of all loops but the first are out of reach,
// so each connection is given it. gnet's own keepalive option is not used: it
// hides the error of a listener that could not be opened.
func (s *Server) setOptions(fd int) error {
	idle := max(int(s.cfg.KeepAlive.Seconds()), 1)
	for _, o := range [...]struct {
		name              string
		level, opt, value int
	}{
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(idle/keepAliveShare, 1)},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes},
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(s.cfg.UserTimeout.Milliseconds())},
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
