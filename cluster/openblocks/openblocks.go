package openblocks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// DefaultLimit bounds the files: more than a pool can have on their way
	// (1,024 that wait and as many that are watched), with room for an outage.
	DefaultLimit = 4096
	// DefaultPatience is what a block's submission waits for the disk at most.
	// A healthy disk syncs in a few milliseconds, a busy one in tens.
	DefaultPatience = time.Second
	// maxWriters hang on a stalled disk at most: as many as blocks are submitted
	// at once. With all of them hanging a record is given up without a wait.
	maxWriters = 16
	// maxFile is more than any coin's largest block in hex with its record; a
	// longer file is not ours.
	maxFile = 64 << 20

	// madeFolders of the path may be new: <data-dir>/blocks/<pool>.
	madeFolders = 3

	suffix        = ".json"
	tempSuffix    = ".tmp"
	damagedSuffix = ".damaged"
)

// Errors of Keep: the block has no record on disk, or not yet.
var (
	ErrFull    = errors.New("too many open blocks are on disk")
	ErrStalled = errors.New("the disk does not answer")
	ErrClosed  = errors.New("the open blocks are closed")
)

// Config of a Store; zero values take the defaults above.
type Config struct {
	Dir      string // made if it is not there
	Pool     string // for logs and metrics
	Limit    int
	Patience time.Duration

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Store is a folder of open blocks. Safe for concurrent use.
type Store struct {
	cfg       Config
	log       *slog.Logger
	writers   chan struct{} // a token for each write under way
	unwritten prometheus.Counter
	write     func(path string, data []byte) error // immutable; tests stall it

	mu      sync.Mutex
	open    map[[32]byte]*file // guarded by mu; on disk or on its way there
	doomed  [][32]byte         // guarded by mu; to be removed; ids of open
	closed  bool               // guarded by mu
	removal chan struct{}      // capacity 1: there is something in doomed, or the end has come
	done    chan struct{}      // closed when the remover has ended
}

// file is one open block's. Guarded by Store.mu.
type file struct {
	writing bool // not on disk yet
	dropped bool // settled: it is removed as soon as it is there
}

// Open reads what an earlier start has left and starts the remover. The error is
// a folder that cannot be made or listed.
func Open(cfg Config) (*Store, []Record, error) {
	if cfg.Limit <= 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Patience <= 0 {
		cfg.Patience = DefaultPatience
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, nil, fmt.Errorf("folder for open blocks (--data-dir): %w", err)
	}
	// A file is only as durable as the names of the folders it lies in.
	for dir, up := cfg.Dir, 0; up < madeFolders; dir, up = filepath.Dir(dir), up+1 {
		if err := syncFolder(filepath.Dir(dir)); err != nil {
			return nil, nil, fmt.Errorf("folder for open blocks (--data-dir): %w", err)
		}
	}
	s := &Store{
		cfg: cfg, log: cfg.Log.With("pool", cfg.Pool), writers: make(chan struct{}, maxWriters), write: writeDurably,
		open: make(map[[32]byte]*file), removal: make(chan struct{}, 1), done: make(chan struct{}),
	}
	leftovers, err := s.read()
	if err != nil {
		return nil, nil, fmt.Errorf("open blocks (--data-dir): %w", err)
	}
	labels := prometheus.Labels{"pool": cfg.Pool}
	s.unwritten = prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_blocks_unwritten_total", ConstLabels: labels,
		Help: "Found blocks submitted without a record on disk, because it stalled or failed; a crash before they are in Redis would lose them from the books."})
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(s.unwritten, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "assay_blocks_open", ConstLabels: labels,
			Help: "Found blocks whose round is not closed in Redis yet, as kept on disk."}, func() float64 { return float64(s.Len()) }))
	}
	go s.remover()
	return s, leftovers, nil
}

// read finds what is in the folder and sets aside what cannot be read.
func (s *Store) read() (leftovers []Record, err error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(s.cfg.Dir, e.Name())
		switch filepath.Ext(path) {
		case tempSuffix: // of a write that a crash cut short
			if err := os.Remove(path); err != nil {
				s.log.Warn("a half-written open block could not be removed", "file", path, "err", err)
			}
			continue
		case suffix:
		default:
			continue
		}
		r, err := readFile(path)
		if err != nil {
			s.setAside(path, err)
			continue
		}
		s.open[r.ID] = &file{}
		leftovers = append(leftovers, r)
	}
	return leftovers, nil
}

func readFile(path string) (Record, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Record{}, err
	}
	if info.Size() > maxFile {
		return Record{}, fmt.Errorf("it has %d bytes", info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Record{}, err
	}
	r, err := decode(data)
	if err == nil && filepath.Base(path) != filename(r.ID) {
		err = fmt.Errorf("it is of block %x", r.ID)
	}
	return r, err
}

// setAside keeps a damaged file from being read again and from being lost.
func (s *Store) setAside(path string, cause error) {
	aside := path + damagedSuffix
	if err := os.Rename(path, aside); err != nil {
		s.log.Error("an open block's file cannot be read, nor set aside; its block may be missing in the books", "file", path, "err", cause, "rename", err)
		return
	}
	s.log.Error("an open block's file is damaged; its block may be missing in the books", "file", aside, "err", cause)
}

func filename(id [32]byte) string { return hex.EncodeToString(id[:]) + suffix }

func (s *Store) path(id [32]byte) string { return filepath.Join(s.cfg.Dir, filename(id)) }

// Len is the number of open blocks on disk, or on their way there.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Keep writes a block down; it is durable when Keep returns nil. After Patience,
// or when ctx ends, it returns although the disk has not answered, and the write
// goes on by itself. Each error is logged and counted here. A block that is kept
// already is not written again.
func (s *Store) Keep(ctx context.Context, r Record) error {
	err := s.keep(ctx, r)
	if err != nil {
		s.unwritten.Inc()
		s.log.Error("a found block is submitted without a record on disk (--data-dir); a crash before its round is closed would lose it from the books",
			"height", r.Height, "id", hex.EncodeToString(r.ID[:]), "dir", s.cfg.Dir, "err", err)
	}
	return err
}

func (s *Store) keep(ctx context.Context, r Record) error {
	data, err := encode(&r)
	if err != nil {
		return err
	}
	if isNew, err := s.enter(r.ID); err != nil || !isNew {
		return err
	}
	select {
	case s.writers <- struct{}{}:
	default:
		s.wrote(r.ID, ErrStalled)
		return ErrStalled
	}
	written := make(chan error, 1)
	go func() { // ends with the disk's answer; maxWriters bounds those that wait for it
		err := s.write(s.path(r.ID), data)
		<-s.writers
		s.wrote(r.ID, err)
		written <- err
	}()
	patience := time.NewTimer(s.cfg.Patience)
	defer patience.Stop()
	select {
	case err := <-written:
		return err
	case <-patience.C:
		return fmt.Errorf("%w within %s", ErrStalled, s.cfg.Patience)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrStalled, ctx.Err())
	}
}

// enter takes a place for a block; isNew is false if it has one.
func (s *Store) enter(id [32]byte) (isNew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false, ErrClosed
	case s.open[id] != nil:
		return false, nil
	case len(s.open) >= s.cfg.Limit:
		return false, fmt.Errorf("%w: %d", ErrFull, s.cfg.Limit)
	}
	s.open[id] = &file{writing: true}
	return true, nil
}

// wrote notes that a write has ended.
func (s *Store) wrote(id [32]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.open[id]
	if err != nil {
		delete(s.open, id)
		return
	}
	f.writing = false
	if f.dropped {
		s.doom(id)
	}
}

// Drop forgets a block that is settled. It never waits for the disk.
func (s *Store) Drop(id [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.open[id]
	if f == nil || f.dropped {
		return
	}
	f.dropped = true
	if !f.writing {
		s.doom(id)
	}
}

// doom has a file removed. mu is held.
func (s *Store) doom(id [32]byte) {
	s.doomed = append(s.doomed, id)
	s.wake()
}

func (s *Store) wake() {
	select {
	case s.removal <- struct{}{}:
	default:
	}
}

// remover removes files until Close and there is nothing left to remove.
func (s *Store) remover() {
	defer close(s.done)
	for {
		s.mu.Lock()
		doomed, closed := s.doomed, s.closed
		s.doomed = nil
		s.mu.Unlock()
		for _, id := range doomed {
			if err := os.Remove(s.path(id)); err != nil {
				// The next start finds the block in the books.
				s.log.Warn("the file of a settled block could not be removed", "file", s.path(id), "err", err)
			}
			s.mu.Lock()
			delete(s.open, id)
			s.mu.Unlock()
		}
		switch {
		case len(doomed) > 0:
		case closed:
			return
		default:
			<-s.removal
		}
	}
}

// Close takes no more blocks and waits until settled ones are removed, at most
// until ctx ends: a file that stays is looked at by the next start.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.wake()
	s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("files of settled blocks in %s: %w", s.cfg.Dir, ctx.Err())
	}
}

// writeDurably writes a file that is there whole, whenever the power goes.
func writeDurably(path string, data []byte) error {
	temp := path + tempSuffix
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // its error would say no more than the first
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
