package verify

import "net/netip"

// party is one of those a bin's service goes round. They form a tree of three
// levels, and each level takes turns among the parties that have tasks:
//
//	bin ──┬── host (IP address; IPv6: its /64) ──┬── wallet ── tasks, oldest first
//	      └── host                               └── wallet
//
// So a host gains nothing by more connections, nor by more wallets, and wallets
// behind one address are still equals. The same tree tells who gives way when
// a class is full: the newest task of the longest wallet of the longest host.
//
// Every step is O(1). A party is in two structures of its parent: the ring of
// those that have tasks, in order of service, and the ranks, which keep them
// by size:
//
//	shortest ⇄ rank 1 ⇄ rank 3 ⇄ rank 250 ⇄ longest
//	             │        │         │
//	           b, d, e    a         c
//
// A size changes by one, so a party moves to the next rank or to a new one
// beside it. (A heap needs log n steps, a list by size one list a possible size
// and host.)
//
// All of it is guarded by the queue's mutex.
type party struct {
	sender        // what it is known by in the bin's maps
	parent *party // nil: the bin's root
	size   int    // tasks below it

	next, prev *party // parent's ring
	rank       *rank  // parent's rank of this size
	after      *party // in the rank's list, in no order
	before     *party

	turn              *party // child that is served next
	longest, shortest *rank  // of the children
	children          int

	first, last *Task // of a wallet: its line
}

// sender is who sent a task. A host's own party has no wallet.
type sender struct {
	host   netip.Addr
	wallet string
}

// hostBits is the part of an IPv6 address that counts as one sender: a customer
// is given a /64 at least and may use any address in it.
const hostBits = 64

// hostOf is the host an address belongs to. The zero address is a host too: of
// tasks that came from no connection.
func hostOf(a netip.Addr) netip.Addr {
	if a = a.Unmap(); !a.Is6() {
		return a
	}
	prefix, _ := a.Prefix(hostBits) // fails for a number of bits that no address has
	return prefix.Addr()
}

// rank is the children of one party that have the same size.
type rank struct {
	size            int
	members         *party
	longer, shorter *rank
}

// spares are parties and ranks that were used and will be again: a task costs
// no allocation. They are never more than were in use at once, which is three
// for each task that waits.
type spares struct {
	parties *party // linked by next
	ranks   *rank  // linked by longer
}

// party is a new child of parent, not in its ring yet.
func (f *spares) party(parent *party, id sender) *party {
	p := f.parties
	if p == nil {
		p = new(party)
	} else {
		f.parties = p.next
	}
	*p = party{sender: id, parent: parent}
	return p
}

func (f *spares) putParty(p *party) { *p = party{next: f.parties}; f.parties = p }

func (f *spares) rank(size int) *rank {
	r := f.ranks
	if r == nil {
		return &rank{size: size}
	}
	f.ranks = r.longer
	*r = rank{size: size}
	return r
}

func (f *spares) putRank(r *rank) { *r = rank{longer: f.ranks}; f.ranks = r }

// grow and shrink change the size of a party by one task, and its places in
// its parent's ring and ranks with it. The root has no such places.
func (f *spares) grow(p *party) {
	p.size++
	if p.parent == nil {
		return
	}
	if p.size == 1 {
		p.parent.enlist(p)
	}
	f.rerank(p)
}

func (f *spares) shrink(p *party) {
	p.size--
	if p.parent == nil {
		return
	}
	f.rerank(p)
	if p.size == 0 {
		p.parent.dismiss(p)
	}
}

// enlist puts a child at the end of the round: in front of whose turn it is.
func (p *party) enlist(c *party) {
	p.children++
	if p.turn == nil {
		c.next, c.prev, p.turn = c, c, c
		return
	}
	c.next, c.prev = p.turn, p.turn.prev
	c.next.prev, c.prev.next = c, c
}

func (p *party) dismiss(c *party) {
	p.children--
	switch {
	case c.next == c:
		p.turn = nil
	case p.turn == c:
		p.turn = c.next
	}
	c.next.prev, c.prev.next = c.prev, c.next
	c.next, c.prev = nil, nil
}

// rerank moves a child whose size has changed by one to the rank of its size.
func (f *spares) rerank(c *party) {
	p, old := c.parent, c.rank
	var to *rank // the neighbour it may join
	switch {
	case old == nil:
		to = p.shortest
	case c.size > old.size:
		to = old.longer
	default:
		to = old.shorter
	}
	switch {
	case to != nil && to.size == c.size:
		f.unrank(c)
		to.add(c)
	case c.size == 0:
		f.unrank(c)
	case old != nil && old.members == c && c.after == nil:
		old.size = c.size // alone in its rank, which can become the next one
	default:
		r := f.rank(c.size)
		if old != nil && c.size > old.size {
			p.link(r, old, old.longer)
		} else if old != nil {
			p.link(r, old.shorter, old)
		} else {
			p.link(r, nil, p.shortest)
		}
		f.unrank(c)
		r.add(c)
	}
}

// link puts a rank between two neighbours; nil is an end.
func (p *party) link(r, shorter, longer *rank) {
	r.shorter, r.longer = shorter, longer
	if shorter == nil {
		p.shortest = r
	} else {
		shorter.longer = r
	}
	if longer == nil {
		p.longest = r
	} else {
		longer.shorter = r
	}
}

func (r *rank) add(c *party) {
	c.rank, c.before, c.after = r, nil, r.members
	if r.members != nil {
		r.members.before = c
	}
	r.members = c
}

// unrank takes a child out of its rank, if it has one, and the rank out of its
// list if nobody is left in it.
func (f *spares) unrank(c *party) {
	r := c.rank
	if r == nil {
		return
	}
	if c.before != nil {
		c.before.after = c.after
	} else {
		r.members = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	}
	c.rank, c.before, c.after = nil, nil, nil
	if r.members != nil {
		return
	}
	p := c.parent
	if r.shorter != nil {
		r.shorter.longer = r.longer
	} else {
		p.shortest = r.longer
	}
	if r.longer != nil {
		r.longer.shorter = r.shorter
	} else {
		p.longest = r.shorter
	}
	f.putRank(r)
}

// crowd is the size of the largest child.
func (p *party) crowd() int {
	if p.longest == nil {
		return 0
	}
	return p.longest.size
}

// place is where a task waits: in the line of its wallet, and in its bin's
// order of arrival. Guarded by the queue's mutex.
type place struct {
	line           *party // its wallet
	ahead, behind  *Task  // in the line
	older, younger *Task  // in the bin
}

// join puts a task at the end of a wallet's line, quit takes it out of it.
func (p *party) join(t *Task) {
	t.line, t.ahead, t.behind = p, p.last, nil
	if p.last != nil {
		p.last.behind = t
	} else {
		p.first = t
	}
	p.last = t
}

func (p *party) quit(t *Task) {
	if t.ahead != nil {
		t.ahead.behind = t.behind
	} else {
		p.first = t.behind
	}
	if t.behind != nil {
		t.behind.ahead = t.ahead
	} else {
		p.last = t.ahead
	}
	t.line, t.ahead, t.behind = nil, nil, nil
}
