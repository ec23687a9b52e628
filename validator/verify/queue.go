package verify

import (
	"sync"
	"time"

	"github.com/assay-pool/assay/native/pow"
)

// queue is the bounded, fair priority queue between event loops and workers.
//
// A mutex and a condition, not channels: a worker takes several tasks of one
// key at once, from many senders, and the order of the whole queue can change
// with each arrival. At the rates hashing allows (10⁴ tasks/s) the lock is
// never seen. It is a leaf: nothing outside of this package is called with it
// held.
//
// Who is served next is in schedule.go (classes and keys) and in fair.go
// (hosts and wallets). When a class is full, the sender with the longest line
// gives way, not the newcomer: a flood sheds its own.
type queue struct {
	deadline time.Duration // a task of a class that has one is late then

	mu        sync.Mutex
	filled    sync.Cond // guarded by mu, as is all that follows
	tiers     []tier    // by class; as many as there are rules
	now       float64   // pass of the class served last
	spares    spares
	spareBins []*bin
	idle      int // workers that wait in take, or are about to look
	closed    bool
	given     bool // up: what still waits is shed
}

func newQueue(rules []Rule, deadline time.Duration) *queue {
	q := &queue{deadline: deadline, tiers: make([]tier, len(rules))}
	for c, rule := range rules {
		q.tiers[c].Rule = rule
	}
	q.filled.L = &q.mu
	return q
}

// push files a task. If there was no room, out is the task that had to give
// way, s or another; it is the caller's to judge. closed means that s was not
// filed because the queue is.
func (q *queue) push(t *Task) (out *Task, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, true
	}
	for k := &q.tiers[t.Class]; k.size >= k.Limit; k = &q.tiers[t.Class] {
		out = q.giveWay(k, t)
		if out != t {
			q.file(k, t)
		}
		if k.Below == out.Class {
			return out, false
		}
		t = out
		t.Class = k.Below
	}
	q.file(&q.tiers[t.Class], t)
	q.filled.Signal()
	return nil, false
}

// overdue moves tasks that have waited too long to late, and everything once
// the queue is given up. mu is held.
func (q *queue) overdue(late []*Task) []*Task {
	now := time.Now()
	for c := range q.tiers {
		k := &q.tiers[c]
		if !k.Late && !q.given {
			continue
		}
		for _, l := range k.bins {
			for l.len() > 0 && (q.given || now.Sub(l.oldest.Received) > q.deadline) {
				late = append(late, l.oldest)
				l.remove(&q.spares, l.oldest)
				k.size--
			}
		}
	}
	return late
}

// batchRule says how many tasks of a key make a batch, and how long a batch
// may wait to fill. It may block, so it is asked without the lock.
type batchRule func(pow.Key) (width int, wait time.Duration)

// take blocks until there is work. It appends a batch of one key to batch, and
// to late the tasks that are to be shed first; both may be empty but not at
// once. ok is false once the queue is closed and drained. rule is asked how
// wide a batch may be; a class that wants no company never waits for it, nor for
// that of later classes. While other workers are idle, each takes its part of what
// waits: narrow batches on all threads end sooner than a wide one on one.
func (q *queue) take(batch, late []*Task, rule batchRule) (b, l []*Task, ok bool) {
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
		c, bin := q.next()
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
		if q.tiers[c].Company && bin.len() < width && bin.ripe == 0 && !q.waitsAbove(c) && !q.closed {
			if left := wait - time.Since(bin.oldest.Received); left > 0 {
				if len(late) > 0 {
					return batch, late, true
				}
				q.waitFor(left)
				continue
			}
		}
		return q.serve(&q.tiers[c], bin, q.part(bin, width), batch), late, true
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

// waitsAbove reports whether a class before c has tasks. mu is held.
func (q *queue) waitsAbove(c Class) bool {
	for above := range c {
		if q.tiers[above].size > 0 {
			return true
		}
	}
	return false
}

// part is how many of a bin's tasks the worker takes that found it: what it
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

// giveUp sheds what still waits and tells how many of that no deadline would have
// shed.
func (q *queue) giveUp() (undue int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.given = true
	q.filled.Broadcast()
	for c := range q.tiers {
		if !q.tiers[c].Late {
			undue += q.tiers[c].size
		}
	}
	return undue
}

// depth is the number of tasks waiting in a class, and of hosts they are from
// (one that waits in several bins counts in each).
func (q *queue) depth(c Class) (tasks, hosts int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.tiers[c].bins {
		hosts += l.root.children
	}
	return q.tiers[c].size, hosts
}
