package verify

import (
	"net/netip"

	"github.com/assay-pool/assay/native/pow"
)

// bin is the waiting tasks of one class and one key: what a batch may be made
// of. Guarded by the queue's mutex.
type bin struct {
	key     pow.Key
	root    party
	hosts   map[netip.Addr]*party
	wallets map[sender]*party

	oldest, newest *Task   // in order of arrival
	ripe           int     // so many wait for no company any more
	pass           float64 // see schedule.go
}

func newBin() *bin {
	return &bin{hosts: make(map[netip.Addr]*party), wallets: make(map[sender]*party)}
}

func (l *bin) len() int { return l.root.size }

// push files a task behind those of its wallet.
func (l *bin) push(f *spares, t *Task) {
	id := sender{host: hostOf(t.From), wallet: t.Wallet}
	w := l.wallets[id]
	if w == nil {
		h := l.hosts[id.host]
		if h == nil {
			h = f.party(&l.root, sender{host: id.host})
			l.hosts[id.host] = h
		}
		w = f.party(h, id)
		l.wallets[id] = w
	}
	w.join(t)
	l.age(t)
	for p := w; p != nil; p = p.parent {
		f.grow(p)
	}
}

// age puts a task into the order of arrival. It nearly always arrives last:
// loops may overtake each other by microseconds, and a candidate that gives way
// was there before some that are crowded already.
func (l *bin) age(t *Task) {
	older := l.newest
	for older != nil && older.Received.After(t.Received) {
		older = older.older
	}
	t.older = older
	if older != nil {
		t.younger, older.younger = older.younger, t
	} else {
		t.younger, l.oldest = l.oldest, t
	}
	if t.younger != nil {
		t.younger.older = t
	} else {
		l.newest = t
	}
}

// pop takes the task whose turn it is: the next host's, of it the next
// wallet's, of it the oldest. The bin is not empty.
func (l *bin) pop(f *spares) *Task {
	p := &l.root
	for p.turn != nil {
		c := p.turn
		p.turn = c.next
		p = c
	}
	t := p.first
	l.remove(f, t)
	return t
}

// remove takes a task out, wherever it stands.
func (l *bin) remove(f *spares, t *Task) {
	if t.older != nil {
		t.older.younger = t.younger
	} else {
		l.oldest = t.younger
	}
	if t.younger != nil {
		t.younger.older = t.older
	} else {
		l.newest = t.older
	}
	t.older, t.younger = nil, nil
	w := t.line
	w.quit(t)
	for p := w; p != nil; {
		parent := p.parent
		f.shrink(p)
		if p.size == 0 && parent != nil {
			l.forget(f, p)
		}
		p = parent
	}
	l.ripe = max(l.ripe-1, 0)
}

// forget drops a party that has no tasks any more.
func (l *bin) forget(f *spares, p *party) {
	if p.parent == &l.root {
		delete(l.hosts, p.host)
	} else {
		delete(l.wallets, p.sender)
	}
	f.putParty(p)
}

// newest is the newest task of the longest wallet of the longest host below p.
func (p *party) newest() *Task {
	for p.longest != nil {
		p = p.longest.members
	}
	return p.last
}
