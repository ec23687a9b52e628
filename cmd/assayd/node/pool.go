package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/openblocks"
	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/validator/pool"
)

// poolNode is one pool with what belongs to it alone.
type poolNode struct {
	log     *slog.Logger
	cfg     *config.Pool
	open    *openblocks.Store
	ledger  *ledger.Ledger
	daemons *daemon.Client
	pool    *pool.Pool
}

// startPool opens a pool's books and makes its daemon client; no template is
// fetched before follow. What was started is returned also with an error.
func (n *Node) startPool(ctx context.Context, cfg *config.Pool) (*poolNode, error) {
	p := &poolNode{cfg: cfg, log: n.log}
	open, left, err := openblocks.Open(openblocks.Config{
		Dir:  filepath.Join(n.cfg.DataDir, "blocks", cfg.Name),
		Pool: cfg.Name, Log: n.log, Registerer: n.registry,
	})
	if err != nil {
		return nil, err
	}
	p.open = open
	book := n.cfg.Ledger
	book.Store, book.Pool, book.Node = n.store, cfg.Name, nodeName()
	book.Identity = ledger.Identity{Coin: cfg.Pool.Coin.Name, Wallet: cfg.Daemon.Wallet}
	book.Log, book.Registerer = n.log, n.registry
	book.OnClose = func(rec ledger.BlockRecord) { open.Drop(rec.ID) }
	if p.ledger, err = ledger.Open(ctx, book); err != nil {
		return p, err
	}
	daemons := cfg.Daemon
	daemons.Pool, daemons.Log, daemons.Registerer = cfg.Name, n.log, n.registry
	daemons.Coin, daemons.Network, daemons.BlobType = cfg.Pool.Coin.Name, cfg.Pool.Coin.Network, cfg.Pool.Coin.BlobType
	if p.daemons, err = daemon.New(daemons); err != nil {
		return p, err
	}
	heart := cfg.Pool
	heart.Name, heart.Wallet, heart.Prefix = cfg.Name, cfg.Daemon.Wallet, p.ledger.NodePrefix()
	heart.Ledger, heart.Seeds, heart.Verifier = books{p.ledger}, n.epochs, n.verify
	heart.Blocks, heart.Chain, heart.Keeper = chain{p.daemons}, chain{p.daemons}, keeper{open}
	heart.Tips = p.daemons
	heart.Supports, heart.Log, heart.Registerer = n.engines().Supports, n.log, n.registry
	if p.pool, err = pool.New(heart); err != nil {
		return p, err
	}
	p.pool.Resume(leftovers(left))
	return p, nil
}

// follow takes templates until ctx ends.
func (p *poolNode) follow(ctx context.Context) error {
	return p.daemons.Run(ctx, func(t *daemon.Template) error {
		err := p.pool.Accept(ctx, offer(t))
		if errors.Is(err, context.Canceled) {
			return nil // stopping is not the template's fault
		}
		return verdict(err)
	}, p.pool.Board().Confirm)
}

// daemonsReady tells why no daemon can be used, or nil.
func (p *poolNode) daemonsReady() error {
	var errs []error
	for _, d := range p.daemons.Status() {
		if d.Healthy {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %s", d.Name, d.Reason))
	}
	return fmt.Errorf("no daemon is usable (--daemon): %w", errors.Join(errs...))
}

// daemonsNote tells what is wrong with daemons while another one is in use, and with their notices.
func (p *poolNode) daemonsNote() string {
	var notes []string
	for _, d := range p.daemons.Status() {
		if !d.Healthy {
			notes = append(notes, d.Name+": "+d.Reason)
		}
		if d.Feed != "" {
			notes = append(notes, d.Name+": no ZMQ notices: "+d.Feed)
		}
	}
	return strings.Join(notes, "; ")
}

// ledgerReady tells why no more credits can be taken, or that nothing has been
// written for a while, or nil. A Redis that is away for a moment is no reason:
// credits wait for it. One that stays away is: what waits is in memory alone.
func (p *poolNode) ledgerReady() error {
	s := p.ledger.Status()
	since := ""
	if !s.Failing.IsZero() {
		since = fmt.Sprintf("nothing has been written to Redis (--redis) since %s, %s ago: %v; ",
			s.Failing.Format(time.RFC3339), time.Since(s.Failing).Round(time.Second), s.Err)
	}
	switch {
	case !p.ledger.Admit():
		return fmt.Errorf("%sno more credits are taken, %d of %d entries wait (--ledger-pending)", since, s.Pending, s.MaxPending)
	case since != "" && time.Since(s.Failing) >= ledger.StallAfter:
		return fmt.Errorf("%s%d of %d entries wait (--ledger-pending), the oldest for %s", since, s.Pending, s.MaxPending, s.Age.Round(time.Second))
	}
	return nil
}

// closeDaemons lets blocks reach further daemons until ctx ends.
func (p *poolNode) closeDaemons(ctx context.Context) {
	if p.daemons == nil {
		return
	}
	if err := p.daemons.Close(ctx); err != nil {
		// The block is placed; only a further daemon does not have it yet.
		p.log.Warn("a block was not offered to every daemon before the end", "pool", p.cfg.Name, "err", err)
	}
}

// closeBooks writes what the ledger still holds.
func (p *poolNode) closeBooks(ctx context.Context) error {
	var err error
	if p.ledger != nil {
		err = p.ledger.Close(ctx)
	}
	if stays := p.open.Close(ctx); stays != nil {
		p.log.Warn("the next start looks at blocks again that are in the books", "pool", p.cfg.Name, "err", stays)
	}
	return err
}
