package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
)

// poolNode is one pool with what belongs to it alone.
type poolNode struct {
	log     *slog.Logger
	cfg     *config.Pool
	sync    journal.Sync
	journal *journal.Journal
	ledger  *ledger.Ledger
	daemons *daemon.Client
	pool    *pool.Pool
}

// startPool opens a pool's books and makes its daemon client; no template is
// fetched before follow. What was started is returned also with an error.
func (n *Node) startPool(ctx context.Context, cfg *config.Pool) (*poolNode, error) {
	p := &poolNode{cfg: cfg, log: n.log}
	if err := p.openBooks(ctx, n); err != nil {
		return p, err
	}
	var err error
	daemons := cfg.Daemon
	daemons.Pool, daemons.Log, daemons.Registerer = cfg.Name, n.log, n.registry
	daemons.Coin, daemons.Network, daemons.BlobType = cfg.Pool.Coin.Name, cfg.Pool.Coin.Network, cfg.Pool.Coin.BlobType
	if p.daemons, err = daemon.New(daemons); err != nil {
		return p, err
	}
	heart := cfg.Pool
	heart.Name, heart.Wallet, heart.Prefix = cfg.Name, cfg.Daemon.Wallet, p.ledger.NodePrefix()
	heart.Books, heart.Seeds, heart.Verifier = books{p.journal, p.ledger}, n.epochs, n.verify
	heart.Blocks, heart.Chain, heart.Tips = chain{p.daemons}, chain{p.daemons}, p.daemons
	heart.Supports, heart.Log, heart.Registerer = n.engines().Supports, n.log, n.registry
	if p.pool, err = pool.New(heart); err != nil {
		return p, err
	}
	p.pool.Subscribe(func(t *job.Template) { p.ledger.SetDifficulty(clamped(t.Difficulty)) })
	forgotten, err := p.ledger.Forgotten(ctx)
	if err != nil {
		return p, err
	}
	p.pool.Resume(leftovers(p.journal.Unsettled(), forgotten))
	return p, nil
}

// openBooks opens the journal and applies to Redis what an earlier start has left
// in it.
func (p *poolNode) openBooks(ctx context.Context, n *Node) (err error) {
	name, identity := p.cfg.Name, ledger.Identity{Coin: p.cfg.Pool.Coin.Name, Wallet: p.cfg.Daemon.Wallet}
	j := n.cfg.Journal
	j.Dir, j.Pool, j.Identity = config.JournalDir(n.cfg.DataDir, name), name, journal.Identity(identity)
	j.Log, j.Registerer = n.log, n.registry
	p.sync = j.Sync
	if p.journal, err = journal.Open(j); err != nil {
		return err
	}
	if j.Sync == journal.SyncOff {
		n.log.Warn("NOT DURABLE: "+notSynced, "pool", name)
	}
	book := n.cfg.Ledger
	book.Store, book.Journal, book.Pool, book.Node, book.Identity = n.store, p.journal, name, nodeName(), identity
	book.Log, book.Registerer = n.log, n.registry
	p.ledger, err = ledger.Open(ctx, book)
	return err
}

// clamped is a network difficulty as far as 64 bits go: chunks need no more.
func clamped(d blob.Difficulty) uint64 {
	if d.Hi != 0 {
		return math.MaxUint64
	}
	return d.Lo
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

// booksReady tells why no share can be recorded, or why none of them will get into
// the books until somebody acts, or nil.
func (p *poolNode) booksReady() error {
	if err := p.journal.Admit(); err != nil {
		return err
	}
	if s := p.ledger.Status(); s.Stuck {
		return s.Err
	}
	return nil
}

// notSynced is what --journal-sync-interval off means.
const notSynced = "accepted shares are not synced to disk (--journal-sync-interval off): a power cut takes shares whose miners were told they were accepted; for load tests only"

// booksNote tells what an operator should know although miners need not notice: a
// Redis that takes nothing, and what was lost of the journal. Credits wait on disk.
func (p *poolNode) booksNote() string {
	var notes []string
	if p.sync == journal.SyncOff {
		notes = append(notes, notSynced)
	}
	if s := p.ledger.Status(); !s.Failing.IsZero() && time.Since(s.Failing) >= ledger.StallAfter {
		notes = append(notes, fmt.Sprintf("nothing has been written to Redis (--redis) since %s, %s ago: %v; %d bytes wait in the journal (--journal-max), the oldest share for %s",
			s.Failing.Format(time.RFC3339), time.Since(s.Failing).Round(time.Second), s.Err, s.Pending, s.Age.Round(time.Second)))
	}
	if s := p.ledger.Status(); s.Gaps > 0 {
		note := fmt.Sprintf("%d parts of the journal are missing in the books, with %d hashes in %d shares", s.Gaps, s.Lost.Hashes, s.Lost.Shares)
		if s.Unknown > 0 {
			note += fmt.Sprintf(", and what %d of them had nobody can tell", s.Unknown)
		}
		notes = append(notes, note+": see assayd ledger audit")
	}
	return strings.Join(notes, "; ")
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

// closeBooks makes all that was accepted durable, then writes it to Redis as far as
// time allows. The rest is the next start's to write, so that is no failure, unless
// somebody must act before.
func (p *poolNode) closeBooks(ctx context.Context) error {
	if p.journal == nil {
		return nil
	}
	err := p.journal.Close(ctx)
	if p.ledger == nil {
		return err
	}
	stuck := p.ledger.Status().Stuck
	if waits := p.ledger.Close(ctx); waits != nil && stuck {
		err = errors.Join(err, waits)
	} else if waits != nil {
		p.log.Warn("the end of the journal is not in redis yet", "pool", p.cfg.Name, "err", waits)
	}
	return err
}
