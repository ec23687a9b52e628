package server

import (
	"math"
	"math/bits"
	"time"
)

// tuner is a session's sample while it grows. Owned by the event loop.
type tuner struct {
	started int64 // clock of the sample's beginning, nanoseconds
	work    uint64
	shares  uint32
}

// accepted adds a share of the difficulty of the job it was for.
func (u *tuner) accepted(difficulty uint64) {
	sum, carry := bits.Add64(u.work, difficulty, 0)
	if carry != 0 {
		sum = math.MaxUint64
	}
	u.work = sum
	if u.shares < math.MaxUint32 {
		u.shares++
	}
}

// restart forgets the sample.
func (u *tuner) restart(now int64) { *u = tuner{started: now} }

// retarget looks at the sample; a change of difficulty begins a new one. An old
// sample that is within bounds loses its elder half instead.
func (u *tuner) retarget(v *Vardiff, current, low, high uint64, now int64) (uint64, bool) {
	elapsed := time.Duration(now - u.started)
	next, changed := v.next(current, low, high, sample{work: u.work, shares: u.shares, elapsed: elapsed})
	switch {
	case changed:
		u.restart(now)
	case elapsed > memory*max(v.Retarget, v.Target):
		u.work, u.shares, u.started = u.work/2, u.shares/2, now-int64(elapsed/2)
	}
	return next, changed
}
