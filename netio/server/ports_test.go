package server

import (
	"bufio"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/assay-pool/assay/netio/stratum"
)

func TestPortsAndPools(t *testing.T) {
	v := &verifier{}
	other := newPool(t, "other", v, newBooks(), 0)
	r := newRig(t, func(c *Config) {
		c.Ports = []Port{
			{Addr: "127.0.0.1:0", StartDifficulty: 5000},
			{Addr: "127.0.0.1:0", StartDifficulty: 1_000_000, Hidden: true, Description: "farms"},
			{Addr: "0.0.0.0:0", StartDifficulty: 2000},
			{Addr: "[::1]:0", Pool: other},
		}
	})
	r.offer(false)
	addrs := r.server.Addrs()
	seen := map[uint16]bool{}
	for _, a := range addrs {
		if a.Addr.Port() == 0 || seen[a.Addr.Port()] {
			t.Fatalf("addresses %+v", addrs)
		}
		seen[a.Addr.Port()] = true
	}
	for i, want := range []string{"711b0d00", "edb5a0f7c6100000", "9bc42000"} {
		c := r.dialPort(i)
		c.login(r, "")
		if c.job.Target != want {
			t.Errorf("port %d: target %s, want %s", i, c.job.Target, want)
		}
	}
	c := r.dialPort(3)
	c.send(`{"id":1,"method":"login","params":{"login":"%s"}}`, r.recorded.Addresses[0].Address)
	c.refused(stratum.TextNoWork) // the other pool has no template
	if !addrs[1].Port.Hidden || addrs[1].Port.Description != "farms" {
		t.Errorf("port lost its description: %+v", addrs[1].Port)
	}
}

func TestConnectionLimit(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxConns = 3; c.Loops = 1 })
	r.offer(false)
	var clients []*client
	for range 3 {
		c := r.dial()
		c.login(r, "")
		clients = append(clients, c)
	}
	r.dial().closed()
	if n := r.metric("assay_connections_refused_total", "reason=limit"); n != 1 {
		t.Fatalf("%v refused", n)
	}
	_ = clients[0].conn.Close()
	r.eventually("room again", func() bool { return r.metric("assay_connections") == 2 })
	r.dial().login(r, "")
}

// TestStartRefusesATakenPort: also from a node of the same user, and from any
// other program that would share.
func TestStartRefusesATakenPort(t *testing.T) {
	shares := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return err
	}}
	tests := []struct {
		name string
		take func(t *testing.T) string
	}{
		{"by a program", func(t *testing.T) string { return listening(t, &net.ListenConfig{}) }},
		{"by a program that shares", func(t *testing.T) string { return listening(t, &shares) }},
		{"by a node", func(t *testing.T) string { return newRig(t, nil).server.Addrs()[0].Addr.String() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			taken := tt.take(t)
			p := newPool(t, "test", &verifier{}, newBooks(), 0)
			s, err := New(Config{Loops: 2, Ports: []Port{{Addr: "127.0.0.1:0", Pool: p}, {Addr: taken, Pool: p}}})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Start()
			if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), taken) {
				t.Fatalf("start: %v", err)
			}
			if len(s.holds) != 0 {
				t.Error("the other port is still held")
			}
			s.Stop()
		})
	}
}

func listening(t *testing.T, c *net.ListenConfig) string {
	t.Helper()
	l, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestOneOfManyGetsThePort: nodes that start at once on one port do not share
// it. Two may see each other and both give up, but not always.
func TestOneOfManyGetsThePort(t *testing.T) {
	p := newPool(t, "test", &verifier{}, newBooks(), 0)
	r := newRig(t, nil) // only to find a port that is free
	addr := r.server.Addrs()[0].Addr.String()
	r.server.Stop()
	total := int32(0)
	for range 20 {
		var servers []*Server
		for range 6 {
			s, err := New(Config{Loops: 2, Ports: []Port{{Addr: addr, Pool: p}}})
			if err != nil {
				t.Fatal(err)
			}
			servers = append(servers, s)
		}
		var won atomic.Int32
		var wait sync.WaitGroup
		for _, s := range servers {
			wait.Go(func() {
				switch err := s.Start(); {
				case err == nil:
					won.Add(1)
				case !strings.Contains(err.Error(), "address already in use"):
					t.Error(err)
				}
			})
		}
		wait.Wait()
		for _, s := range servers {
			s.Stop()
		}
		if total += won.Load(); won.Load() > 1 {
			t.Fatalf("%d nodes got the port", won.Load())
		}
	}
	if total == 0 {
		t.Fatal("no node ever got the port")
	}
}

// TestBothFamilies: a port without a host serves IPv4 and IPv6, on every loop.
func TestBothFamilies(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Ports[0].Addr = ":0"; c.Loops = 3 })
	r.offer(false)
	port := strconv.Itoa(int(r.server.Addrs()[0].Addr.Port()))
	r.eventually("every loop has a miner", func() bool {
		for _, host := range []string{"127.0.0.1", "::1"} {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), patience)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
			c.login(r, "")
		}
		return len(r.server.allLoops()) == 3
	})
}

func TestConfig(t *testing.T) {
	p := newPool(t, "test", &verifier{}, newBooks(), 0)
	ok := Port{Addr: "127.0.0.1:0", Pool: p}
	tests := map[string]Config{
		"no ports":       {},
		"no pool":        {Ports: []Port{{Addr: ":3333"}}},
		"no port number": {Ports: []Port{{Addr: "localhost", Pool: p}}},
		"port name":      {Ports: []Port{{Addr: "localhost:stratum", Pool: p}}},
		"port twice":     {Ports: []Port{{Addr: ":3333", Pool: p}, {Addr: ":3333", Pool: p}}},
		"port inside":    {Ports: []Port{{Addr: "127.0.0.1:3333", Pool: p}, {Addr: ":3333", Pool: p}}},
		"min over start": {Ports: []Port{{Addr: ":0", Pool: p, StartDifficulty: 5, MinDifficulty: 6}}},
		"start over max": {Ports: []Port{{Addr: ":0", Pool: p, StartDifficulty: 5, MaxDifficulty: 4}}},
		"short line":     {Ports: []Port{ok}, MaxLine: 10},
		"long line":      {Ports: []Port{ok}, MaxLine: 1 << 20},
		"negative":       {Ports: []Port{ok}, IdleTimeout: -1},
		"conns":          {Ports: []Port{ok}, MaxConns: 1 << 40},
		"vardiff":        {Ports: []Port{{Addr: ":0", Pool: p, Vardiff: Vardiff{Variance: 100}}}},
	}
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := New(cfg); err == nil {
				t.Fatal("no error")
			}
		})
	}
}

// TestConflict holds Conflict to what the kernel says of the holds.
func TestConflict(t *testing.T) {
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}()
	s := &Server{metrics: newMetrics(nil)}
	s.cfg.KeepAlive, s.cfg.UserTimeout = DefaultKeepAlive, DefaultUserTimeout
	hosts := []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "", "[::]", "[::1]", "[::ffff:127.0.0.1]", "localhost"}
	for _, a := range hosts {
		for _, b := range hosts {
			one, two := a+":"+free, b+":"+free
			s.ports = []*port{{Port: &Port{Addr: one}}, {Port: &Port{Addr: two}}}
			err := s.holdPorts()
			s.releaseHolds()
			if taken := errors.Is(err, unix.EADDRINUSE); err != nil && !taken {
				t.Logf("%s beside %s: %v", one, two, err) // no IPv6 here
			} else if got := Conflict(one, two); got != taken {
				t.Errorf("%s beside %s: Conflict says %v, the kernel %v", one, two, got, err)
			}
		}
	}
	if Conflict("127.0.0.1:1", "127.0.0.1:2") || Conflict(":0", ":0") {
		t.Error("different ports, or free ones, conflict")
	}
}
