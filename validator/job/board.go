package job

import (
	"sync"
	"sync/atomic"
	"time"
)

// Board holds a pool's current template and the few before it.
//
// It is the one place that knows whether a template is still good: it was
// published or confirmed within the maximum age, and no block on it was refused.
//
// Publish and Confirm belong to one goroutine; everything else may be called
// from any.
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
	MaxAge time.Duration // a template not confirmed for longer is no work any more
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
	t.confirmed.Store(b.clock.of(t.Created))
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

// Confirm makes the newest template as young as this moment: a daemon has just
// offered it again, or one that is no better on the same parent.
func (b *Board) Confirm() {
	if t := b.current.Load(); t != nil {
		t.confirmed.Store(b.clock.read())
	}
}

// Drop takes a template out of work because a block on it was refused: no job
// is cut from it any more, and shares that are on their way have the grace time
// left, as after a new block. It reports whether it is the template's first and
// the chain has not moved on since, as far as the board knows.
func (b *Board) Drop(t *Template) bool {
	now := b.clock.read()
	first := t.dropped.CompareAndSwap(0, now)
	t.replaced.CompareAndSwap(0, now)
	latest := b.current.Load()
	return first && latest != nil && latest.SameParent(t)
}

// Current is the template to cut jobs from, or nil when there is none, or the
// newest was dropped or is too old to be worth anybody's work.
func (b *Board) Current() *Template {
	t := b.current.Load()
	if t == nil || t.dropped.Load() != 0 || b.tooOld(t) {
		return nil
	}
	return t
}

// Age is the time since the newest template was last known to be good; false
// before the first.
func (b *Board) Age() (time.Duration, bool) {
	t := b.current.Load()
	if t == nil {
		return 0, false
	}
	return b.age(t), true
}

func (b *Board) age(t *Template) time.Duration {
	return time.Duration(b.clock.read() - t.confirmed.Load())
}

// tooOld holds for older templates too: what a daemon has said of the newest
// says nothing about one that it replaced.
func (b *Board) tooOld(t *Template) bool { return b.maxAge > 0 && b.age(t) > b.maxAge }

// Live reports whether shares on t are still credited: it is one of the
// templates kept, its parent is the tip or was until the grace time ago, no
// block on it was refused longer ago than that, and it has not outlived the
// maximum age.
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
