package ledger

import "time"

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
	cells  []cell
	rej    map[rejectKey]uint64
	reason map[string]struct{}
	sum    totals
	first  int64     // Unix ms of the oldest share, 0 = none
	born   time.Time // when its first entry came; zero = empty
	find   *Pending  // ends the segment; nil = open or cut without a find
}

func newSegment(id uint64) *segment {
	return &segment{id: id, index: map[cellKey]int{}, rej: map[rejectKey]uint64{}, reason: map[string]struct{}{}}
}

func (s *segment) empty() bool { return len(s.cells) == 0 && len(s.rej) == 0 }

func (s *segment) add(k cellKey) int {
	i := len(s.cells)
	s.index[k] = i
	s.cells = append(s.cells, cell{key: k})
	return i
}

func (s *segment) credit(i int, difficulty uint64, ms int64) {
	c := &s.cells[i]
	c.hashes += difficulty
	c.shares++
	c.last = max(c.last, ms)
	s.sum.hashes += difficulty
	s.sum.shares++
	if s.first == 0 || ms < s.first {
		s.first = ms
	}
}

// reject counts one refused share and returns the number of entries added.
// Without room, or for a name that cannot be a wallet, only the reason counts.
func (s *segment) reject(k rejectKey, room bool) int {
	if _, ok := s.reason[k.reason]; !ok {
		if len(s.reason) >= maxReasons {
			k.reason = "other"
		}
		s.reason[k.reason] = struct{}{}
	}
	if !validWallet(k.wallet) {
		k.wallet, k.worker = "", ""
	}
	n, ok := s.rej[k]
	if !ok && !room && k.wallet != "" {
		k.wallet, k.worker = "", ""
		n, ok = s.rej[k]
	}
	s.rej[k] = n + 1
	if ok {
		return 0
	}
	return 1
}

// fold adds the cells of minutes before the given one up per worker and returns
// how many cells that saved.
func (s *segment) fold(minute int64) int {
	old := s.cells
	s.cells = make([]cell, 0, len(old))
	clear(s.index)
	for _, c := range old {
		if c.key.minute < minute {
			c.key.minute = 0
		}
		i, ok := s.index[c.key]
		if !ok {
			i = s.add(c.key)
		}
		t := &s.cells[i]
		t.hashes += c.hashes
		t.shares += c.shares
		t.last = max(t.last, c.last)
	}
	return len(old) - len(s.cells)
}

// reset empties a sent segment for use as an open one.
func (s *segment) reset() {
	clear(s.index)
	clear(s.cells) // the strings must not be kept alive
	clear(s.rej)
	clear(s.reason)
	s.cells = s.cells[:0]
	s.sum, s.first, s.find, s.frozen, s.born = totals{}, 0, nil, false, time.Time{}
}
