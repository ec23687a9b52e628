package server

import (
	"context"
	"sync"
	"time"

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
	held    []*verify.Share
	hold    bool
	seen    int
}

func (v *verifier) Submit(s *verify.Share) {
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

func judge(s *verify.Share, verdict validator.Verdict) {
	s.Verdict = verdict
	if verdict == validator.Accepted {
		s.Hash = s.Claim
		s.Block = s.Template.Difficulty.Meets(&s.Claim)
	}
	s.Sink.Judged(s)
}

func (v *verifier) set(verdict validator.Verdict, hold bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.verdict, v.hold = verdict, hold
}

// take hands out what is held and holds no more.
func (v *verifier) take() []*verify.Share {
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
		all = append(all, s.Candidate)
	}
	return all
}

func (v *verifier) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen
}

// ledger counts what it is told.
type ledger struct {
	mu       sync.Mutex
	credited map[string]uint64 // by wallet.worker
	rejected map[validator.Verdict]int
	found    int
	full     bool // no credit is taken
}

func (l *ledger) Takes(string, string, time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.full
}

func (l *ledger) Credit(wallet, worker string, difficulty uint64, _ time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return false
	}
	l.credited[wallet+"."+worker] += difficulty
	return true
}

func (l *ledger) Reject(_, _ string, v validator.Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rejected[v]++
}

func (l *ledger) Found(pool.Block) (pool.Settler, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found++
	return settler{}, true
}

func (l *ledger) Reopen(pool.Block) pool.Settler { return settler{} }

type settler struct{}

func (settler) Accepted(string) {}
func (settler) Rejected(string) {}
func (settler) LeaveOpen()      {}

type blocks struct{}

func (blocks) Submit(context.Context, [32]byte, []byte) (string, error) { return "test", nil }
func (blocks) Locate(context.Context, [32]byte) pool.Location           { return pool.Location{Daemon: "test"} }

// seeds has every seed at once, and knows the seed block of the test's chain.
type seeds struct{}

func (seeds) Announce(string, [32]byte, [32]byte)               {}
func (seeds) Wait(context.Context, [32]byte) error              { return nil }
func (seeds) BlockID(context.Context, uint64) ([32]byte, error) { return testSeed(), nil }

func testSeed() [32]byte { return [32]byte{0x5e, 0xed} }
