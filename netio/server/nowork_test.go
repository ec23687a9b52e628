package server

import (
	"strings"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator/pool"
)

// TestNoWork: miners stay while a daemon may come back; past the timeout they
// are told and sent away, and those who come are refused at once; with the next
// template all is as before.
func TestNoWork(t *testing.T) {
	const maxAge = 2 * time.Second
	r := &rig{}
	r = newRig(t, func(c *Config) {
		c.SweepInterval, c.NoWorkTimeout = 10*time.Millisecond, 300*time.Millisecond
		c.Ports[0].Pool = newPool(t, "short", &verifier{}, newBooks(), 0, func(p *pool.Config) { p.TemplateMaxAge = maxAge })
	})
	r.pool = r.server.pools[0]
	refused := func(text string) *client {
		t.Helper()
		c := r.dial()
		c.send(`{"id":1,"method":"login","params":{"login":"%s"}}`, r.recorded.Addresses[0].Address)
		c.refused(text)
		return c
	}
	for round := range 2 {
		r.offer(false)
		clients := []*client{r.dial(), r.dial(), r.dial()}
		for _, c := range clients {
			c.login(r, "")
		}
		r.eventually("no work", func() bool { return r.metric("assay_no_work_seconds") > 0 })
		for _, c := range clients {
			a := c.next()
			if a.Error == nil || a.Error.Message != stratum.TextNoWorkLeave || string(a.ID) != "0" {
				t.Fatalf("sent away with %s", a.line)
			}
			c.closed()
		}
		if err := r.server.Serving(r.pool); err == nil || !strings.Contains(err.Error(), "--no-work-timeout") {
			t.Errorf("serving: %v", err)
		}
		began := time.Now()
		refused(stratum.TextNoWorkLeave).closed()
		if took := time.Since(began); took > maxAge {
			t.Errorf("a login was refused and closed in %v", took)
		}
		r.eventually("all are counted", func() bool {
			return r.metric("assay_connections_closed_total", "reason=no_work") == float64(4*(round+1))
		})
	}
	r.offer(false)
	r.dial().login(r, "")
	if err := r.server.Serving(r.pool); err != nil || r.metric("assay_no_work_seconds") != 0 {
		t.Errorf("with work again: %v, %v s without", err, r.metric("assay_no_work_seconds"))
	}
}

// TestNoWorkWaits: within the timeout nobody is sent away, and a login is told
// to come again but not thrown out.
func TestNoWorkWaits(t *testing.T) {
	r := newRig(t, func(c *Config) { c.SweepInterval, c.NoWorkTimeout = 5*time.Millisecond, time.Hour })
	c := r.dial()
	r.eventually("no work", func() bool { return r.metric("assay_no_work_seconds") > 0.05 })
	c.send(`{"id":1,"method":"login","params":{"login":"%s"}}`, r.recorded.Addresses[0].Address)
	c.refused(stratum.TextNoWork)
	if err := r.server.Serving(r.pool); err != nil {
		t.Error(err)
	}
	r.offer(false)
	c.login(r, "")
}

// Close lets a stubbed connection end as gnet ends one.
func (l *stubLoop) Close(c gnet.Conn) error {
	l.closed++
	(*handler)(c.Context().(*session).loop.server).OnClose(c, nil)
	return nil
}

// TestLeavePace: of the sessions without work a tick sends away as many as its
// share of a second allows, and the rest stay for the next.
func TestLeavePace(t *testing.T) {
	b := newBare(t, 100)
	el := b.conn.loop.(*stubLoop)
	const sessions = 50
	for range sessions - 1 {
		conn := &stubConn{loop: el}
		s := &session{loop: b.loop, port: b.server.ports[0], conn: conn, authorised: true, window: b.pool.NewWindow()}
		conn.context = s
		b.loop.add(s)
	}
	b.server.cfg.SweepInterval = 100 * time.Millisecond
	b.server.pools[0] = nil // not looked at here
	b.server.work[0].gone.Store(true)
	perTick := leavePace / 10
	empty := newPool(t, "empty", instant{}, noBooks{}, 0)
	b.server.ports[0].Pool = empty
	for tick, want := range []int{perTick, 2 * perTick, sessions, sessions} {
		b.loop.sweepStart()
		if el.closed != want {
			t.Fatalf("after %d ticks %d sessions are gone, want %d", tick+1, el.closed, want)
		}
	}
	if n := testutil.ToFloat64(b.server.metrics.closes[closedNoWork]); n != sessions {
		t.Errorf("%v are counted", n)
	}
}
