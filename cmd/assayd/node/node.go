package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
	"github.com/assay-pool/assay/netio/admin"
	"github.com/assay-pool/assay/netio/server"
	"github.com/assay-pool/assay/validator/verify"
)

// Node is a running node. Its fields are set by Start in this order and taken
// down by Stop in the reverse of the shares' way.
type Node struct {
	cfg      *config.Config
	log      *slog.Logger
	registry *prometheus.Registry

	cpu         *cpu.Info
	cryptonight *cryptonight.Engine
	expected    []algo.ID // CryptoNight algorithms the pools use today
	epochs      *randomx.Manager
	verify      *verify.Pool
	pinning     string         // how the hash workers are pinned, or why not
	pads        scratchpads    // of the hash workers, for expected
	redis       *store.Managed // nil with --redis
	store       *store.Store
	pools       []*poolNode
	server      *server.Server
	admin       *admin.Server

	adminDone chan struct{}      // closed when the admin port is closed
	follow    context.CancelFunc // ends the daemon clients
	follows   sync.WaitGroup
	failed    chan error // what no node survives; capacity 1
}

// Run starts a node, serves until ctx ends or something fails that no node
// survives, and stops it. The banner goes to out; the collectors are the
// process's own, beside the node's. Neither log nor out may ever block.
func Run(ctx context.Context, cfg *config.Config, log *slog.Logger, out io.Writer, own ...prometheus.Collector) error {
	n, err := Start(ctx, cfg, log, out, own...)
	if ctx.Err() != nil && n == nil {
		log.Info("stopped before the start was done", "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		log.Info("stopping", "limit", cfg.StopTimeout)
	case err = <-n.failed:
		log.Error("stopping", "err", err)
	}
	return errors.Join(err, n.Stop())
}

// Start brings a node up. After an error nothing is left running.
func Start(ctx context.Context, cfg *config.Config, log *slog.Logger, out io.Writer, own ...prometheus.Collector) (_ *Node, err error) {
	n := &Node{cfg: cfg, log: log, registry: prometheus.NewRegistry(), failed: make(chan error, 1)}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.registry.MustRegister(own...)
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Stop())
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o750); err != nil {
		return nil, fmt.Errorf("--data-dir %s: %w", cfg.DataDir, err)
	}
	if n.cpu, err = cpu.Detect(cfg.CPUDisable); err != nil {
		return nil, fmt.Errorf("--cpu-disable: %w", err)
	}
	loops, workers := share(n.cpu.Cores, cfg.Server.Loops, cfg.Verify.Workers)
	if err := n.startHashing(ctx, workers); err != nil {
		return nil, err
	}
	n.banner(out, loops, workers)
	if err := n.startRedis(ctx); err != nil {
		return nil, err
	}
	for i := range cfg.Pools {
		p, err := n.startPool(ctx, &cfg.Pools[i])
		if p != nil {
			n.pools = append(n.pools, p)
		}
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", cfg.Pools[i].Name, err)
		}
	}
	if err := n.startServer(loops); err != nil {
		return nil, err
	}
	if err := n.startAdmin(); err != nil {
		return nil, err
	}
	n.ports(out)
	n.followDaemons()
	return n, nil
}

// startRedis opens the Redis the flags name, or a private one.
func (n *Node) startRedis(ctx context.Context) error {
	cfg := n.cfg.Redis
	cfg.Log, cfg.Registerer = n.log, n.registry
	var err error
	if cfg.URL == "" {
		private := n.cfg.PrivateRedis
		private.Log, private.Registerer = n.log, n.registry
		if n.redis, err = store.StartManaged(ctx, private); err != nil {
			return fmt.Errorf("private redis-server: %w", err)
		}
		cfg.URL = n.redis.URL()
	}
	if n.store, err = store.Open(ctx, cfg); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// fail ends Run; the first failure is the one that is reported.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// followDaemons lets every pool take templates from now on.
func (n *Node) followDaemons() {
	ctx, cancel := context.WithCancel(context.Background())
	n.follow = cancel
	for _, p := range n.pools {
		n.follows.Add(1)
		go func() {
			defer n.follows.Done()
			if err := p.follow(ctx); err != nil {
				n.fail(fmt.Errorf("pool %s: follow the daemons: %w", p.cfg.Name, err))
			}
		}()
	}
}

// A stop's time, in parts of --stop-timeout. Each stage has its own, so that a
// miner who goes on sending or a daemon that hangs cannot take the time the
// ledger needs to write what was promised.
const (
	drainPart  = 0.5   // shares on their way are hashed and answered
	verifyPart = 0.125 // the queue is emptied, by hashing or shedding
	blocksPart = 0.125 // found blocks reach the daemons
	ledgerPart = 0.25  // credits are written
)

// part is a context with its share of the time to stop.
func (n *Node) part(share float64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(share*float64(n.cfg.StopTimeout)))
}

// Stop takes the node down in the order of the package comment. The error says
// what could not be finished in time; a node that could not start in full is
// stopped as far as it got.
func (n *Node) Stop() error {
	var errs []error
	note := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	if n.follow != nil {
		n.follow()
		n.follows.Wait()
	}
	if n.server != nil {
		ctx, cancel := n.part(drainPart)
		note("answer the shares on their way", n.server.Drain(ctx))
		cancel()
	}
	if n.verify != nil {
		ctx, cancel := n.part(verifyPart)
		n.verify.Close(ctx)
		cancel()
	}
	n.stopPools(note)
	if n.server != nil {
		n.server.Stop()
	}
	if n.admin != nil {
		note("close the admin port", n.stopAdmin())
	}
	n.closeEpochs()
	if n.store != nil {
		n.store.Close()
	}
	if n.redis != nil {
		n.redis.Stop()
	}
	return errors.Join(errs...)
}

// closeEpochs frees RandomX's memory. A cache that is being filled cannot be
// interrupted, and at low priority on a busy machine it takes long: then the
// memory goes with the process.
func (n *Node) closeEpochs() {
	if n.epochs == nil {
		return
	}
	closed := make(chan struct{})
	go func() { n.epochs.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(epochsGrace):
		n.log.Info("a RandomX cache is still being filled; its memory goes with the process")
	}
}

// epochsGrace is twice what filling a cache takes on an idle machine.
const epochsGrace = time.Second

// stopPools lets blocks reach their daemons and writes the books, all pools at
// once: the time is for all of them.
func (n *Node) stopPools(note func(string, error)) {
	blocks, cancel := n.part(blocksPart)
	defer cancel()
	var wait sync.WaitGroup
	for _, p := range n.pools {
		wait.Go(func() { p.closeBlocks(blocks) })
	}
	wait.Wait()
	books, cancel := n.part(ledgerPart)
	defer cancel()
	errs := make([]error, len(n.pools))
	for i, p := range n.pools {
		wait.Go(func() { errs[i] = p.closeBooks(books) })
	}
	wait.Wait()
	for i, p := range n.pools {
		note("pool "+p.cfg.Name, errs[i])
	}
}
