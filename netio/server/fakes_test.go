package server

import (
	"context"
	"errors"
	"sync"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// verifier judges by what a test says instead of hashing. Shares go to judge on
// the submitting thread; while held they wait for release, which judges them on
// a thread of its own.
type verifier struct {
	mu      sync.Mutex
	verdict validator.Verdict
	held    []*verify.Task
	hold    bool
	seen    int
}

func (v *verifier) Submit(s *verify.Task) {
	v.mu.Lock()
	v.seen++
	if v.hold {
		v.held = append(v.held, s)
		v.mu.Unlock()
		return
	}
	verdict := v.verdict
	v.mu.Unlock()
	judge(s, verdict)
}

func judge(s *verify.Task, verdict validator.Verdict) {
	s.Verdict = verdict
	if verdict == validator.Accepted {
		s.Hash = s.Claim
		s.Met = s.Goals.Meets(&s.Hash)
	}
	s.Sink.Judged(s)
}

func (v *verifier) set(verdict validator.Verdict, hold bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.verdict, v.hold = verdict, hold
}

// take hands out what is held and holds no more.
func (v *verifier) take() []*verify.Task {
	v.mu.Lock()
	defer v.mu.Unlock()
	held := v.held
	v.held, v.hold = nil, false
	return held
}

// release judges what is held, on another thread, and returns how many.
func (v *verifier) release(verdict validator.Verdict) int {
	held := v.take()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, s := range held {
			judge(s, verdict)
		}
	}()
	<-done
	return len(held)
}

// priorities tells of each share held whether it came as a likely block.
func (v *verifier) priorities() []bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []bool
	for _, s := range v.held {
		all = append(all, s.Class == verify.ClassCandidate || s.Class == verify.ClassUnprovenCandidate)
	}
	return all
}

func (v *verifier) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen
}

// books count what they are told. While held, credits wait for the test to commit
// them.
type books struct {
	mu       sync.Mutex
	credited map[string]uint64 // by wallet.worker
	rejected map[validator.Verdict]int
	found    int
	settled  int
	full     bool // no credit is taken
	hold     bool
	held     []*pool.Share
}

var errFull = errors.New("the disk is full")

func newBooks() *books {
	return &books{credited: map[string]uint64{}, rejected: map[validator.Verdict]int{}}
}

func (b *books) Admit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.full
}

func (b *books) Credit(s *pool.Share) {
	b.mu.Lock()
	if b.hold {
		b.held = append(b.held, s)
		b.mu.Unlock()
		return
	}
	full := b.full
	if !full {
		b.credited[s.Wallet+"."+s.Worker] += s.Difficulty
	}
	b.mu.Unlock()
	if full {
		s.Committed(errFull)
		return
	}
	s.Committed(nil)
}

func (b *books) Reject(_, _ string, v validator.Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rejected[v]++
}

func (b *books) Found(pool.Block, []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found++
}

func (b *books) Settle(pool.Block, pool.Fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled++
}

func (b *books) blocks() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.found
}

func (b *books) set(full, hold bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full, b.hold = full, hold
}

// waiting is how many credits are held.
func (b *books) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

// take hands out the credits that are held; more may come.
func (b *books) take() []*pool.Share {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.held
	b.held = nil
	return held
}

type blocks struct{}

func (blocks) Submit(context.Context, [32]byte, []byte) (string, error) { return "test", nil }
func (blocks) Locate(context.Context, [32]byte) pool.Location           { return pool.Location{Daemon: "test"} }

// seeds has every seed at once, and knows the seed block of the test's chain.
type seeds struct{}

func (seeds) Announce(string, [32]byte, [32]byte)               {}
func (seeds) Wait(context.Context, [32]byte) error              { return nil }
func (seeds) BlockID(context.Context, uint64) ([32]byte, error) { return testSeed(), nil }

func testSeed() [32]byte { return [32]byte{0x5e, 0xed} }
