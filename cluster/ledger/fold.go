package ledger

const (
	// foldPart: folding begins when less than 1/foldPart of MaxPending is free, so
	// that a pass of small steps has made room before the first credit would be
	// refused for want of it.
	foldPart = 4
	// foldSteps bounds the cells one call looks at: the event loops wait for the
	// lock it holds. 64 are about 10 µs, and enough for a pass over a full queue
	// to end while a sixteenth of its last quarter fills.
	foldSteps = 64
)

// folding is where a pass over the unsent cells stands.
type folding struct {
	minute  int64  // cells of other minutes are folded
	segment uint64 // id of the segment looked at
	at      int    // its next cell
	running bool
	visited uint64 // cells looked at since the start
}

// room tells whether one more entry may wait. When Redis has been away for long
// it makes place: minutes that have passed are added up per worker. Their
// hash-rate slices are lost, no credit is.
func (l *Ledger) room(minute int64) bool {
	if l.entries >= l.cfg.MaxPending-l.cfg.MaxPending/foldPart {
		l.fold(minute)
	}
	return l.entries < l.cfg.MaxPending
}

// fold goes on with the pass by at most foldSteps cells or segments; there is
// one pass for each minute. Shares of the minute before come late, by the time
// they waited for their verdicts, and begin none. Of earlier minutes than that
// they come only when the node's clock was set back, and then a pass is as due as
// ever: else there would be none until the clock is where it was.
func (l *Ledger) fold(minute int64) {
	p := &l.folding
	for range foldSteps {
		if !p.running {
			if minute == p.minute || minute == p.minute-1 {
				return
			}
			p.minute, p.segment, p.at, p.running = minute, l.queue[0].id, 0, true
		}
		if head := l.queue[0].id; p.segment < head {
			p.segment, p.at = head, 0 // the one looked at is in Redis by now
		}
		s := l.queue[p.segment-l.queue[0].id] // ids of the queue have no gaps
		switch {
		case !s.frozen && p.at < s.cells.n:
			p.visited++
			if s.fold(p.at, p.minute) {
				l.entries--
			} else {
				p.at++
			}
		case s == l.open():
			p.running = false
		default:
			p.segment, p.at = p.segment+1, 0
		}
	}
}

// fold takes the minute from cell i if it is not the given one. It reports
// whether that was added to a cell there is already; the last cell has then
// taken the place i.
func (s *segment) fold(i int, minute int64) bool {
	c := s.cells.at(i)
	if c.key.minute == 0 || c.key.minute == minute {
		return false
	}
	delete(s.index, c.key)
	c.key.minute = 0
	j, ok := s.index[c.key]
	if !ok {
		s.index[c.key] = i
		return false
	}
	t := s.cells.at(j)
	t.hashes += c.hashes
	t.shares += c.shares
	t.last = max(t.last, c.last)
	if last := s.cells.n - 1; i != last {
		*c = *s.cells.at(last)
		s.index[c.key] = i
	}
	s.cells.pop()
	return true
}
