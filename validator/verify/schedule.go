package verify

import "github.com/assay-pool/assay/native/pow"

// class is an order of service; lower is served first where both may be.
type class uint8

const (
	classCandidate         class = iota // claims to be a block
	classUnprovenCandidate              // likewise, of a session that has proven nothing
	classCrowded                        // claims that found no place in their class
	classShare                          // must be verified before the reply
	classUnproven                       // likewise, of a session that has proven nothing
	classes
)

// classRule is how a class is served.
type classRule struct {
	name string
	// weight is how many batches the class has for one of a class of weight 1
	// while both wait.
	weight float64
	// late: its shares are shed once they are older than the deadline. Those of
	// a class without it wait as long as they must.
	late bool
	// company: a batch that is not full may wait for more shares to come.
	company bool
	// below is the class of a share that has to give way in this one, if it is
	// another.
	below class
}

// classRules are the classes' rules. A claim to be a block is cheap to forge, so
// candidates have no more than every second batch while plain shares wait. One
// that finds no place among them, because as many hosts claim blocks as there are
// places, waits its host's turn in a class of little weight, but is never late:
// it may be the block that the others only claim to be. A session that has had no
// share accepted yet may be anybody: such sessions have a fifth of the batches,
// a third if they claim blocks too, while proven ones wait, whoever and however
// many they are. That is enough for a first share to be answered soon, and an
// idle node, or one that has just started, gives them all.
var classRules = [classes]classRule{
	classCandidate:         {name: "candidate", weight: 4, below: classCrowded},
	classUnprovenCandidate: {name: "unproven_candidate", weight: 1, below: classCrowded},
	classCrowded:           {name: "crowded_candidate", weight: 1, below: classCrowded},
	classShare:             {name: "share", weight: 4, late: true, company: true, below: classShare},
	classUnproven:          {name: "unproven", weight: 1, late: true, company: true, below: classUnproven},
}

func classOf(s *Share) class {
	switch {
	case s.Candidate && s.Unproven:
		return classUnprovenCandidate
	case s.Candidate:
		return classCandidate
	case s.Unproven:
		return classUnproven
	}
	return classShare
}

func (c class) String() string { return classRules[c].name }

// tier is the waiting shares of one class.
//
// Service is shared out twice by the same rule, stride scheduling (Waldspurger
// and Weihl, 1995): among classes by weight, batch by batch, and among a
// class's bins by the number of hosts that wait in them, share by share. Each
// has a pass that grows by 1/weight with what it is given, and the least pass is
// next. One that comes back after a rest starts at the pass of what was served
// last: it is served soon, but has saved nothing up.
type tier struct {
	limit int
	bins  []*bin
	size  int
	pass  float64
	now   float64 // pass of the bin served last
}

// bin finds or makes the bin of a key. There are as many as seeds in use: a
// handful, so a list beats a map.
func (q *queue) bin(c class, key pow.Key) *bin {
	k := &q.tiers[c]
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

// file puts a share into its class.
func (q *queue) file(c class, s *Share) {
	k := &q.tiers[c]
	l := q.bin(c, KeyOf(s.Template))
	if k.size == 0 {
		k.pass = max(k.pass, q.now)
	}
	if l.len() == 0 {
		l.pass = max(l.pass, k.now)
	}
	l.push(&q.spares, s)
	k.size++
}

// giveWay makes room for s in a full class: it takes a share out of it, or
// returns s itself, if its own sender has the longest line or one that would be
// as long.
func (q *queue) giveWay(c class, s *Share) *Share {
	k := &q.tiers[c]
	crowded := q.nextBin(k)
	for _, l := range k.bins {
		if l.root.crowd() > crowded.root.crowd() {
			crowded = l
		}
	}
	host, wallet := k.standing(s)
	var from *party
	switch {
	case host == nil && crowded.root.crowd() > 1, host != nil && host.size+1 < crowded.root.crowd():
		from = &crowded.root
	case host != nil && wallet+1 < host.crowd():
		crowded, from = k.find(KeyOf(s.Template)), host
	default:
		return s
	}
	victim := from.newest()
	crowded.remove(&q.spares, victim)
	k.size--
	return victim
}

// standing is the host of s in its bin, nil if it has no shares there, and how
// many of them are of the same wallet.
func (k *tier) standing(s *Share) (host *party, wallet int) {
	l := k.find(KeyOf(s.Template))
	if l == nil {
		return nil, 0
	}
	id := sender{host: hostOf(s.From), wallet: s.Wallet}
	if w := l.wallets[id]; w != nil {
		wallet = w.size
	}
	return l.hosts[id.host], wallet
}

// next is the bin to serve, of the class to serve; nil if nothing waits.
func (q *queue) next() (*bin, class) {
	best := classes
	for c := range classes {
		if q.tiers[c].size > 0 && (best == classes || q.tiers[c].pass < q.tiers[best].pass) {
			best = c
		}
	}
	if best == classes {
		return nil, classShare
	}
	return q.nextBin(&q.tiers[best]), best
}

// nextBin is the bin of a class to serve. Empty ones are put aside on the
// way: their keys may never come back.
func (q *queue) nextBin(k *tier) *bin {
	bins := k.bins[:0]
	var best *bin
	for _, l := range k.bins {
		if l.len() == 0 {
			if len(q.spareBins) < maxSpareBins {
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

// maxSpareBins is two keys, as around a change of seed, in each class.
const maxSpareBins = 2 * int(classes)

// serve takes n shares of a bin as a batch and books them.
func (q *queue) serve(c class, l *bin, n int, batch []*Share) []*Share {
	k := &q.tiers[c]
	q.now, k.now = k.pass, l.pass
	k.pass += 1 / classRules[c].weight
	l.pass += float64(n) / float64(l.root.children)
	for range n {
		batch = append(batch, l.pop(&q.spares))
	}
	k.size -= n
	return batch
}
