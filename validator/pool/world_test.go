package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// world is everything around a pool, as one journal of what happened in order.
type world struct {
	mu     sync.Mutex
	events []string
	full   error             // no credit is taken, for this reason; nil = all are
	hold   chan *pool.Share  // credits wait for the test to commit them; nil = they do not
	open   map[[32]byte]bool // in the books as found, not as settled; guarded by mu

	seeds     map[[32]byte]bool // ready
	announced [][2][32]byte
	chain     map[uint64][32]byte
	submit    func(ctx context.Context) (string, error)
	settled   chan string
	verdict   validator.Verdict // what the verifier will say
	block     bool
	credited  time.Time         // of the last credit
	foundAt   time.Time         // of the last block
	answered  validator.Verdict // of the last share
	hashed    atomic.Int32
}

var errFull = errors.New("the disk is full")

func newWorld() *world {
	return &world{
		open: make(map[[32]byte]bool), seeds: make(map[[32]byte]bool), chain: make(map[uint64][32]byte),
		settled: make(chan string, 16), verdict: validator.Accepted,
		submit: func(context.Context) (string, error) { return "daemon-1", nil },
	}
}

func (w *world) note(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

func (w *world) Admit() bool { return w.full == nil }

func (w *world) Credit(s *pool.Share) {
	w.credited = s.Received
	w.note("credit")
	if w.hold != nil {
		w.hold <- s
		return
	}
	s.Committed(w.full)
}

func (w *world) Reject(_, _ string, v validator.Verdict) { w.note("reject " + v.String()) }

func (w *world) Found(b pool.Block, bytes []byte) {
	w.foundAt = b.Time
	w.note("found")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[b.ID] = true
	if len(bytes) == 0 {
		panic("a block without bytes")
	}
}

// Settle says on settled what became of a block that is open in the books.
func (w *world) Settle(b pool.Block, f pool.Fate) {
	w.mu.Lock()
	open := w.open[b.ID]
	delete(w.open, b.ID)
	w.mu.Unlock()
	switch {
	case !open:
		w.settled <- "settled, and was not open"
	case f.Accepted:
		w.settled <- "accepted by " + f.Daemon
	default:
		w.settled <- "rejected: " + f.Reason
	}
}

// unsettled is the number of blocks that a next start would be given.
func (w *world) unsettled() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open)
}

type blocks struct{ *world }

func (b blocks) Submit(ctx context.Context, _ [32]byte, _ []byte) (string, error) {
	b.note("submit")
	return b.submit(ctx)
}

func (blocks) Locate(context.Context, [32]byte) pool.Location { return pool.Location{} }

type verifier struct{ *world }

func (v verifier) Submit(s *verify.Task) {
	v.hashed.Add(1)
	if s.Verdict = v.verdict; v.verdict == validator.Accepted {
		s.Met = verify.MetJob
		if v.block {
			s.Met |= verify.MetChain(0)
		}
	}
	s.Sink.Judged(s)
}

// Reply lets go of the share, as its owner does that uses it again.
func (w *world) Reply(s *pool.Share) {
	w.note("reply")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered = s.Verdict
	s.Release()
}

// share is one of the origin, whose claim is a hash of zero.
func share(tmpl *job.Template, w *world, nonce uint32) *pool.Share {
	s := shareOf(tmpl, job.MakeExtra(job.Prefix{1, 2, 3, 4, 5, 6, 7, 8}, 9, 10), nonce)
	s.Received, s.Origin = time.Now(), w
	return s
}

func shareOf(tmpl *job.Template, extra job.Extra, nonce uint32) *pool.Share {
	s := new(pool.Share)
	s.For(&job.Job{Template: tmpl, Root: tmpl.Root(extra[:]), Difficulty: 1000, Target: blob.TargetFor(1000), Number: 10}, extra, nonce, new([32]byte))
	return s
}

func (w *world) Announce(_ string, current, next [32]byte) {
	w.announced = append(w.announced, [2][32]byte{current, next})
}

func (w *world) Wait(ctx context.Context, seed [32]byte) error {
	if w.seeds[seed] {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) BlockID(_ context.Context, height uint64) ([32]byte, error) {
	id, ok := w.chain[height]
	if !ok {
		return id, errors.New("no such block")
	}
	return id, nil
}

// settledAs asserts, once nothing more can happen, that the one block was settled
// once and in this way, or that it is still open in the books if it is "".
func settledAs(t *testing.T, w *world, want string) {
	t.Helper()
	if want != "" {
		if got := next(t, w.settled); got != want {
			t.Errorf("settled %q, want %q", got, want)
		}
	}
	if n := len(w.settled); n != 0 {
		t.Errorf("settled %d times more, first as %q", n, <-w.settled)
	}
	if open := w.unsettled(); open != 0 && want != "" || open != 1 && want == "" {
		t.Errorf("%d blocks are open in the books, settled %q", open, want)
	}
}
