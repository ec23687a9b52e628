package journal

import (
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// segment is one readable file of the journal.
type segment struct {
	header
	path  string
	bytes int64 // of the file; guarded by shelf.mu
}

func (s *segment) name() string { return filepath.Base(s.path) }

// stray is a file that has a segment's name and is none that can be read.
type stray struct {
	path   string
	at     Position // of its records, as far as that is known
	bytes  int64
	reason string
}

// shelf is what can be read: the segments in order, and up to where. It knows who
// reads, and what may go.
type shelf struct {
	size atomic.Int64 // bytes of all files

	mu      sync.Mutex
	segs    []*segment // guarded by mu; by base
	strays  []stray    // guarded by mu
	end     Position   // guarded by mu; durable end
	sums    Sums       // guarded by mu; up to end
	readers []*Reader  // guarded by mu
}

// view is a segment as a reader sees it now.
type view struct {
	limit   Position // of its records
	next    *segment // nil = it is the last
	sums    Sums     // up to limit, of all that was ever written
	certain bool     // whether sums can be relied on
	closed  bool     // no record will be added
}

// add puts a segment behind the others. One without records, which has the same
// base and therefore the same name, gives way.
func (s *shelf) add(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.segs); n > 0 && s.segs[n-1].base == seg.base {
		s.size.Add(-s.segs[n-1].bytes)
		s.segs = s.segs[:n-1]
	}
	s.segs = append(s.segs, seg)
	s.size.Add(seg.bytes)
	s.end, s.sums = seg.base, seg.sums
	s.wake()
}

// last is the segment that is written; nil = there is none.
func (s *shelf) last() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segs) == 0 {
		return nil
	}
	return s.segs[len(s.segs)-1]
}

// advance moves the durable end, and tells readers.
func (s *shelf) advance(end Position, sums Sums) {
	s.mu.Lock()
	defer s.mu.Unlock()
	grown := int64(end - s.end)
	s.segs[len(s.segs)-1].bytes += grown
	s.size.Add(grown)
	s.end, s.sums = end, sums
	s.wake()
}

// wake tells readers. mu is held.
func (s *shelf) wake() {
	for _, r := range s.readers {
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
}

// look is the view of a segment; ok is false if it is not on the shelf any more.
func (s *shelf) look(seg *segment) (v view, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(seg)
	if i < 0 {
		return view{}, false
	}
	return s.view(i), true
}

func (s *shelf) index(seg *segment) int {
	// Readers follow the end.
	for i := len(s.segs) - 1; i >= 0; i-- {
		if s.segs[i] == seg {
			return i
		}
	}
	return -1
}

// view is segment i's. mu is held.
func (s *shelf) view(i int) view {
	if i == len(s.segs)-1 {
		return view{limit: s.end, sums: s.sums, certain: true}
	}
	next := s.segs[i+1]
	return view{limit: next.prev, next: next, sums: next.sums, certain: !next.uncertain, closed: true}
}

// find is the segment that has a position, and where to begin in it: the position,
// or the segment's base if the position is before all segments or in a hole. It is
// nil on an empty shelf.
func (s *shelf) find(at Position) (seg *segment, v view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.segs) - 1
	for i > 0 && at < s.segs[i].base && at < s.segs[i].prev {
		i--
	}
	if i < 0 {
		return nil, view{}
	}
	return s.segs[i], s.view(i)
}

// strayIn names an unreadable file whose records were between two positions.
func (s *shelf) strayIn(from, to Position) (stray, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.strays {
		if x.at >= from && x.at < to {
			return x, true
		}
	}
	return stray{}, false
}

func (s *shelf) bounds() (begin, end Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segs) > 0 {
		begin = s.segs[0].base
	}
	return begin, s.end
}

func (s *shelf) register(r *Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers = append(s.readers, r)
}

func (s *shelf) unregister(r *Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers = slices.DeleteFunc(s.readers, func(x *Reader) bool { return x == r })
}

// release notes that a reader needs nothing up to a position any more.
func (s *shelf) release(r *Reader, to Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.released = max(r.released, min(to, s.end))
}

// released is what no reader needs; 0 without readers. mu is held.
func (s *shelf) released() Position {
	if len(s.readers) == 0 {
		return 0
	}
	least := Position(math.MaxUint64)
	for _, r := range s.readers {
		least = min(least, r.released)
	}
	return least
}

// unreleased is the bytes of records that a reader still needs.
func (s *shelf) unreleased() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segs) == 0 {
		return 0
	}
	return uint64(s.end - min(s.end, max(s.released(), s.segs[0].base)))
}

// oldest is the first segment if it may go: every reader has released it, and it is
// older than keep, or need, and then early is set. age is counted from its last record.
func (s *shelf) oldest(now time.Time, keep time.Duration, need bool) (seg *segment, early, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segs) < 2 || len(s.readers) == 0 || s.released() < s.segs[1].prev {
		return nil, false, false
	}
	old := now.Sub(s.segs[1].time) >= keep
	return s.segs[0], !old, old || need
}

// drop takes the first segment off the shelf, and the strays before the next one.
func (s *shelf) drop(seg *segment) (strays []stray) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segs) < 2 || s.segs[0] != seg {
		return nil
	}
	s.segs = slices.Delete(s.segs, 0, 1)
	s.size.Add(-seg.bytes)
	s.strays = slices.DeleteFunc(s.strays, func(x stray) bool {
		if x.at >= s.segs[0].base {
			return false
		}
		strays = append(strays, x)
		s.size.Add(-x.bytes)
		return true
	})
	return strays
}
