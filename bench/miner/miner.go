package miner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/assay-pool/assay/bench/xmrig"
)

// Defaults.
const (
	// DefaultBatch is how many nonces a thread hashes per call. RandomX overlaps
	// neighbours in a batch; a new job waits for the batch, so it is small.
	DefaultBatch = 4
	// MaxBatch bounds a batch: a new job waits for it.
	MaxBatch = 256
	// DefaultBackoffMin and DefaultBackoffMax bound the pause before a
	// reconnect, which doubles with each failure in a row.
	DefaultBackoffMin = 250 * time.Millisecond
	DefaultBackoffMax = 15 * time.Second
	// DefaultDrainTimeout is how long a stop waits for answers in flight.
	DefaultDrainTimeout = 10 * time.Second
	// DefaultInFlight bounds the submits without an answer.
	DefaultInFlight = 64
)

// Config describes a miner. Pool.Algos are the algorithms it offers; rx/0 alone
// if empty.
type Config struct {
	Name    string // tells miners apart in logs and in Hashers; "" is Pool.Login
	Pool    xmrig.Config
	Hashers Hashers
	Threads int // 0 = one per core the process may use (GOMAXPROCS)
	Batch   int // 0 = DefaultBatch

	// Accepted stops the miner at exactly so many accepted shares; 0 = never.
	// A share is held back while those in flight may fill the number.
	Accepted int
	// Failures stops the miner after so many failed connections in a row, with
	// the last reason as Run's error; 0 = never.
	Failures int
	// KeepShares bounds the answered shares kept for [Miner.Shares]; 0 = none.
	KeepShares int

	KeepAlive              time.Duration // 0 = xmrig.DefaultKeepAlive
	BackoffMin, BackoffMax time.Duration
	DrainTimeout           time.Duration
	InFlight               int
	Log                    *slog.Logger // nil = none
}

// Miner is one miner. Run it once.
type Miner struct {
	cfg   Config
	log   *slog.Logger
	board board
	book  book
}

// New checks the configuration and fills the defaults in.
func New(cfg Config) (*Miner, error) {
	switch {
	case cfg.Hashers == nil:
		return nil, errors.New("miner: no hashers")
	case cfg.Pool.Addr == "" || cfg.Pool.Login == "":
		return nil, errors.New("miner: no pool address or login")
	case cfg.Threads < 0 || cfg.Batch < 0 || cfg.Accepted < 0 || cfg.Failures < 0 || cfg.KeepShares < 0 || cfg.InFlight < 0:
		return nil, errors.New("miner: a negative count in the configuration")
	case cfg.Batch > MaxBatch:
		return nil, fmt.Errorf("miner: a batch of %d, more than %d", cfg.Batch, MaxBatch)
	}
	cfg.Threads = cmp.Or(cfg.Threads, runtime.GOMAXPROCS(0))
	cfg.Batch = cmp.Or(cfg.Batch, DefaultBatch)
	cfg.InFlight = cmp.Or(cfg.InFlight, DefaultInFlight)
	cfg.BackoffMin = cmp.Or(cfg.BackoffMin, DefaultBackoffMin)
	cfg.BackoffMax = cmp.Or(cfg.BackoffMax, DefaultBackoffMax)
	cfg.DrainTimeout = cmp.Or(cfg.DrainTimeout, DefaultDrainTimeout)
	cfg.KeepAlive = cmp.Or(cfg.KeepAlive, xmrig.DefaultKeepAlive)
	if cfg.Name == "" {
		cfg.Name = cfg.Pool.Login
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Miner{cfg: cfg, log: cfg.Log.With("miner", cfg.Name)}
	m.board.changed = make(chan struct{})
	m.book.init(&cfg)
	return m, nil
}

// Stats is a copy of the counters.
func (m *Miner) Stats() Stats { return m.book.stats() }

// Shares are the first KeepShares answered shares, in the order of the answers.
func (m *Miner) Shares() []Share { return m.book.kept() }

// Run mines until ctx ends, the wanted number of shares is accepted (both nil),
// a hasher cannot be made, or too many connections fail in a row.
func (m *Miner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.book.onFull = cancel

	hashers := make([]Hasher, 0, m.cfg.Threads)
	defer func() {
		for _, h := range hashers {
			h.Close()
		}
	}()
	for range m.cfg.Threads {
		h, err := m.cfg.Hashers.NewHasher()
		if err != nil {
			return fmt.Errorf("miner %s: %w", m.cfg.Name, err)
		}
		hashers = append(hashers, h)
	}
	var threads sync.WaitGroup
	for _, h := range hashers {
		threads.Go(func() { m.thread(ctx, h) })
	}
	err := m.connections(ctx)
	cancel()
	threads.Wait()
	return err
}

// connections keeps one session alive after the other.
func (m *Miner) connections(ctx context.Context) error {
	pause, failures := m.cfg.BackoffMin, 0
	for {
		loggedIn, err := m.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if loggedIn {
			pause, failures = m.cfg.BackoffMin, 0
		}
		failures++
		m.book.lost(err)
		m.log.Warn("connection lost", "err", err, "again", pause)
		if m.cfg.Failures > 0 && failures >= m.cfg.Failures {
			return fmt.Errorf("miner %s: %d failed connections in a row: %w", m.cfg.Name, failures, err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		pause = min(2*pause, m.cfg.BackoffMax)
	}
}
