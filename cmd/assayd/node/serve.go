package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/netio/admin"
	"github.com/assay-pool/assay/netio/server"
)

// startServer opens the miners' ports of all pools.
func (n *Node) startServer(loops int) error {
	c := &n.cfg.Network
	cfg := server.Config{
		Loops: loops, MaxConns: c.MaxConns, MaxLine: int(c.MaxLine), MaxFaults: c.ProtocolErrors,
		LoginTimeout: c.LoginTimeout, FirstShareTimeout: c.FirstShareTimeout, IdleTimeout: c.IdleTimeout,
		StallTimeout: c.SlowReader, OutboundLimit: int(c.OutboundLimit),
		InflightSession: c.Inflight, JobShares: c.JobShares,
		Log: n.log, Registerer: n.registry,
	}
	for _, p := range n.pools {
		for _, l := range p.cfg.Listen {
			cfg.Ports = append(cfg.Ports, port(p, l))
		}
	}
	s, err := server.New(cfg)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		// The engine does not say which port it was.
		var addrs []string
		for _, p := range cfg.Ports {
			addrs = append(addrs, p.Addr)
		}
		return fmt.Errorf("--listen %s: %w", strings.Join(addrs, ", "), err)
	}
	n.server = s
	go func() {
		<-s.Done()
		if err := s.Err(); err != nil {
			n.fail(err)
		}
	}()
	return nil
}

func port(p *poolNode, l config.Listener) server.Port {
	v := p.cfg.Vardiff
	return server.Port{
		Addr: l.Addr, Pool: p.pool, Description: l.Description, Hidden: l.Hidden,
		StartDifficulty: l.Start, MinDifficulty: l.Min, MaxDifficulty: l.Max,
		FixedDifficulty: !v.Enabled,
		Vardiff: server.Vardiff{
			Target: v.Target, Retarget: v.Retarget, Variance: v.Variance, MaxJump: v.MaxJump,
		},
	}
}

// startAdmin opens the operators' port.
func (n *Node) startAdmin() error {
	c := &n.cfg.Admin
	s, err := admin.New(admin.Config{
		Listen: c.Listen, AllowRemote: c.Public, AllowHosts: c.Hosts,
		Gatherer: n.registry, Ready: n.checks(), Log: n.log,
	})
	if err != nil {
		return fmt.Errorf("--admin-listen %s: %w", c.Listen, err)
	}
	n.admin = s
	n.adminDone = make(chan struct{})
	go func() {
		defer close(n.adminDone)
		if err := s.Serve(); err != nil {
			n.fail(fmt.Errorf("admin port: %w", err))
		}
	}()
	return nil
}

// stopAdmin lets running requests finish for a moment.
func (n *Node) stopAdmin() error {
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	err := n.admin.Shutdown(ctx)
	<-n.adminDone
	return err
}

// adminGrace is what a request on the admin port gets when the node stops: a
// metrics page takes milliseconds, a running profile need not be waited for.
const adminGrace = 500 * time.Millisecond

// checks are what /readyz holds the node to: everything without which a miner
// is better sent elsewhere.
func (n *Node) checks() []admin.Check {
	var checks []admin.Check
	if n.redis != nil {
		checks = append(checks, admin.Check{Name: "redis-server", Func: n.redis.Err})
	}
	for _, p := range n.pools {
		checks = append(checks,
			admin.Check{Name: p.cfg.Name + "/template", Func: p.pool.Ready},
			admin.Check{Name: p.cfg.Name + "/daemons", Func: p.daemonsReady},
			admin.Check{Name: p.cfg.Name + "/ledger", Func: p.ledgerReady},
		)
	}
	return checks
}
