package daemon

import (
	"sync"
	"time"
)

const (
	// remindFirst is when a trouble that lasts is told again: an operator who looks at the log of the
	// last minutes then sees it.
	remindFirst = time.Minute
	// remindMost keeps a daemon that is gone for good from filling the log.
	remindMost = time.Hour
	// remindGap is the least time between two troubles that are told: one that comes and goes with
	// every poll would fill the log as well.
	remindGap = 10 * time.Second
)

// reminder decides when a trouble is told: at once, again at growing intervals while it lasts, and
// its end if it was told.
type reminder struct {
	mu   sync.Mutex
	next time.Time     // guarded by mu; zero = no trouble, or one that was not told
	told time.Time     // guarded by mu; the last one
	wait time.Duration // guarded by mu
}

// due tells whether to speak of a trouble that is there now.
func (r *reminder) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.next.IsZero():
		if now.Sub(r.told) < remindGap {
			return false
		}
		r.wait = remindFirst
	case now.Before(r.next):
		return false
	default:
		r.wait = min(2*r.wait, remindMost)
	}
	r.next, r.told = now.Add(r.wait), now
	return true
}

// over ends the trouble, and tells whether there was one.
func (r *reminder) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := !r.next.IsZero()
	r.next = time.Time{}
	return was
}
