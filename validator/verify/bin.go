package verify

import (
	"net/netip"

	"github.com/assay-pool/assay/native/pow"
)

// bin is the waiting shares of one class and one key: what a batch may be made
// of. Guarded by the queue's mutex.
type bin struct {
	key     pow.Key
	root    party
	hosts   map[netip.Addr]*party
	wallets map[sender]*party

	oldest, newest *Share  // in order of arrival
	ripe           int     // so many wait for no company any more
	pass           float64 // see schedule.go
}

func newBin() *bin {
	return &bin{hosts: make(map[netip.Addr]*party), wallets: make(map[sender]*party)}
}

func (l *bin) len() int { return l.root.size }

// push files a share behind those of its wallet.
func (l *bin) push(f *spares, s *Share) {
	id := sender{host: hostOf(s.From), wallet: s.Wallet}
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
	w.join(s)
	l.age(s)
	for p := w; p != nil; p = p.parent {
		f.grow(p)
	}
}

// age puts a share into the order of arrival. It nearly always arrives last:
// loops may overtake each other by microseconds, and a candidate that gives way
// was there before some plain shares.
func (l *bin) age(s *Share) {
	older := l.newest
	for older != nil && older.Received.After(s.Received) {
		older = older.older
	}
	s.older = older
	if older != nil {
		s.younger, older.younger = older.younger, s
	} else {
		s.younger, l.oldest = l.oldest, s
	}
	if s.younger != nil {
		s.younger.older = s
	} else {
		l.newest = s
	}
}

// pop takes the share whose turn it is: the next host's, of it the next
// wallet's, of it the oldest. The bin is not empty.
func (l *bin) pop(f *spares) *Share {
	p := &l.root
	for p.turn != nil {
		c := p.turn
		p.turn = c.next
		p = c
	}
	s := p.first
	l.remove(f, s)
	return s
}

// remove takes a share out, wherever it stands.
func (l *bin) remove(f *spares, s *Share) {
	if s.older != nil {
		s.older.younger = s.younger
	} else {
		l.oldest = s.younger
	}
	if s.younger != nil {
		s.younger.older = s.older
	} else {
		l.newest = s.older
	}
	s.older, s.younger = nil, nil
	w := s.line
	w.quit(s)
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

// forget drops a party that has no shares any more.
func (l *bin) forget(f *spares, p *party) {
	if p.parent == &l.root {
		delete(l.hosts, p.host)
	} else {
		delete(l.wallets, p.sender)
	}
	f.putParty(p)
}

// newest is the newest share of the longest wallet of the longest host below p.
func (p *party) newest() *Share {
	for p.longest != nil {
		p = p.longest.members
	}
	return p.last
}
