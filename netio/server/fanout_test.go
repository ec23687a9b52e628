package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/assay-pool/assay/validator"
)

// onLoop runs f on the loop of a session that is logged in, and waits.
func (r *rig) onLoop(l *loop, f func()) {
	r.t.Helper()
	done := make(chan struct{})
	if err := l.engine.Execute(r.t.Context(), gnet.RunnableFunc(func(context.Context) error {
		defer close(done)
		f()
		return nil
	})); err != nil {
		r.t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(patience):
		r.t.Fatal("the loop does not answer")
	}
}

func TestFanoutReachesEverybody(t *testing.T) {
	r := newRig(t, func(c *Config) { c.FanoutSlice = time.Microsecond }) // many slices
	r.offer(false)
	var clients []*client
	for range 100 {
		c := r.dial()
		c.login(r, "")
		clients = append(clients, c)
	}
	idle := r.dial() // not logged in: gets no job
	for round := range 5 {
		before := r.metric("assay_fanout_seconds")
		r.offer(false)
		seen := map[string]bool{}
		for i, c := range clients {
			old := c.job
			if j := c.next(); j.Method != "job" || c.job.Blob == old.Blob || c.job.JobID == old.JobID || seen[c.job.Blob] {
				t.Fatalf("round %d, miner %d: %s", round, i, j.line)
			}
			seen[c.job.Blob] = true
			c.submit(1, 10_000)
			c.accepted()
		}
		r.eventually("the fan-out is measured", func() bool { return r.metric("assay_fanout_seconds") == before+1 })
	}
	idle.login(r, "")
}

// TestFanoutCoalesces: templates that follow each other while a walk is held up
// end in one job, the newest, for those that were not reached.
func TestFanoutCoalesces(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Loops = 1 })
	r.offer(false)
	var clients []*client
	for range 10 {
		c := r.dial()
		c.login(r, "")
		clients = append(clients, c)
	}
	l := r.server.allLoops()[0]
	entered, hold := make(chan struct{}), make(chan struct{})
	go r.onLoop(l, func() { close(entered); <-hold })
	<-entered
	for range 5 {
		r.offer(false)
	}
	close(hold)
	latest := r.offers
	for i, c := range clients {
		c.next()
		if prev := c.job.Blob[14:16]; prev != fmt.Sprintf("%02x", latest) {
			t.Fatalf("miner %d works on parent %s, the newest is %02x", i, prev, latest)
		}
		// The next line is an answer: no other job was queued behind.
		c.send(`{"id":1,"method":"keepalived"}`)
		if a := c.next(); a.Method == "job" {
			t.Fatalf("miner %d was sent a second job: %s", i, a.line)
		}
	}
}

// TestSlowReader: a miner that reads nothing is ended, by the limit of what
// waits for it or by time, and jobs for it do not pile up.
func TestSlowReader(t *testing.T) {
	flood := func(c *client) {
		line := []byte(`{"id":"0123456789012345678901234567890123456789012345678901234567890","method":"keepalived"}` + "\n")
		var lines []byte
		for range 400 {
			lines = append(lines, line...)
		}
		for range 2000 {
			_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
			if _, err := c.conn.Write(lines); err != nil {
				return
			}
		}
		c.t.Error("80 MB of answers were taken for a miner that reads none")
	}
	t.Run("outbound limit", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.SendBuffer = 4096; c.OutboundLimit = 16 << 10 })
		r.offer(false)
		c := r.dial()
		c.login(r, "")
		_ = c.conn.(*net.TCPConn).SetReadBuffer(4096)
		flood(c)
		r.eventually("closed as a slow reader", func() bool { return r.metric("assay_connections_closed_total", "reason=slow_reader") == 1 })
	})
	t.Run("stalled", func(t *testing.T) {
		r := newRig(t, func(c *Config) {
			c.SendBuffer, c.OutboundLimit, c.SweepInterval, c.StallTimeout, c.Loops = 4096, 1<<30, 10*time.Millisecond, 200*time.Millisecond, 1
		})
		r.offer(false)
		c := r.dial()
		c.login(r, "")
		other := r.dial()
		other.login(r, "")
		go flood(c)
		r.eventually("answers wait", func() bool { return outbound(r, c.id) > 0 })
		r.offer(false)
		other.next() // others are served meanwhile
		r.eventually("its job is put off", func() bool { return r.metric("assay_jobs_deferred_total") > 0 })
		r.eventually("closed as a slow reader", func() bool { return r.metric("assay_connections_closed_total", "reason=slow_reader") == 1 })
	})
}

// outbound is what waits for a session, by its id.
func outbound(r *rig, id string) (waiting int) {
	for _, l := range r.server.allLoops() {
		r.onLoop(l, func() {
			for s := l.head; s != nil; s = s.next {
				if string(s.id[:]) == id {
					waiting = s.conn.OutboundBuffered()
				}
			}
		})
	}
	return waiting
}

// TestDeferredJobComes: a miner that reads again gets the job it is owed.
func TestDeferredJobComes(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Loops, c.SweepInterval = 1, 10*time.Millisecond })
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	old := c.job.JobID
	r.onLoop(r.server.allLoops()[0], func() { r.server.allLoops()[0].head.owed = true })
	// Owed, but the newest job is known: nothing is sent, or XMRig would take
	// it for a duplicate.
	r.onLoop(r.server.allLoops()[0], func() {
		l := r.server.allLoops()[0]
		l.sweepOne(l.head, l.server.clock())
	})
	c.send(`{"id":1,"method":"keepalived"}`)
	if a := c.next(); a.Method == "job" {
		t.Fatalf("a job nobody owed: %s", a.line)
	}
	// The fan-out is kept from running; the sweep brings the job.
	r.onLoop(r.server.allLoops()[0], func() {
		l := r.server.allLoops()[0]
		l.fan.running = true
		l.head.owed = true
	})
	r.offer(false)
	if j := c.next(); j.Method != "job" || c.job.JobID == old {
		t.Fatalf("no job: %s", j.line)
	}
}

// TestDeferredDifficultyComes: a miner whose difficulty changed while it read
// nothing is told once it reads again, also if there is no new template.
func TestDeferredDifficultyComes(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Loops, c.SweepInterval, c.StallTimeout = 1, 10*time.Millisecond, time.Hour
		c.SendBuffer, c.OutboundLimit, c.InflightSession = 4096, 1<<30, 1000
		c.Ports[0].FixedDifficulty = false
	})
	r.offer(false)
	c := r.dial()
	_ = c.conn.(*net.TCPConn).SetReadBuffer(4096)
	c.login(r, "")
	c.prove()
	old := c.job
	r.verifier.set(validator.Accepted, true)
	for n := range uint32(2 * flood) {
		c.submit(n, 10_000)
	}
	r.eventually("all held", func() bool { return r.verifier.count() == 1+2*flood })
	// Answers wait for a miner that reads none; then its shares are judged.
	lines := bytes.Repeat([]byte(`{"id":"0123456789012345678901234567890123456789","method":"keepalived"}`+"\n"), 400)
	sent := 0
	r.eventually("answers wait", func() bool {
		c.write(lines)
		sent += 400
		waiting := 0
		l := r.server.allLoops()[0]
		r.onLoop(l, func() { waiting = l.head.conn.OutboundBuffered() })
		return waiting > 0
	})
	r.verifier.release(validator.Accepted)
	r.eventually("all is answered", func() bool {
		left := 0
		l := r.server.allLoops()[0]
		r.onLoop(l, func() { left = l.inflight })
		return left == 0
	})
	if r.metric("assay_jobs_deferred_total") == 0 {
		t.Fatal("no job was put off")
	}
	for range sent + 2*flood {
		if a := c.next(); a.Method == "job" {
			t.Fatalf("a job between the answers: %s", a.line)
		}
	}
	if j := c.next(); j.Method != "job" || c.job.Target == old.Target {
		t.Fatalf("no harder job: %s", j.line)
	}
	c.submit(1000, 10_000)
	c.refused("Low difficulty share")
	c.send(`{"id":1,"method":"keepalived"}`)
	if a := c.next(); a.Method == "job" {
		t.Fatalf("a second job: %s", a.line)
	}
}

func TestTimeouts(t *testing.T) {
	short := 50 * time.Millisecond
	tests := []struct {
		reason string
		change func(*Config)
		play   func(*rig, *client)
	}{
		{"login_timeout", func(c *Config) { c.LoginTimeout = short }, func(r *rig, c *client) {}},
		{"login_timeout", func(c *Config) { c.LoginTimeout = short }, func(r *rig, c *client) { c.write([]byte("{")) }},
		{"first_share_timeout", func(c *Config) { c.FirstShareTimeout = short }, func(r *rig, c *client) { c.login(r, "") }},
		{"idle", func(c *Config) { c.IdleTimeout = 500 * time.Millisecond }, func(r *rig, c *client) { c.login(r, ""); c.submit(1, 10_000); c.accepted() }},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", i, tt.reason), func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.SweepInterval = 5 * time.Millisecond; tt.change(c) })
			r.offer(false)
			c := r.dial()
			tt.play(r, c)
			c.closed()
			r.eventually("closed for its reason", func() bool { return r.metric("assay_connections_closed_total", "reason="+tt.reason) == 1 })
		})
	}
}

// TestSilentMinerGetsEasierWork also shows that a port's minimum holds.
func TestSilentMinerGetsEasierWork(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.SweepInterval = 5 * time.Millisecond
		c.Ports = []Port{{Addr: "127.0.0.1:0", StartDifficulty: 100_000, MinDifficulty: 5000, Vardiff: Vardiff{Target: 10 * time.Millisecond, Retarget: 20 * time.Millisecond}}}
	})
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	last := c.job
	for c.job.Target != "711b0d00" { // 5000
		c.next()
		if c.job.Target == last.Target || c.job.JobID == last.JobID || c.job.Blob == last.Blob {
			t.Fatalf("the same job again: %+v", c.job)
		}
		last = c.job
	}
	c.send(`{"id":1,"method":"keepalived"}`)
	if a := c.next(); a.Method == "job" {
		t.Fatalf("below the minimum: %s", a.line)
	}
}

// TestSocketOptions: every loop has listeners of its own, and the connections
// of each must have the options.
func TestSocketOptions(t *testing.T) {
	const loops = 3
	r := newRig(t, func(c *Config) {
		c.Loops, c.KeepAlive, c.UserTimeout, c.SendBuffer = loops, 77*time.Second, 33*time.Second, 50_000
	})
	r.offer(false)
	clients := map[string]*client{}
	r.eventually("every loop has a miner", func() bool {
		c := r.dial()
		c.login(r, "")
		clients[c.conn.LocalAddr().String()] = c
		return len(r.server.allLoops()) == loops
	})
	seen := 0
	for _, l := range r.server.allLoops() {
		r.onLoop(l, func() {
			for s := l.head; s != nil; s = s.next {
				seen++
				if clients[s.remote.String()] == nil {
					t.Errorf("%s is no miner's address", s.remote)
				}
				for _, o := range []struct{ level, opt, want int }{
					{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
					{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77},
					{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 77 / keepAliveShare},
					{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes},
					{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 33_000},
					{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
					{unix.SOL_SOCKET, unix.SO_SNDBUF, 100_000}, // the kernel doubles it
				} {
					if got, err := unix.GetsockoptInt(s.conn.Fd(), o.level, o.opt); err != nil || got != o.want {
						t.Errorf("option %d/%d is %d, %v; want %d", o.level, o.opt, got, err, o.want)
					}
				}
			}
		})
	}
	if seen != len(clients) {
		t.Errorf("%d sessions of %d miners", seen, len(clients))
	}
}

// TestPanicEndsOneConnection: gnet would let a panic end the process.
func TestPanicEndsOneConnection(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Loops = 1 })
	r.offer(false)
	victim, other := r.dial(), r.dial()
	victim.login(r, "")
	other.login(r, "")
	l := r.server.allLoops()[0]
	r.onLoop(l, func() {
		for s := l.head; s != nil; s = s.next {
			if string(s.id[:]) == victim.id {
				s.port = nil // the next request will trip over it
			}
		}
	})
	victim.submit(1, 10_000)
	victim.closed()
	other.submit(1, 10_000)
	other.accepted()
	if n := r.metric("assay_handler_panics_total"); n == 0 {
		t.Fatal("the panic was not counted")
	}
}

// TestSubmitsAreServedDuringFanout stops a walk between two slices, where a
// session whose turn has not come submits and is answered before its job.
func TestSubmitsAreServedDuringFanout(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Loops, c.FanoutSlice = 1, time.Nanosecond })
	r.offer(false)
	var clients []*client
	for range 40 { // a slice is at least eight sessions
		c := r.dial()
		c.login(r, "")
		clients = append(clients, c)
	}
	l := r.server.allLoops()[0]
	// A walk is said to be running, so that publishing does not begin one, and
	// its first slice is made by hand, with nobody to continue it.
	var left bool
	r.onLoop(l, func() { l.fan.running = true })
	r.offer(true)      // same parent: work on the old template stays good
	last := clients[0] // newest sessions are in front
	r.onLoop(l, func() {
		l.fanBegin()
		session := l.fan.cursor
		until := time.Now().Add(-time.Second)
		l.fan.newest[0] = r.pool.Board().Current()
		for n := 1; ; n++ {
			l.fanOne(session)
			session = session.next
			if sliceOver(n, until) {
				break
			}
		}
		l.fan.cursor = session
		left = session != nil
	})
	if !left {
		t.Fatal("one slice was enough for everybody")
	}
	last.submit(1, 10_000)
	if a := last.next(); a.Result == nil || a.Result.Status != "OK" {
		t.Fatalf("the job came before the answer: %s", a.line)
	}
	r.onLoop(l, l.fanStep)
	for _, c := range clients {
		if j := c.next(); j.Method != "job" {
			t.Fatalf("no job: %s", j.line)
		}
	}
	r.eventually("the walk ends", func() bool {
		var running bool
		r.onLoop(l, func() { running = l.fan.running })
		return !running
	})
}
