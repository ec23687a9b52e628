package daemon

import (
	"sync"
	"time"
)

const (
	// A trouble that lasts is told again after a minute: an operator who looks at the log of the
	// last minutes then sees it. An hour keeps a daemon that is gone for good from filling the log.
	remindFirst = time.Minute
	remindMost  = time.Hour
)

// reminder decides when a trouble is told: at once, again at growing intervals while it lasts, and
// its end if it was told.
type reminder struct {
	mu   sync.Mutex
	next time.Time // guarded by mu; zero = no trouble
	wait time.Duration
}

// due tells whether to speak of a trouble that is there now.
func (r *reminder) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.next.IsZero():
		r.wait = remindFirst
	case now.Before(r.next):
		return false
	default:
		r.wait = min(2*r.wait, remindMost)
	}
	r.next = now.Add(r.wait)
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
