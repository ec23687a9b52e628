package admin

import (
	"container/list"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Descriptors is the most file descriptors a Server uses: its connections, one
// more that is being refused, and the port.
const Descriptors = maxConns + 2

// limiter is the admin port with at most maxConns connections. A new one beyond
// that takes the place of the one that has been without a request the longest,
// so that a crowd of idle connections keeps no scraper out; while all of them
// are being answered, the new one is refused.
type limiter struct {
	net.Listener
	closed prometheus.Counter

	mu    sync.Mutex
	conns map[net.Conn]*list.Element // guarded by mu; of idle, nil while a request runs
	idle  *list.List                 // guarded by mu; of net.Conn, the longest without a request first
}

func newLimiter(l net.Listener, r prometheus.Registerer) (*limiter, error) {
	closed := prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_admin_connections_shed_total",
		Help: "Connections to the admin port closed because there were too many."})
	if r != nil {
		if err := r.Register(closed); err != nil {
			return nil, err
		}
	}
	return &limiter{Listener: l, closed: closed, conns: make(map[net.Conn]*list.Element), idle: list.New()}, nil
}

// Accept implements net.Listener; what it returns is within the limit.
func (l *limiter) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		shed, taken := l.admit(c)
		if shed != nil {
			l.closed.Inc()
			_ = shed.Close()
		}
		if taken {
			return c, nil
		}
	}
}

// admit counts a connection in. shed is one to close for it, or it itself.
func (l *limiter) admit(c net.Conn) (shed net.Conn, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= maxConns {
		oldest := l.idle.Front()
		if oldest == nil {
			return c, false
		}
		shed = oldest.Value.(net.Conn)
		l.idle.Remove(oldest)
		delete(l.conns, shed)
	}
	l.conns[c] = l.idle.PushBack(c)
	return shed, true
}

// closeIdle closes every connection without a request, once the port is closed:
// http.Server would give new ones five seconds to send one.
func (l *limiter) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.idle.Front(); e != nil; e = e.Next() {
		_ = e.Value.(net.Conn).Close()
	}
}

// state follows a connection, as http.Server's ConnState.
func (l *limiter) state(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, known := l.conns[c]
	if !known {
		return // shed
	}
	switch s {
	case http.StateActive:
		if waiting != nil {
			l.idle.Remove(waiting)
			l.conns[c] = nil
		}
	case http.StateIdle:
		if waiting == nil {
			l.conns[c] = l.idle.PushBack(c)
		}
	case http.StateClosed, http.StateHijacked:
		if waiting != nil {
			l.idle.Remove(waiting)
		}
		delete(l.conns, c)
	}
}
