package verify

import "github.com/assay-pool/assay/native/pow"

// tier is the waiting tasks of one class, and how it is served.
//
// Service is shared out twice by the same rule, stride scheduling (Waldspurger
// and Weihl, 1995): among classes by weight, batch by batch, and among a
// class's bins by the number of hosts that wait in them, task by task. Each
// has a pass that grows by 1/weight with what it is given, and the least pass is
// next. One that comes back after a rest starts at the pass of what was served
// last: it is served soon, but has saved nothing up.
type tier struct {
	Rule // immutable
	bins []*bin
	size int
	pass float64
	now  float64 // pass of the bin served last
}

// bin finds or makes the bin of a key. There are as many as seeds in use: a
// handful, so a list beats a map.
func (q *queue) bin(k *tier, key pow.Key) *bin {
	if l := k.find(key); l != nil {
		return l
	}
	var l *bin
	if n := len(q.spareBins); n > 0 {
		l = q.spareBins[n-1]
		q.spareBins[n-1] = nil
		q.spareBins = q.spareBins[:n-1]
	} else {
		l = newBin()
	}
	l.key, l.pass, l.ripe = key, 0, 0
	k.bins = append(k.bins, l)
	return l
}

func (k *tier) find(key pow.Key) *bin {
	for _, l := range k.bins {
		if l.key == key {
			return l
		}
	}
	return nil
}

// file puts a task into its class.
func (q *queue) file(k *tier, t *Task) {
	l := q.bin(k, t.Key)
	if k.size == 0 {
		k.pass = max(k.pass, q.now)
	}
	if l.len() == 0 {
		l.pass = max(l.pass, k.now)
	}
	l.push(&q.spares, t)
	k.size++
}

// giveWay makes room for t in a full class: it takes a task out of it, or
// returns t itself, if its own sender has the longest line or one that would be
// as long.
func (q *queue) giveWay(k *tier, t *Task) *Task {
	crowded := q.nextBin(k)
	for _, l := range k.bins {
		if l.root.crowd() > crowded.root.crowd() {
			crowded = l
		}
	}
	host, wallet := k.standing(t)
	var from *party
	switch {
	case host == nil && crowded.root.crowd() > 1, host != nil && host.size+1 < crowded.root.crowd():
		from = &crowded.root
	case host != nil && wallet+1 < host.crowd():
		crowded, from = k.find(t.Key), host
	default:
		return t
	}
	victim := from.newest()
	crowded.remove(&q.spares, victim)
	k.size--
	return victim
}

// standing is the host of t in its bin, nil if it has no tasks there, and how
// many of them are of the same wallet.
func (k *tier) standing(t *Task) (host *party, wallet int) {
	l := k.find(t.Key)
	if l == nil {
		return nil, 0
	}
	id := sender{host: hostOf(t.From), wallet: t.Wallet}
	if w := l.wallets[id]; w != nil {
		wallet = w.size
	}
	return l.hosts[id.host], wallet
}

// next is the class to serve, and of it the bin; nil if nothing waits.
func (q *queue) next() (Class, *bin) {
	best := -1
	for c := range q.tiers {
		if q.tiers[c].size > 0 && (best < 0 || q.tiers[c].pass < q.tiers[best].pass) {
			best = c
		}
	}
	if best < 0 {
		return 0, nil
	}
	return Class(best), q.nextBin(&q.tiers[best])
}

// nextBin is the bin of a class to serve. Empty ones are put aside on the
// way: their keys may never come back.
func (q *queue) nextBin(k *tier) *bin {
	bins := k.bins[:0]
	var best *bin
	for _, l := range k.bins {
		if l.len() == 0 {
			if len(q.spareBins) < sparesPerClass*len(q.tiers) {
				q.spareBins = append(q.spareBins, l)
			}
			continue
		}
		bins = append(bins, l)
		if best == nil || l.pass < best.pass || l.pass == best.pass && l.oldest.Received.Before(best.oldest.Received) {
			best = l
		}
	}
	clear(k.bins[len(bins):])
	k.bins = bins
	return best
}

// sparesPerClass is two keys, as around a change of seed.
const sparesPerClass = 2

// serve takes n tasks of a bin as a batch and books them.
func (q *queue) serve(k *tier, l *bin, n int, batch []*Task) []*Task {
	q.now, k.now = k.pass, l.pass
	k.pass += 1 / k.Weight
	l.pass += float64(n) / float64(l.root.children)
	for range n {
		batch = append(batch, l.pop(&q.spares))
	}
	k.size -= n
	return batch
}
