package randomx

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/assay-pool/assay/native/cpu"
)

// Manager owns all RandomX memory of a process and the goroutine that fills it.
// Its methods may be called from any goroutine.
type Manager struct {
	cfg         Config  // immutable
	lib         library // immutable
	log         *slog.Logger
	metrics     *metrics
	maxDatasets int    // immutable; 0 in light mode
	reason      string // immutable: why this mode

	memory func() (cpu.Memory, error) // immutable; tests replace it

	wake      chan struct{} // capacity 1: something to look at
	stop      chan struct{} // closed by Close
	done      chan struct{} // closed when the builder has ended
	closeOnce sync.Once

	mu           sync.Mutex
	idle         *sync.Cond    // hashing fell to 0
	planned      chan struct{} // closed and renewed when plan makes an epoch, for Wait
	owners       []*owner      // in order of their first announcement
	epochs       map[Seed]*Epoch
	freeCaches   []cacheMemory
	freeDatasets []*dataset
	caches       int // allocated, free ones and the self-test's included
	datasets     int
	lastID       uint64 // of cache and dataset contents
	builds       uint64 // caches filled; a test's proof that alternation builds nothing
	hashing      int    // Hash calls inside the library
	workers      map[*Worker]struct{}
	refusedSeeds uint64
	closed       bool
	notes        []note // for the log, once mu is free
}

// note is a line for the log.
type note struct {
	level slog.Level
	text  string
	args  []any
}

// New opens the library, decides the mode and starts the builder. It allocates
// no cache yet. Errors: ErrNoCgo; a bad Config; mode full without the memory.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	lib, err := openLibrary(cfg)
	if err != nil {
		return nil, err
	}
	return newManager(cfg, lib, cpu.AvailableMemory)
}

func newManager(cfg Config, lib library, memory func() (cpu.Memory, error)) (*Manager, error) {
	datasets, reason, err := planMemory(&cfg, memory)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg: cfg, lib: lib, log: cfg.Log, maxDatasets: datasets, reason: reason, memory: memory,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		planned: make(chan struct{}), epochs: map[Seed]*Epoch{}, workers: map[*Worker]struct{}{},
	}
	m.idle = sync.NewCond(&m.mu)
	if m.metrics, err = newMetrics(m); err != nil {
		return nil, err
	}
	go m.build()
	return m, nil
}

// planMemory decides the mode and lowers cfg.MaxCaches to what fits.
func planMemory(cfg *Config, memory func() (cpu.Memory, error)) (datasets int, reason string, err error) {
	mem, err := memory()
	if err != nil {
		if cfg.Mode == ModeFull {
			return 0, "", fmt.Errorf("randomx: %w", err)
		}
		cfg.Log.Warn("the memory cannot be read, so nobody knows whether the RandomX caches fit", "err", err)
		return 0, "light: " + err.Error(), nil
	}
	b := budget{mem: mem, reserve: cfg.MemoryReserve, beside: cfg.Beside, huge: !cfg.NoHugePages}
	if datasets, reason, err = b.datasets(cfg.Mode, cfg.MaxDatasets); err != nil {
		return 0, "", err
	}
	want := cfg.MaxCaches
	if cfg.Idle {
		want = 1
	}
	caches, warning, err := b.caches(want, datasets)
	if err != nil {
		return 0, "", err
	}
	if warning != "" {
		cfg.Log.Warn(warning)
	}
	if !cfg.Idle && caches < want {
		cfg.MaxCaches = caches
		reason += fmt.Sprintf("; %d of %d caches fit", caches, want)
	}
	return datasets, reason, nil
}

// Ready tells whether shares of the seed can be verified now.
func (m *Manager) Ready(seed [32]byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.epochs[seed]
	return !m.closed && e != nil && e.cache.mem != nil
}

// Wait returns when the seed can be verified. A seed that was announced but
// refused for want of a cache is waited for, as room may come. Errors:
// ErrUnknownSeed when it is not announced; the build's error; ctx's; ErrClosed.
func (m *Manager) Wait(ctx context.Context, seed [32]byte) error {
	for {
		m.mu.Lock()
		e, closed := m.epochs[seed], m.closed
		refused := e == nil && slices.Contains(m.ranked(true), seed)
		if closed || e == nil && !refused || e != nil && (e.cache.mem != nil || e.state == Failed) {
			var err error
			switch {
			case closed:
				err = ErrClosed
			case e == nil:
				err = ErrUnknownSeed
			case e.cache.mem == nil:
				err = e.err
			}
			m.mu.Unlock()
			return err
		}
		ready := m.planned
		if !refused {
			ready = e.ready
		}
		m.mu.Unlock()
		select {
		case <-ready:
		case <-ctx.Done():
			return fmt.Errorf("wait for RandomX seed %s: %w", hexSeed(seed), ctx.Err())
		}
	}
}

// Acquire references the epoch of a seed. It never blocks and never builds.
// Errors: ErrUnknownSeed, ErrNotReady, ErrClosed.
func (m *Manager) Acquire(seed [32]byte) (*Epoch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.epochs[seed]
	switch {
	case m.closed:
		return nil, ErrClosed
	case e == nil:
		return nil, ErrUnknownSeed
	case e.cache.mem == nil:
		return nil, ErrNotReady
	}
	e.refs++
	return e, nil
}

// evictIfFree takes an epoch that nobody wants or holds out of the map and puts
// its memory on the free lists. mu held.
func (m *Manager) evictIfFree(e *Epoch) {
	if e.wanted || e.held() {
		return
	}
	delete(m.epochs, e.seed)
	if e.cache.mem != nil {
		m.freeCaches = append(m.freeCaches, e.cache.mem)
		e.cache = filled{}
	} else if e.state != Failed {
		close(e.ready)
	}
	m.retire(&e.full)
	m.retire(&e.filling)
}

// retire takes a dataset from its epoch; it is free once no hash runs on it.
func (m *Manager) retire(d **dataset) {
	if *d == nil {
		return
	}
	(*d).retired = true
	m.freeIfRetired(*d)
	*d = nil
}

func (m *Manager) freeIfRetired(d *dataset) {
	if d.retired && d.users == 0 {
		m.freeDatasets = append(m.freeDatasets, &dataset{mem: d.mem})
		d.retired = false
		m.poke()
	}
}

// note keeps a line for the log until unlock: whoever reads the log must not
// decide how long mu is held. mu held.
func (m *Manager) note(level slog.Level, text string, args ...any) {
	m.notes = append(m.notes, note{level, text, args})
}

// unlock gives mu back and logs what was noted while it was held.
func (m *Manager) unlock() {
	notes := m.notes
	m.notes = nil
	m.mu.Unlock()
	for _, n := range notes {
		m.log.Log(context.Background(), n.level, n.text, n.args...)
	}
}

// poke makes the builder look again. It never blocks.
func (m *Manager) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Close refuses new work, waits for running hashes and the builder (at most one
// cache or one slice), and frees every VM, cache and dataset. Idempotent.
func (m *Manager) Close() {
	m.closeOnce.Do(func() {
		m.metrics.unregister()
		m.mu.Lock()
		m.closed = true
		for m.hashing > 0 {
			m.idle.Wait()
		}
		m.mu.Unlock()
		close(m.stop)
		<-m.done
		m.mu.Lock()
		defer m.mu.Unlock()
		for w := range m.workers {
			w.freeVMs()
		}
		clear(m.workers)
		m.freeAll()
	})
}

// freeAll gives all memory back. The builder has ended, no hash runs; mu held.
func (m *Manager) freeAll() {
	for _, e := range m.epochs {
		if e.cache.mem != nil {
			e.cache.mem.free()
			m.caches--
		} else if e.state != Failed {
			close(e.ready)
		}
		for _, d := range []*dataset{e.full, e.filling} {
			if d != nil {
				d.mem.free()
				m.datasets--
			}
		}
		e.cache, e.full, e.filling = filled{}, nil, nil
	}
	clear(m.epochs)
	close(m.planned)
	for _, c := range m.freeCaches {
		c.free()
		m.caches--
	}
	for _, d := range m.freeDatasets {
		d.mem.free()
		m.datasets--
	}
	m.freeCaches, m.freeDatasets, m.owners = nil, nil, nil
}

func hexSeed(s Seed) string { return hex.EncodeToString(s[:]) }
