package store

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/redis/rueidis"
)

// conns knows the client's open connections, so that they can be cut. The client
// keeps a connection for as long as it is answered, also by a server that is not
// the master any more; behind an address that stays the same (a virtual IP, a
// service name, a proxy) only a new connection finds the new one. The client
// makes it by itself with the next call.
//
// To make a new client instead lost: calls that run on the old one would need a
// lock or a count, and a cluster or a sentinel client would begin from nothing.
type conns struct {
	mu   sync.Mutex
	open map[*conn]struct{} // guarded by mu
}

// conn is one of them.
type conn struct {
	net.Conn
	owner *conns
}

func (c *conn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// track lets the client dial through c.
func (c *conns) track(opt *rueidis.ClientOption) {
	dial := opt.DialCtxFn
	if dial == nil {
		dial = dialTCP
	}
	opt.DialCtxFn = func(ctx context.Context, dst string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
		raw, err := dial(ctx, dst, d, t)
		if err != nil {
			return nil, err
		}
		made := &conn{Conn: raw, owner: c}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open == nil {
			c.open = make(map[*conn]struct{})
		}
		c.open[made] = struct{}{}
		return made, nil
	}
}

// dialTCP is what the client does by itself.
func dialTCP(ctx context.Context, dst string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
	if t == nil {
		return d.DialContext(ctx, "tcp", dst)
	}
	return (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, "tcp", dst)
}

// cut ends all connections; the client closes them when it notices. It returns
// at once: under TLS it does not wait for a farewell.
func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for open := range c.open {
		if t, ok := open.Conn.(*tls.Conn); ok {
			t.NetConn().Close()
			continue
		}
		open.Conn.Close()
	}
}
