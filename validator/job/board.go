package job

import (
	"sync"
	"sync/atomic"
	"time"
)

// Board holds a pool's current template and the few before it.
//
// Publish belongs to one goroutine; everything else may be called from any.
type Board struct {
	keep   int
	grace  time.Duration
	maxAge time.Duration
	clock  clock

	current atomic.Pointer[Template]

	mu     sync.Mutex
	recent []*Template // newest first, at most keep; guarded by mu
}

// BoardConfig limits what a board remembers.
type BoardConfig struct {
	Keep   int           // templates that stay valid, the current one included
	Grace  time.Duration // how long work on a replaced parent is still credited
	MaxAge time.Duration // a template older than this is no work any more
	Now    func() time.Time
}

// NewBoard makes an empty board.
func NewBoard(cfg BoardConfig) *Board {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Board{keep: max(cfg.Keep, 1), grace: cfg.Grace, maxAge: cfg.MaxAge, clock: newClock(cfg.Now)}
}

// Publish makes t the current template. Templates on another parent begin
// their grace time; those past the limit are forgotten.
func (b *Board) Publish(t *Template) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.read()
	for _, old := range b.recent {
		if !old.SameParent(t) {
			old.replaced.CompareAndSwap(0, now)
		}
	}
	// A reorganisation may bring an earlier parent back: its templates are
	// still stale for good, because the daemon has made a new one on it.
	b.recent = append([]*Template{t}, b.recent...)
	for len(b.recent) > b.keep {
		last := len(b.recent) - 1
		b.recent[last].retired.Store(true)
		b.recent = b.recent[:last]
	}
	b.current.Store(t)
}

// Current is the template to cut jobs from, or nil when there is none or the
// newest is too old to be worth anybody's work.
func (b *Board) Current() *Template {
	t := b.current.Load()
	if t == nil || b.tooOld(t) {
		return nil
	}
	return t
}

// Latest is the newest template however old, or nil.
func (b *Board) Latest() *Template { return b.current.Load() }

func (b *Board) tooOld(t *Template) bool {
	return b.maxAge > 0 && b.clock.now().Sub(t.Created) > b.maxAge
}

// Live reports whether shares on t are still credited: it is one of the
// templates kept, its parent is the tip or was until the grace time ago, and
// it has not outlived the maximum age.
func (b *Board) Live(t *Template) bool {
	if t.retired.Load() || b.tooOld(t) {
		return false
	}
	at := t.replaced.Load()
	return at == 0 || b.clock.read()-at <= int64(b.grace)
}

// Kept reports whether t is still one of the templates kept. A block found on
// it is worth submitting even when its shares are stale: the chain decides.
func (b *Board) Kept(t *Template) bool { return !t.retired.Load() }
