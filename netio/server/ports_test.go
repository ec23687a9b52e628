package server

import (
	"net"
	"strings"
	"testing"

	"github.com/assay-pool/assay/netio/stratum"
)

func TestPortsAndPools(t *testing.T) {
	v := &verifier{}
	other := newPool(t, "other", v, &ledger{}, 0)
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

func TestStartRefusesATakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := newPool(t, "test", &verifier{}, &ledger{}, 0)
	s, err := New(Config{Ports: []Port{{Addr: l.Addr().String(), Pool: p}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("start: %v", err)
	}
	s.Stop()
}

func TestConfig(t *testing.T) {
	p := newPool(t, "test", &verifier{}, &ledger{}, 0)
	ok := Port{Addr: "127.0.0.1:0", Pool: p}
	tests := map[string]Config{
		"no ports":       {},
		"no pool":        {Ports: []Port{{Addr: ":3333"}}},
		"no port number": {Ports: []Port{{Addr: "localhost", Pool: p}}},
		"port name":      {Ports: []Port{{Addr: "localhost:stratum", Pool: p}}},
		"port twice":     {Ports: []Port{{Addr: ":3333", Pool: p}, {Addr: ":3333", Pool: p}}},
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
