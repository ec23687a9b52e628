package ledger

import (
	"strings"
	"time"
)

// cellKey is what credits are summed by. minute is Unix time / 60 of the share;
// 0 = no slice (folded).
type cellKey struct {
	wallet, worker string
	minute         int64
}

// cell is one sum. hashes never exceeds 2^63-1: the segment's total does not.
type cell struct {
	key            cellKey
	hashes, shares uint64
	last           int64 // Unix ms of the newest share
}

// rejectKey counts refused shares; an empty wallet = only the pool's counter.
type rejectKey struct{ wallet, worker, reason string }

// rejectCount is the count of one rejectKey.
type rejectCount struct {
	key   rejectKey
	count uint64
}

// totals of a set of cells.
type totals struct {
	hashes, shares uint64
	entries        int
}

// segment is a stretch of credits that ends with a find, or is open. Guarded by
// Ledger.mu until frozen; then the flusher's.
type segment struct {
	id     uint64
	frozen bool // its cells are being sent
	index  map[cellKey]int
	cells  list[cell]
	peak   int // the most cells there were: what index has grown to
	rej    map[rejectKey]int
	refs   list[rejectCount]
	reason map[string]struct{}
	sum    totals
	first  int64     // Unix ms of the oldest share, 0 = none
	born   time.Time // when its first entry came; zero = empty
	find   *Find     // ends the segment; nil = open or cut without a find
}

func newSegment(id uint64) *segment {
	return &segment{id: id, index: map[cellKey]int{}, rej: map[rejectKey]int{}, reason: map[string]struct{}{}}
}

func (s *segment) empty() bool { return s.cells.n == 0 && s.refs.n == 0 }

func (s *segment) add(k cellKey) int {
	i := s.cells.push(cell{key: k})
	s.index[k] = i
	s.peak = max(s.peak, s.cells.n)
	return i
}

func (s *segment) credit(i int, difficulty uint64, ms int64) {
	c := s.cells.at(i)
	c.hashes += difficulty
	c.shares++
	c.last = max(c.last, ms)
	s.sum.hashes += difficulty
	s.sum.shares++
	if s.first == 0 || ms < s.first {
		s.first = ms
	}
}

// reject counts one refused share and returns the number of entries added and
// whether it was counted under its name. Without room, or for a name that cannot
// be a wallet, only the reason counts.
func (s *segment) reject(k rejectKey, room bool) (added int, named bool) {
	if _, ok := s.reason[k.reason]; !ok {
		if len(s.reason) >= maxReasons {
			k.reason = "other"
		}
		s.reason[k.reason] = struct{}{}
	}
	if !validWallet(k.wallet) {
		k.wallet, k.worker = "", ""
	}
	i, ok := s.rej[k]
	if !ok && !room && k.wallet != "" {
		k.wallet, k.worker = "", ""
		i, ok = s.rej[k]
	}
	if !ok {
		// The names may be parts of a line of 4 KiB, which they would keep alive.
		k.wallet, k.worker = strings.Clone(k.wallet), strings.Clone(k.worker)
		i = s.refs.push(rejectCount{key: k})
		s.rej[k] = i
		added = 1
	}
	s.refs.at(i).count++
	return added, k.wallet != ""
}

// reset empties a sent segment for use as an open one.
func (s *segment) reset() {
	clear(s.index)
	clear(s.rej)
	clear(s.reason)
	s.cells.reset()
	s.refs.reset()
	s.peak = 0
	s.sum, s.first, s.find, s.frozen, s.born = totals{}, 0, nil, false, time.Time{}
}
