package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/assay-pool/assay/internal/lockdir"
)

// madeFolders is how many folders Open may have to make: <data-dir>/journal/<pool>.
const madeFolders = 3

// Open opens a pool's journal for writing, or makes it. What an earlier process left
// half-written at the end is cut off; the journal goes on in a new segment. A disk
// that takes no segment is no error: Admit says so until it does. Errors: a folder
// that cannot be made, locked or read, one of another identity, metrics that are
// registered already.
func Open(cfg Config) (*Journal, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if err := makeFolders(&cfg); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	lock, err := lockdir.Take(cfg.Dir)
	if err != nil {
		return nil, err
	}
	j, err := openLocked(cfg)
	if err != nil {
		lock.Close()
		return nil, err
	}
	j.lock = lock
	j.start()
	return j, nil
}

// OpenDir opens a journal for reading, as it is now, also while a node writes it. It
// changes nothing. All methods that write give ErrReadOnly.
func OpenDir(dir string) (*Journal, error) {
	cfg := Config{Dir: dir}
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	found, err := recoverDir(&cfg)
	if err != nil {
		return nil, err
	}
	if len(found.segs) == 0 {
		return nil, fmt.Errorf("journal: there is no segment that can be read in %s", dir)
	}
	j, err := newJournal(cfg, found)
	if err == nil {
		j.readOnly = true
		j.review()
	}
	return j, err
}

func openLocked(cfg Config) (*Journal, error) {
	found, err := recoverDir(&cfg)
	if err != nil {
		return nil, err
	}
	if n := len(found.segs); n > 0 && found.segs[n-1].identity != cfg.Identity {
		return nil, identityError(cfg.Dir, cfg.Identity, found.segs[n-1].identity)
	}
	if len(found.segs) == 0 {
		rand.Read(found.id[:]) // never fails (crypto/rand)
	}
	found.report(&cfg)
	found.cut(&cfg)
	return newJournal(cfg, found)
}

func newJournal(cfg Config, found *recovered) (*Journal, error) {
	j := &Journal{
		cfg: cfg, fs: cfg.FS, log: cfg.Log, id: found.id,
		shelf: &shelf{segs: found.segs, strays: found.strays, end: found.end, sums: found.sums},
		kick:  make(chan struct{}, 1), urgent: make(chan struct{}, 1), keeperKick: make(chan struct{}, 1),
		closing: make(chan struct{}), done: make(chan struct{}),
		enc: newEncoder(), cur: new(batch), spare: new(batch), held: make(map[[32]byte]int),
		end: found.end, sums: found.sums, prev: found.prev, unsure: found.uncertain,
	}
	for _, s := range found.segs {
		j.shelf.size.Add(s.bytes)
	}
	for _, x := range found.strays {
		j.shelf.size.Add(x.bytes)
	}
	for _, f := range found.open {
		j.leftover = append(j.leftover, *f)
		j.open = append(j.open, f)
		j.hold(f)
	}
	j.full = j.shelf.size.Load() >= cfg.MaxBytes
	var err error
	j.metrics, err = newMetrics(cfg.Registerer, cfg.Pool, j.Status)
	if err != nil {
		return nil, err
	}
	j.metrics.damaged.Add(float64(found.reports))
	return j, nil
}

// start makes the first segment and the goroutines.
func (j *Journal) start() {
	j.watchdog = time.AfterFunc(time.Hour, j.stalled)
	j.watchdog.Stop()
	j.mu.Lock()
	// Until there is a segment it is a failing disk like any other.
	j.failing, j.trouble = errStarting, &trouble{since: time.Now()}
	j.mu.Unlock()
	j.tryAgain(0)
	j.mu.Lock()
	cause := j.failing
	if cause == nil {
		j.trouble = nil
	}
	j.mu.Unlock()
	if cause != nil {
		j.metrics.failures.Inc()
		j.log.Error("no share is taken: the journal cannot be written", "err", j.Admit())
	}
	j.log.Info("journal", "dir", j.cfg.Dir, "id", j.ID(), "begin", j.Begin(), "end", j.End(),
		"bytes", j.shelf.size.Load(), "open_blocks", len(j.leftover), "sync", j.cfg.Sync)
	var ends sync.WaitGroup
	ends.Go(j.run)
	ends.Go(j.keep)
	go func() { // ends with them
		ends.Wait()
		j.watchdog.Stop()
		j.metrics.unregister()
		j.lock.Close()
		close(j.done)
	}()
}

var errStarting = errors.New("it has no segment yet")

// makeFolders makes the journal's folder; a file is only as durable as the names of
// the folders it lies in.
func makeFolders(cfg *Config) error {
	if err := cfg.FS.MkdirAll(cfg.Dir); err != nil {
		return err
	}
	for dir, up := cfg.Dir, 0; up < madeFolders; dir, up = filepath.Dir(dir), up+1 {
		if err := cfg.FS.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}
