package verify

import (
	"sync"
	"time"

	"github.com/assay-pool/assay/native/pow"
)

// class is an order of service; lower is served first.
type class uint8

const (
	classCandidate class = iota // claims to be a block
	classShare                  // must be verified before the reply
	classes
)

func (c class) String() string { return [classes]string{"candidate", "share"}[c] }

// lane is the waiting shares of one class and one key, oldest first.
type lane struct {
	key    pow.Key
	shares []*Share
	head   int
	ripe   int // the first so many wait for no company any more
}

func (l *lane) len() int { return len(l.shares) - l.head }

func (l *lane) first() *Share { return l.shares[l.head] }

func (l *lane) push(s *Share) { l.shares = append(l.shares, s) }

func (l *lane) pop() *Share {
	s := l.shares[l.head]
	l.shares[l.head] = nil
	l.head++
	l.ripe = max(l.ripe-1, 0)
	switch {
	case l.head == len(l.shares):
		l.shares, l.head = l.shares[:0], 0
	case l.head >= 1024 && l.head*2 >= len(l.shares):
		// Move the rest down now and then, so that a lane that never empties
		// does not grow for ever.
		n := copy(l.shares, l.shares[l.head:])
		clear(l.shares[n:])
		l.shares, l.head = l.shares[:n], 0
	}
	return s
}

// queue is the bounded priority queue between event loops and workers.
//
// A mutex and two conditions, not channels: a worker takes several shares of
// one key at once and the priority of the whole queue can change with each
// arrival. At the rates hashing allows (10⁴ shares/s) the lock is never seen.
//
// A claim to be a block is cheap to forge, so its priority is bounded twice:
// after each batch of candidates the plain shares have a turn, and those that
// are overdue are shed whoever is served. A flood of claims costs honest shares
// half of the hash threads, never their answers (I9).
type queue struct {
	limit    [classes]int
	deadline time.Duration // a plain share older than this is late

	mu     sync.Mutex
	filled sync.Cond // guarded by mu
	lanes  [classes][]*lane
	size   [classes]int
	turn   class // whose turn it is, if both classes wait
	idle   int   // workers that wait in take
	closed bool
	given  bool // up: what still waits is shed
}

func newQueue(shares, candidates int, deadline time.Duration) *queue {
	q := &queue{limit: [classes]int{classCandidate: candidates, classShare: shares}, deadline: deadline}
	q.filled.L = &q.mu
	return q
}

// push files a share. A candidate that finds its class full is a plain share
// from then on. ok is false when there is no room or no queue.
func (q *queue) push(s *Share) (ok, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, true
	}
	c := classShare
	if s.Candidate && q.size[classCandidate] < q.limit[classCandidate] {
		c = classCandidate
	}
	if q.size[c] >= q.limit[c] {
		return false, false
	}
	s.Candidate = c == classCandidate
	q.lane(c, KeyOf(s.Template)).push(s)
	q.size[c]++
	q.filled.Signal()
	return true, false
}

// lane finds or makes the lane of a key. There are as many as seeds in use: a
// handful, so a list beats a map. mu is held.
func (q *queue) lane(c class, key pow.Key) *lane {
	for _, l := range q.lanes[c] {
		if l.key == key {
			return l
		}
	}
	l := &lane{key: key}
	q.lanes[c] = append(q.lanes[c], l)
	return l
}

// next is the lane to serve: of the class whose turn it is, or of the other one
// if that has none, the lane whose oldest share has waited longest. mu is held.
func (q *queue) next() (*lane, class) {
	for _, c := range [classes]class{q.turn, 1 - q.turn} {
		if l := q.oldest(c); l != nil {
			return l, c
		}
	}
	return nil, classShare
}

// oldest is the lane of a class whose first share has waited longest, or nil.
// Empty lanes are dropped on the way: their keys may never come back. mu is held.
func (q *queue) oldest(c class) *lane {
	lanes := q.lanes[c][:0]
	var oldest *lane
	for _, l := range q.lanes[c] {
		if l.len() == 0 {
			continue
		}
		lanes = append(lanes, l)
		if oldest == nil || l.first().Received.Before(oldest.first().Received) {
			oldest = l
		}
	}
	clear(q.lanes[c][len(lanes):])
	q.lanes[c] = lanes
	return oldest
}

// overdue moves plain shares that have waited too long to late, and everything
// once the queue is given up. mu is held.
func (q *queue) overdue(late []*Share) []*Share {
	now := time.Now()
	for c := range classes {
		if c == classCandidate && !q.given {
			continue
		}
		for _, l := range q.lanes[c] {
			for l.len() > 0 && (q.given || now.Sub(l.first().Received) > q.deadline) {
				late = append(late, l.pop())
				q.size[c]--
			}
		}
	}
	return late
}

// batchRule says how many shares of a key make a batch, and how long a batch
// may wait to fill.
type batchRule func(pow.Key) (width int, wait time.Duration)

// take blocks until there is work. It appends a batch of one key to batch, and
// to late the plain shares that are to be shed first; both may be empty but not
// at once. ok is false once the queue is closed and drained. rule is asked how
// wide a batch may be; a candidate never waits for company, nor for that of
// plain shares. While other workers are idle, each takes its part of what
// waits: narrow batches on all threads end sooner than a wide one on one.
func (q *queue) take(batch, late []*Share, rule batchRule) (b, l []*Share, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		late = q.overdue(late)
		lane, c := q.next()
		if lane == nil {
			if q.closed || len(late) > 0 {
				return batch, late, len(late) > 0
			}
			q.idle++
			q.filled.Wait()
			q.idle--
			continue
		}
		width, wait := rule(lane.key)
		if c == classShare && lane.len() < width && lane.ripe == 0 && q.size[classCandidate] == 0 && !q.closed {
			if left := wait - time.Since(lane.first().Received); left > 0 {
				if len(late) > 0 {
					return batch, late, true
				}
				q.waitFor(left)
				continue
			}
		}
		for range q.part(lane, width) {
			batch = append(batch, lane.pop())
			q.size[c]--
		}
		q.turn = 1 - c
		return batch, late, true
	}
}

// part is how many of a lane's shares the worker takes that found it: what it
// leaves to idle workers is ripe, and one of them is woken. mu is held.
func (q *queue) part(l *lane, width int) int {
	n, share := min(width, l.len()), (l.len()+q.idle)/(q.idle+1)
	if share < n {
		n, l.ripe = share, l.len()
		q.filled.Signal()
	}
	return n
}

// waitFor waits for an arrival or for d, whichever comes first. The timer takes
// the lock, so that it cannot fire between its start and the wait. mu is held.
func (q *queue) waitFor(d time.Duration) {
	timer := time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.filled.Broadcast()
	})
	q.idle++
	q.filled.Wait()
	q.idle--
	timer.Stop()
}

// close lets take return what is left and then nothing.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
}

// giveUp sheds what still waits and tells how many candidates that are.
func (q *queue) giveUp() (candidates int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.given = true
	q.filled.Broadcast()
	return q.size[classCandidate]
}

// depth is the number of shares waiting in a class.
func (q *queue) depth(c class) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size[c]
}
