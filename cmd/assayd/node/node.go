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
	"github.com/assay-pool/assay/internal/lockdir"
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

	folder      *os.File // --data-dir's lock, held while it is open
	cpu         *cpu.Info
	cryptonight *cryptonight.Engine
	expected    []algo.ID // CryptoNight algorithms the pools use today
	epochs      *randomx.Manager
	verify      *verify.Verifier
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
	type result struct {
		n   *Node
		err error
	}
	started := make(chan result, 1)
	go func() {
		n, err := Start(ctx, cfg, log, out, own...)
		started <- result{n, err}
	}()
	var r result
	select {
	case r = <-started:
	case <-ctx.Done():
		// Start obeys ctx, but for what is in C: a self-test that fills a cache.
		select {
		case r = <-started:
		case <-time.After(cfg.StopTimeout + tailTime):
			log.Warn("stopped in the middle of a start that cannot be interrupted; its memory goes with the process")
			return nil
		}
	}
	n, err := r.n, r.err
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
	// With --redis, too: the folder has more than each pool's journal, which has a
	// lock of its own.
	if n.folder, err = lockdir.Take(cfg.DataDir); err != nil {
		return nil, err
	}
	if n.cpu, err = cpu.Detect(cfg.CPUDisable); err != nil {
		return nil, fmt.Errorf("--cpu-disable: %w", err)
	}
	loops, workers := splitCores(n.cpu.Cores, cfg.Server.Loops, cfg.Verify.Workers)
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
