package journal

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Journal is one pool's journal. Safe for concurrent use.
type Journal struct {
	cfg      Config
	fs       *FS
	log      *slog.Logger
	metrics  *metrics
	shelf    *shelf
	id       [16]byte
	readOnly bool
	lock     *os.File
	leftover []Found // immutable

	// refusal is why no credit is taken now; nil = it would be. Written under mu.
	refusal atomic.Pointer[refusal]

	kick       chan struct{} // capacity 1: there is something for the committer
	urgent     chan struct{} // capacity 1: an event waits, which is not to be paced
	keeperKick chan struct{} // capacity 1: there may be something to delete
	closing    chan struct{} // closed by Close
	done       chan struct{} // closed when committer and keeper have ended
	watchdog   *time.Timer   // runs out when a call to the disk takes too long

	mu       sync.Mutex
	enc      encoder          // guarded by mu
	cur      *batch           // guarded by mu; takes what is appended
	spare    *batch           // guarded by mu; nil while its records are being written
	inflight *batch           // guarded by mu; being written; nil = none
	waiting  int              // guarded by mu; bytes of cur and inflight
	open     []*Found         // guarded by mu; durable and not settled, oldest first
	held     map[[32]byte]int // guarded by mu; bytes of the blocks in open or on their way there
	heldSum  int              // guarded by mu; all of them
	kept     []*event         // guarded by mu; wait for the next good segment
	failing  error            // guarded by mu; nil = the segment is good
	late     bool             // guarded by mu; the call under way was given up
	called   time.Time        // guarded by mu; when the call under way began; zero = none is
	trouble  *trouble         // guarded by mu; from the first failure until calm
	full     bool             // guarded by mu; MaxBytes is reached
	closed   bool             // guarded by mu
	skip     Position         // guarded by mu; the next segment's least base
	skips    []chan<- error   // guarded by mu; wait for it
	end      Position         // guarded by mu; durable end
	sums     Sums             // guarded by mu; up to end
	prev     Position         // guarded by mu; end for the next header; differs from end behind an unreadable segment
	unsure   bool             // guarded by mu; for the next header's uncertain

	seg     *segment  // owned by the committer; that is written
	file    File      // owned by the committer; seg's; nil while failing
	lastTry time.Time // owned by the committer; of a new segment while failing
	looked  time.Time // owned by the committer; whether the segment's file is in the folder
}

// refusal is boxed for an atomic pointer.
type refusal struct {
	err   error
	since time.Time
}

// ID is the journal's name, 32 hexadecimal digits, made with its first segment. A
// position means nothing without it.
func (j *Journal) ID() string { return hex.EncodeToString(j.id[:]) }

// Begin is the oldest position that can be read.
func (j *Journal) Begin() Position {
	begin, _ := j.shelf.bounds()
	return begin
}

// End is the durable end: what is before it survives the machine. With SyncOff it
// is what was written.
func (j *Journal) End() Position {
	_, end := j.shelf.bounds()
	return end
}

// Durable is the durable end and the sums up to it.
func (j *Journal) Durable() (Position, Sums) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end, j.sums
}

// Unsettled are the blocks that earlier starts have left without a Settled, as Open
// found them, oldest first.
func (j *Journal) Unsettled() []Found { return append([]Found(nil), j.leftover...) }

// Admit tells whether a credit would be taken now, or why not and what the operator
// can do. It costs nothing.
func (j *Journal) Admit() error {
	if r := j.refusal.Load(); r != nil {
		return r.err
	}
	return nil
}

// Takes is Admit for who is about to refuse a share because of it, and counts that.
func (j *Journal) Takes() bool {
	if j.refusal.Load() == nil {
		return true
	}
	j.metrics.refused.Inc()
	return false
}

// Status is the state as of now.
func (j *Journal) Status() Status {
	s := Status{Bytes: j.shelf.size.Load(), MaxBytes: j.cfg.MaxBytes, Unreleased: j.shelf.unreleased()}
	s.Begin, s.End = j.shelf.bounds()
	j.mu.Lock()
	defer j.mu.Unlock()
	s.Open = len(j.held)
	if r := j.refusal.Load(); r != nil {
		s.Err, s.Since = r.err, r.since
	}
	return s
}

// review renews refusal. mu is held.
func (j *Journal) review() {
	var err error
	was := j.refusal.Load()
	switch {
	case j.readOnly:
		err = ErrReadOnly
	case j.closed:
		err = ErrClosed
	case j.failing != nil:
		err = &diskError{dir: j.cfg.Dir, cause: j.failing}
	case j.full:
		err = &fullError{dir: j.cfg.Dir, bytes: j.shelf.size.Load(), maxBytes: j.cfg.MaxBytes, unreleased: j.shelf.unreleased()}
	case j.waiting >= j.cfg.MaxWaiting:
		err = ErrBusy
	default:
		if was != nil {
			j.refusal.Store(nil)
		}
		return
	}
	since := time.Now()
	if was != nil {
		since = was.since
	}
	j.refusal.Store(&refusal{err: err, since: since})
}

// Skip makes the journal go on at a position at least this high: another has seen
// records that this journal has lost, and knows them by positions up to there. The
// hole is written into the header of a new segment. An error of the disk does not
// undo it: it is done with the next segment that can be written.
func (j *Journal) Skip(to Position) error {
	answer := make(chan error, 1)
	j.mu.Lock()
	switch {
	case j.readOnly:
		j.mu.Unlock()
		return ErrReadOnly
	case j.closed:
		j.mu.Unlock()
		return ErrClosed
	case j.end >= to:
		j.mu.Unlock()
		return nil
	}
	j.skip = max(j.skip, to)
	err := j.failing
	if err == nil {
		j.skips = append(j.skips, answer)
	}
	j.mu.Unlock()
	if err != nil {
		return &diskError{dir: j.cfg.Dir, cause: err}
	}
	j.wake()
	return <-answer
}

// Close writes what waits and takes no more. It returns ctx's error if the disk does
// not answer in time; what the disk never took is told by Done and by Close.
func (j *Journal) Close(ctx context.Context) error {
	if j.readOnly {
		return nil
	}
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		j.review()
		close(j.closing)
	}
	j.mu.Unlock()
	select {
	case <-j.done:
	case <-ctx.Done():
		return fmt.Errorf("journal in %s (--data-dir): %w", j.cfg.Dir, ctx.Err())
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failing != nil {
		return &diskError{dir: j.cfg.Dir, cause: j.failing}
	}
	return nil
}

// wake tells the committer that there is something to do.
func (j *Journal) wake() {
	select {
	case j.kick <- struct{}{}:
	default:
	}
}

func (j *Journal) wakeKeeper() {
	select {
	case j.keeperKick <- struct{}{}:
	default:
	}
}
