package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/coin"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/verify"
)

// Blocks submits blocks and finds them again.
type Blocks interface {
	// Submit offers the block to every daemon and returns once one has
	// accepted it, all have rejected it, or ctx has ended. The error wraps
	// ErrUnknownFate when none gave a definite answer, and ErrRefused when the
	// block was refused for what it is and not for a rival that came first.
	Submit(ctx context.Context, id [32]byte, block []byte) (daemon string, err error)
	// Locate asks every daemon where a block is.
	Locate(ctx context.Context, id [32]byte) Location
}

// Seeds makes RandomX seeds hashable.
type Seeds interface {
	Announce(owner string, current, next [32]byte)
	Wait(ctx context.Context, seed [32]byte) error
}

// Chain answers for the block ids that seeds are.
type Chain interface {
	BlockID(ctx context.Context, height uint64) ([32]byte, error)
}

// Verifier judges shares.
type Verifier interface{ Submit(*verify.Task) }

// Config of a Pool. Every interface is required, but for Seeds and Chain where
// the coin has no algorithm that needs a seed, and Tips. Zero values take the
// defaults named.
type Config struct {
	Name   string
	Wallet string // block rewards go to; for texts
	Coin   *coin.Profile
	Prefix uint32 // node prefix of the extra nonces, no other pool's on this Redis (I4)

	Books    Books
	Blocks   Blocks
	Seeds    Seeds
	Chain    Chain
	Tips     Tips // nil = the chain's newest blocks are not looked at
	Verifier Verifier
	Supports func(algo.ID) error // whether the node can hash it; nil = anything

	JobsPerSession int           // jobs a session may still submit for; 8
	Templates      int           // templates that stay valid; 8
	StaleGrace     time.Duration // credit for work on a replaced parent; 0 is none, DefaultStaleGrace is usual
	TemplateMaxAge time.Duration // older templates are no work; 10 min
	SeedWait       time.Duration // longest wait for a cache before a template is given up; 2 min
	SubmitTimeout  time.Duration // longest effort to place a block; 30 s
	Submissions    int           // blocks on their way at once; 16
	FoundBlocks    int           // blocks that wait to be on their way; 1024
	Addresses      int           // cached address checks; 65536

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Pool is one pool. Safe for concurrent use.
type Pool struct {
	cfg       Config
	log       *slog.Logger
	board     *job.Board
	prefix    job.Prefix // of all extra nonces of this start
	addresses *coin.AddressCache
	metrics   *metrics
	sessions  atomic.Uint32
	subs      []func(*job.Template) // immutable once the first offer comes
	seeds     seedBook              // of current seeds; owned by Accept's goroutine, as the next two
	upcoming  seedBook              // of next seeds
	misnamed  [32]byte              // the last next seed that was not confirmed, to say so once

	tips      tips
	finds     finds
	known     recentIDs
	unsettled unsettled
	watched   chan struct{}  // a token for each block whose fate is not known
	watching  sync.WaitGroup // watchTips
	inflight  sync.WaitGroup // found blocks that are not settled, placers and watches

	// The end of a pool, in the order in which these contexts end.
	closing        context.Context // no fate is waited for any more
	closeSoon      context.CancelFunc
	submitting     context.Context // submissions, which may take all but the last question's time
	stopSubmitting context.CancelFunc
	asking         context.Context // questions to the chain
	stopAsking     context.CancelFunc
}

// Defaults of Config.
const (
	// Eight jobs and templates are between what MoneroOcean's pool keeps (10) and
	// Snipa22's (8 and 4).
	DefaultJobsPerSession = 8
	DefaultTemplates      = 8
	// Ten minutes are five Monero blocks: a template nobody confirmed for so long
	// is not worth anybody's power.
	DefaultTemplateMaxAge = 10 * time.Minute
	// DefaultStaleGrace covers the way of a new block: to the daemon's other
	// peers, to the miner, and of its last shares back.
	DefaultStaleGrace = 4 * time.Second
	// A slow machine fills a cache in seconds: two minutes mean that it never will.
	DefaultSeedWait = 2 * time.Minute
	// A block that no daemon took within 30 s has been overtaken.
	DefaultSubmitTimeout = 30 * time.Second
	// A real chain has one block on its way; sixteen keep up with a regtest chain
	// of difficulty 1, where every share is one.
	DefaultSubmissions = 16
	// On such a chain daemons that hang make about 1,000 blocks wait in the worst
	// second: 2 MB at Monero's usual 50 transactions.
	DefaultFoundBlocks = 1024
	// More wallets than any one pool has had, at about 300 bytes each.
	DefaultAddresses = 65536
)

func (c *Config) setDefaults() {
	c.JobsPerSession = cmp.Or(c.JobsPerSession, DefaultJobsPerSession)
	c.Templates = cmp.Or(c.Templates, DefaultTemplates)
	c.TemplateMaxAge = cmp.Or(c.TemplateMaxAge, DefaultTemplateMaxAge)
	c.SeedWait = cmp.Or(c.SeedWait, DefaultSeedWait)
	c.SubmitTimeout = cmp.Or(c.SubmitTimeout, DefaultSubmitTimeout)
	c.Submissions = cmp.Or(c.Submissions, DefaultSubmissions)
	c.FoundBlocks = cmp.Or(c.FoundBlocks, DefaultFoundBlocks)
	c.Addresses = cmp.Or(c.Addresses, DefaultAddresses)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// New makes a pool with no template yet.
func New(cfg Config) (*Pool, error) {
	if cfg.Books == nil || cfg.Blocks == nil || cfg.Verifier == nil || cfg.Coin == nil {
		return nil, errors.New("pool: books, blocks, verifier and coin are required")
	}
	cfg.setDefaults()
	addresses, err := coin.NewAddressCache(cfg.Coin, cfg.Addresses)
	if err != nil {
		return nil, fmt.Errorf("pool %s: address cache: %w", cfg.Name, err)
	}
	p := &Pool{
		cfg: cfg, log: cfg.Log.With("pool", cfg.Name), addresses: addresses,
		prefix: job.NewPrefix(cfg.Prefix),
		board: job.NewBoard(job.BoardConfig{
			Keep: cfg.Templates, Grace: cfg.StaleGrace, MaxAge: cfg.TemplateMaxAge,
		}),
		watched: make(chan struct{}, maxWatched),
	}
	p.metrics = newMetrics(cfg.Registerer, cfg.Name, p.board, addresses)
	p.closing, p.closeSoon = context.WithCancel(context.Background())
	p.submitting, p.stopSubmitting = context.WithCancel(context.Background())
	p.asking, p.stopAsking = context.WithCancel(context.Background())
	p.tips.next = make(chan [32]byte, 1)
	if cfg.Tips != nil {
		p.watching.Go(p.watchTips)
	}
	return p, nil
}

// Name is the pool's name, as its Redis tag and metrics carry it.
func (p *Pool) Name() string { return p.cfg.Name }

// Coin is what the pool mines.
func (p *Pool) Coin() *coin.Profile { return p.cfg.Coin }

// Board holds the templates; its Current is nil while there is no work.
func (p *Pool) Board() *job.Board { return p.board }

// ParseAddress checks a miner's address strictly, through a cache.
func (p *Pool) ParseAddress(s string) (coin.Address, error) { return p.addresses.Parse(s) }

// NewWindow gives a new session its jobs' window, with a session number no
// live session has: the numbers come round after 2³² logins, and jobs of a
// template that old are long gone.
func (p *Pool) NewWindow() job.Window {
	return job.NewWindow(p.prefix, p.sessions.Add(1), p.cfg.JobsPerSession)
}

// Subscribe adds a function that is called with each published template, from
// one goroutine. All subscriptions come before the first offer.
func (p *Pool) Subscribe(f func(*job.Template)) { p.subs = append(p.subs, f) }

// Close waits for blocks on their way, at most until ctx ends, and ends them
// then. Submissions end a little before ctx's deadline, so that there is time to
// ask the chain for each block of unknown fate once more. The error names the
// blocks that are unsettled. It does not wait for credits: each is answered by the
// books, which are to be closed after the pool. Shares must have stopped before; a
// block found later is written down and logged with its bytes, and not submitted.
func (p *Pool) Close(ctx context.Context) error {
	p.finds.mu.Lock()
	p.finds.closed = true
	p.finds.mu.Unlock()
	p.closeSoon()
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		cut := time.AfterFunc(left-min(lastAsk, left/4), p.stopSubmitting)
		defer cut.Stop()
	}
	done := make(chan struct{})
	go func() { p.inflight.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	p.stopSubmitting()
	p.stopAsking()
	<-done
	p.watching.Wait()
	p.addresses.Close()
	return p.unsettled.err()
}
