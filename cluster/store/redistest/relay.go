package redistest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Relay is an address that leads to one server after the other, as a virtual IP,
// a service name or a proxy does. Connections that stand stay with their server.
type Relay struct {
	l  net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex
	to    *Server               // guarded by mu
	conns map[net.Conn]struct{} // guarded by mu; both sides
	ended bool                  // guarded by mu
}

// NewRelay opens the address and ends it with the test.
func NewRelay(t testing.TB, to *Server) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{l: l, to: to, conns: map[net.Conn]struct{}{}}
	r.wg.Go(r.accept)
	t.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		r.ended = true
		for c := range r.conns {
			c.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

// URL is the address for store.Config.
func (r *Relay) URL() string { return "redis://" + r.l.Addr().String() }

// Switch leads new connections to another server.
func (r *Relay) Switch(to *Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
}

func (r *Relay) accept() {
	for {
		client, err := r.l.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		to := r.to
		r.mu.Unlock()
		server, err := net.Dial("unix", to.Socket())
		if err != nil {
			client.Close()
			continue
		}
		if !r.keep(client, server) {
			return
		}
		r.wg.Go(func() { r.pump(client, server) })
		r.wg.Go(func() { r.pump(server, client) })
	}
}

// keep notes a pair of connections for the end of the test.
func (r *Relay) keep(pair ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range pair {
		if r.ended {
			c.Close()
			continue
		}
		r.conns[c] = struct{}{}
	}
	return !r.ended
}

// pump carries bytes until one side ends, and ends the other.
func (r *Relay) pump(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, from)
}
