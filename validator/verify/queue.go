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
}

func (l *lane) len() int { return len(l.shares) - l.head }

func (l *lane) push(s *Share) { l.shares = append(l.shares, s) }

func (l *lane) pop() *Share {
	s := l.shares[l.head]
	l.shares[l.head] = nil
	l.head++
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
type queue struct {
	limit [classes]int

	mu     sync.Mutex
	filled sync.Cond // guarded by mu
	lanes  [classes][]*lane
	size   [classes]int
	closed bool
}

func newQueue(shares, candidates int) *queue {
	q := &queue{limit: [classes]int{classCandidate: candidates, classShare: shares}}
	q.filled.L = &q.mu
	return q
}

// push files a share. A candidate that finds its class full takes a place
// among the plain shares. ok is false when there is no room or no queue.
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

// next is the lane whose oldest share has waited longest in the best class.
// Empty lanes are dropped on the way: their keys may never come back. mu is held.
func (q *queue) next() (*lane, class) {
	for c := range q.lanes {
		lanes := q.lanes[c][:0]
		var oldest *lane
		for _, l := range q.lanes[c] {
			if l.len() == 0 {
				continue
			}
			lanes = append(lanes, l)
			if oldest == nil || l.shares[l.head].Received.Before(oldest.shares[oldest.head].Received) {
				oldest = l
			}
		}
		clear(q.lanes[c][len(lanes):])
		q.lanes[c] = lanes
		if oldest != nil {
			return oldest, class(c)
		}
	}
	return nil, 0
}

// batchRule says how many shares of a key make a batch, and how long a batch
// may wait to fill.
type batchRule func(pow.Key) (width int, wait time.Duration)

// take blocks until there is work and appends a batch of one key to dst. It
// returns an empty batch once the queue is closed and drained. fill is asked
// how wide the batch may be; a candidate never waits for company.
func (q *queue) take(dst []*Share, rule batchRule) []*Share {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		l, c := q.next()
		if l == nil {
			if q.closed {
				return dst
			}
			q.filled.Wait()
			continue
		}
		width, wait := rule(l.key)
		if c == classShare && l.len() < width && !q.closed {
			if left := wait - time.Since(l.shares[l.head].Received); left > 0 {
				q.waitFor(left)
				continue
			}
		}
		for range min(width, l.len()) {
			dst = append(dst, l.pop())
			q.size[c]--
		}
		return dst
	}
}

// waitFor waits for an arrival or for d, whichever comes first. mu is held.
func (q *queue) waitFor(d time.Duration) {
	timer := time.AfterFunc(d, q.filled.Broadcast)
	q.filled.Wait()
	timer.Stop()
}

// close lets take return what is left and then nothing.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
}

// depth is the number of shares waiting in a class.
func (q *queue) depth(c class) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size[c]
}
