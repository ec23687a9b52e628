package ledger

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// cutter is an address in front of a Redis that can lose what is under way.
type cutter struct {
	l   net.Listener
	srv *redistest.Server
	wg  sync.WaitGroup

	answers, calls atomic.Int64 // so many of the next scripts' are lost, with their connection
	lost           atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu
	ended bool              // guarded by mu
}

func newCutter(t testing.TB, srv *redistest.Server) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{l: l, srv: srv, conns: map[net.Conn]bool{}}
	c.wg.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.mu.Lock()
		c.ended = true
		for conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		c.wg.Wait()
	})
	return c
}

func (c *cutter) url() string { return "redis://" + c.l.Addr().String() }

func (c *cutter) accept() {
	for {
		client, err := c.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", c.srv.Socket())
		if err != nil {
			client.Close()
			continue
		}
		c.mu.Lock()
		if c.ended {
			client.Close()
			server.Close()
		}
		c.conns[client], c.conns[server] = true, true
		c.mu.Unlock()
		var deaf atomic.Bool // the next answer is lost
		c.wg.Go(func() { c.pump(client, server, func([]byte) bool { return deaf.Load() }) })
		c.wg.Go(func() {
			c.pump(server, client, func(call []byte) bool {
				if !bytes.Contains(call, []byte("EVAL")) {
					return false
				}
				deaf.Store(take(&c.answers))
				return take(&c.calls)
			})
		})
	}
}

// take counts one down, if there is one.
func take(n *atomic.Int64) bool { return n.Load() > 0 && n.Add(-1) >= 0 }

// pump carries bytes until one side ends, or what it carries is to be lost.
func (c *cutter) pump(to, from net.Conn, lose func([]byte) bool) {
	defer func() {
		to.Close()
		from.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.conns, from)
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if lose(buf[:n]) {
			c.lost.Add(1)
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
