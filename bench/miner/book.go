package miner

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/native/algo"
)

// maxTexts and maxTargets bound the tables of error texts and targets; what is
// beyond is counted under otherText and not by target.
const (
	maxTexts   = 64
	maxTargets = 4096
	otherText  = "(other)"
)

// Share is a share the pool has answered.
type Share struct {
	JobID     string
	Algo      algo.ID
	Height    uint64
	Seed      [32]byte
	Nonce     [4]byte
	Result    [32]byte
	TargetHex string // as the pool sent it
	Target    uint64 // as XMRig expands it
	Err       string // "" = accepted, else the pool's text
}

// Stats counts what happened to a miner.
// Submitted = Accepted + Rejected + Unanswered + those in flight.
type Stats struct {
	Connected  bool
	Connects   uint64 // logins that succeeded
	Failures   uint64 // connections that failed or were lost
	LastError  string // why the last of them did
	Jobs       uint64
	Height     uint64 // of the current job
	Target     uint64 // of the current job
	KeepAlives uint64
	Hashes     uint64
	HashErrors uint64
	Submitted  uint64
	Accepted   uint64
	Rejected   uint64
	Unanswered uint64 // connection lost or drain over; the pool may have credited them
	Unsent     uint64 // no connection, or too many in flight
	HeldBack   uint64 // more than Config.Accepted asks for
	ErrorTexts map[string]uint64
	AcceptedBy map[uint64]uint64 // accepted shares by their job's raw target
	Difficulty uint64            // sum over accepted shares of floor((2^64-1) / target)
}

// book keeps the counters.
type book struct {
	hashes atomic.Uint64 // on the threads' path, hence not under mu

	mu       sync.Mutex
	s        Stats   // guarded by mu
	shares   []Share // guarded by mu
	inFlight uint64  // guarded by mu
	limit    uint64  // immutable: Config.Accepted
	keep     int     // immutable: Config.KeepShares
	onFull   func()  // set before the threads start
}

func (b *book) init(cfg *Config) {
	b.limit, b.keep = uint64(cfg.Accepted), cfg.KeepShares
	b.s.ErrorTexts, b.s.AcceptedBy = map[string]uint64{}, map[uint64]uint64{}
}

func (b *book) stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.s
	s.Hashes = b.hashes.Load()
	s.ErrorTexts, s.AcceptedBy = maps.Clone(s.ErrorTexts), maps.Clone(s.AcceptedBy)
	return s
}

func (b *book) kept() []Share {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Share(nil), b.shares...)
}

func (b *book) connected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Connected = true
	b.s.Connects++
}

func (b *book) lost(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Connected = false
	b.s.Failures++
	b.s.LastError = err.Error()
}

func (b *book) job(job *xmrig.Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Jobs++
	b.s.Height, b.s.Target = job.Height, job.Target
}

func (b *book) keptAlive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.KeepAlives++
}

func (b *book) hashError(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.HashErrors++
	b.s.LastError = err.Error()
}

func (b *book) unsent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.Unsent++
}

// reserve allows a submit, unless those in flight may already fill the limit.
func (b *book) reserve() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit > 0 && b.s.Accepted+b.inFlight >= b.limit {
		b.s.HeldBack++
		return false
	}
	b.inFlight++
	b.s.Submitted++
	return true
}

// answered settles a share. An error that is no refusal is no answer.
func (b *book) answered(share Share, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight--
	var refusal *xmrig.Refusal
	switch {
	case err == nil:
		b.s.Accepted++
		b.s.Difficulty += (1<<64 - 1) / share.Target
		if _, known := b.s.AcceptedBy[share.Target]; known || len(b.s.AcceptedBy) < maxTargets {
			b.s.AcceptedBy[share.Target]++
		}
	case errors.As(err, &refusal):
		b.s.Rejected++
		share.Err = refusal.Message
		text := refusal.Message
		if _, known := b.s.ErrorTexts[text]; !known && len(b.s.ErrorTexts) >= maxTexts {
			text = otherText
		}
		b.s.ErrorTexts[text]++
	default:
		b.s.Unanswered++
		return
	}
	if len(b.shares) < b.keep {
		b.shares = append(b.shares, share)
	}
	if b.limit > 0 && b.s.Accepted >= b.limit {
		b.onFull()
	}
}
