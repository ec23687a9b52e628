package verify

import (
	"sync"
	"time"

	"github.com/assay-pool/assay/native/pow"
)

// queue is the bounded, fair priority queue between event loops and workers.
//
// A mutex and a condition, not channels: a worker takes several shares of one
// key at once, from many senders, and the order of the whole queue can change
// with each arrival. At the rates hashing allows (10⁴ shares/s) the lock is
// never seen. It is a leaf: nothing outside of this package is called with it
// held.
//
// Who is served next is in schedule.go (classes and keys) and in fair.go
// (hosts and wallets). When a class is full, the sender with the longest line
// gives way, not the newcomer: a flood sheds its own shares.
type queue struct {
	deadline time.Duration // a share of a class that has one is late then

	mu        sync.Mutex
	filled    sync.Cond // guarded by mu, as is all that follows
	tiers     [classes]tier
	now       float64 // pass of the class served last
	spares    spares
	spareBins []*bin
	idle      int // workers that wait in take, or are about to look
	closed    bool
	given     bool // up: what still waits is shed
}

func newQueue(shares, candidates int, deadline time.Duration) *queue {
	q := &queue{deadline: deadline}
	q.tiers[classCandidate].limit, q.tiers[classUnprovenCandidate].limit = candidates, candidates
	q.tiers[classShare].limit, q.tiers[classUnproven].limit, q.tiers[classCrowded].limit = shares, shares, shares
	q.filled.L = &q.mu
	return q
}

// push files a share. If there was no room, out is the share that had to give
// way, s or another; it is the caller's to judge. closed means that s was not
// filed because the queue is.
func (q *queue) push(s *Share) (out *Share, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, true
	}
	c := classOf(s)
	for q.tiers[c].size >= q.tiers[c].limit {
		out = q.giveWay(c, s)
		if out != s {
			q.file(c, s)
		}
		below := classRules[c].below
		if below == c {
			return out, false
		}
		s, c = out, below
		s.Candidate = false
	}
	q.file(c, s)
	q.filled.Signal()
	return nil, false
}

// overdue moves shares that have waited too long to late, and everything once
// the queue is given up. mu is held.
func (q *queue) overdue(late []*Share) []*Share {
	now := time.Now()
	for c := range classes {
		if !classRules[c].late && !q.given {
			continue
		}
		for _, l := range q.tiers[c].bins {
			for l.len() > 0 && (q.given || now.Sub(l.oldest.Received) > q.deadline) {
				late = append(late, l.oldest)
				l.remove(&q.spares, l.oldest)
				q.tiers[c].size--
			}
		}
	}
	return late
}

// batchRule says how many shares of a key make a batch, and how long a batch
// may wait to fill. It may block, so it is asked without the lock.
type batchRule func(pow.Key) (width int, wait time.Duration)

// take blocks until there is work. It appends a batch of one key to batch, and
// to late the shares that are to be shed first; both may be empty but not at
// once. ok is false once the queue is closed and drained. rule is asked how
// wide a batch may be; a candidate never waits for company, nor for that of
// plain shares. While other workers are idle, each takes its part of what
// waits: narrow batches on all threads end sooner than a wide one on one.
func (q *queue) take(batch, late []*Share, rule batchRule) (b, l []*Share, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var (
		asked bool // of key, since the last rest
		key   pow.Key
		width int
		wait  time.Duration
	)
	for {
		late = q.overdue(late)
		bin, c := q.next()
		switch {
		case bin == nil && (q.closed || len(late) > 0):
			return batch, late, len(late) > 0
		case bin == nil:
			q.rest()
			asked = false // its answer may be old
			continue
		case !asked || key != bin.key:
			asked, key = true, bin.key
			width, wait = q.ask(rule, key)
			continue // meanwhile everything may have changed
		}
		if classRules[c].company && bin.len() < width && bin.ripe == 0 && !q.waitsAbove(c) && !q.closed {
			if left := wait - time.Since(bin.oldest.Received); left > 0 {
				if len(late) > 0 {
					return batch, late, true
				}
				q.waitFor(left)
				continue
			}
		}
		return q.serve(c, bin, q.part(bin, width), batch), late, true
	}
}

// ask asks the rule with the lock released. mu is held before and after.
func (q *queue) ask(rule batchRule, key pow.Key) (width int, wait time.Duration) {
	q.idle++ // it will look again, so it may be counted on
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.idle--
	}()
	return rule(key)
}

// waitsAbove reports whether a class before c has shares. mu is held.
func (q *queue) waitsAbove(c class) bool {
	for above := range c {
		if q.tiers[above].size > 0 {
			return true
		}
	}
	return false
}

// part is how many of a bin's shares the worker takes that found it: what it
// leaves to idle workers is ripe, and one of them is woken. mu is held.
func (q *queue) part(l *bin, width int) int {
	n, share := min(width, l.len()), (l.len()+q.idle)/(q.idle+1)
	if share < n {
		n, l.ripe = share, l.len()
		q.filled.Signal()
	}
	return n
}

// rest waits for an arrival. mu is held.
func (q *queue) rest() {
	q.idle++
	q.filled.Wait()
	q.idle--
}

// waitFor waits for an arrival or for d, whichever comes first. The timer takes
// the lock, so that it cannot fire between its start and the wait. mu is held.
func (q *queue) waitFor(d time.Duration) {
	timer := time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.filled.Broadcast()
	})
	q.rest()
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
	return q.tiers[classCandidate].size + q.tiers[classUnprovenCandidate].size + q.tiers[classCrowded].size
}

// depth is the number of shares waiting in a class, and of hosts they are from
// (one that waits in several bins counts in each).
func (q *queue) depth(c class) (shares, hosts int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.tiers[c].bins {
		hosts += l.root.children
	}
	return q.tiers[c].size, hosts
}
