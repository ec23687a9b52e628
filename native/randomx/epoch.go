package randomx

import (
	"log/slog"
	"time"
)

// State is how far an epoch is.
type State uint8

// The states, in the order they are passed through.
const (
	Queued          State = iota // waits for the builder
	BuildingCache                // cannot verify yet
	Light                        // verifies on the cache
	BuildingDataset              // verifies on the cache, the dataset grows
	Full                         // verifies on the dataset
	Failed                       // the cache could not be built
)

// String is the word for logs and status pages.
func (s State) String() string {
	return [...]string{"queued", "building cache", "light", "building dataset", "full", "failed"}[min(s, Failed)]
}

// filled is cache memory with the number of its present content.
type filled struct {
	mem cacheMemory
	id  uint64
}

// dataset is dataset memory and how far it is filled. Guarded by Manager.mu.
type dataset struct {
	mem     datasetMemory
	id      uint64 // of the content; new with every fill
	next    uint64 // items below are filled
	users   int    // hashes running on it
	retired bool   // goes to the free list when users is 0
	seconds float64
}

// Epoch is one seed with its cache and perhaps its dataset. It stays usable
// while referenced, whatever is announced meanwhile.
type Epoch struct {
	m    *Manager
	seed Seed // immutable

	// Guarded by m.mu.
	refs     int
	wanted   bool // some owner announces it and it fits
	busy     bool // the builder works on it
	state    State
	err      error
	failedAt time.Time
	ready    chan struct{} // closed when light or failed or gone
	cache    filled        // mem nil until light
	full     *dataset      // complete; nil in light mode
	filling  *dataset      // being filled, by slices
	noFull   bool          // its dataset could not be had; not tried again
}

// held tells whether the epoch must stay although nobody wants it.
func (e *Epoch) held() bool { return e.refs > 0 || e.busy }

// Seed is the key of the epoch.
func (e *Epoch) Seed() [32]byte { return e.seed }

// Full tells whether a hash would use the dataset now.
func (e *Epoch) Full() bool {
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	return e.full != nil
}

// Release gives a reference back. The epoch must not be used after its last.
// A release too many is a bug of the caller; it is logged and has no effect.
func (e *Epoch) Release() {
	e.m.mu.Lock()
	defer e.m.unlock()
	if e.refs == 0 {
		e.m.note(slog.LevelError, "RandomX epoch released more often than acquired", "seed", hexSeed(e.seed))
		return
	}
	e.unref()
}

// unref drops one reference; the last one of an unwanted epoch frees it, and
// that may make room for a seed that was refused.
func (e *Epoch) unref() {
	e.refs--
	if e.refs == 0 && !e.wanted && !e.m.closed {
		e.m.plan()
		e.m.poke()
	}
}

// hold is what one Hash call uses: the cache, or the dataset when there is one.
type hold struct {
	cache filled
	data  *dataset
}

// pin takes a reference for the time of one hash. mu not held.
func (e *Epoch) pin() (hold, error) {
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return hold{}, ErrClosed
	case e.refs == 0:
		return hold{}, ErrReleased
	case e.cache.mem == nil:
		return hold{}, ErrNotReady
	}
	e.refs++
	m.hashing++
	if e.full != nil {
		e.full.users++
	}
	return hold{cache: e.cache, data: e.full}, nil
}

// unpin ends what pin began.
func (e *Epoch) unpin(h hold) {
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.data != nil {
		h.data.users--
		m.freeIfRetired(h.data)
	}
	m.hashing--
	if m.hashing == 0 {
		m.idle.Broadcast()
	}
	e.unref()
}
