package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/assay-pool/assay/netio/admin"
	"github.com/assay-pool/assay/netio/server"
)

// startServer opens the miners' ports of all pools.
func (n *Node) startServer(loops int) error {
	cfg := n.cfg.Server
	cfg.Loops, cfg.Log, cfg.Registerer = loops, n.log, n.registry
	// The queue decides who gives way when it is full; a loop that refused first
	// would refuse whoever comes.
	cfg.InflightLoop = max(server.DefaultInflightLoop, 2*(n.cfg.Verify.Queue+n.cfg.Verify.Candidates))
	for _, p := range n.pools {
		for _, port := range p.cfg.Ports {
			port.Pool = p.pool
			cfg.Ports = append(cfg.Ports, port)
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

// startAdmin opens the operators' port.
func (n *Node) startAdmin() error {
	cfg := n.cfg.Admin
	cfg.Gatherer, cfg.Registerer, cfg.Ready, cfg.Log = n.registry, n.registry, n.checks(), n.log
	s, err := admin.New(cfg)
	if err != nil {
		return err
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
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // a profile's reader loses it: no reason to call the stop a failure
	}
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
			admin.Check{Name: p.cfg.Name + "/miners", Func: func() error { return n.server.Serving(p.pool) }},
			admin.Check{Name: p.cfg.Name + "/daemons", Func: p.daemonsReady, Note: p.daemonsNote},
			admin.Check{Name: p.cfg.Name + "/journal", Func: p.booksReady, Note: p.booksNote},
		)
	}
	return checks
}
