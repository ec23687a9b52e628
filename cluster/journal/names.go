package journal

import "strings"

// pair is what a credit names: a wallet and one of its workers. A segment gives
// each pair a number, and a credit has the number.
type pair struct{ wallet, worker string }

func (p pair) bytes() int { return len(p.wallet) + len(p.worker) }

// book is the writer's numbers of one kind of names. It outlives the segment: a
// name that comes again in the next one costs no memory a second time.
// Guarded by Journal.mu.
type book[K comparable] struct {
	limit   int // of names in a segment
	entries map[K]*entry
	segment uint32 // numbers the segments; entries of others are stale
	used    uint32 // numbers given in this segment
	bytes   int    // of the names with a number
}

type entry struct {
	segment uint32
	id      uint32
	uses    uint32
	bytes   int
}

func newBook[K comparable](limit int) book[K] {
	return book[K]{limit: limit, entries: make(map[K]*entry)}
}

// begin forgets all numbers.
func (b *book[K]) begin() {
	b.segment++
	b.used, b.bytes = 0, 0
}

// full says that the next new name would get no number.
func (b *book[K]) full() bool { return int(b.used) >= b.limit || b.bytes >= maxNameBytes }

// number is a name's number in this segment; define says that the record must have
// the name as well. ok is false if there is no number left for it: the record has
// the name alone then. own copies the name of a caller before it is kept.
func (b *book[K]) number(name K, size int, own func(K) K) (id uint32, define, ok bool) {
	e := b.entries[name]
	if e != nil && e.segment == b.segment {
		e.uses++
		return e.id, e.uses%repeatName == 0, true
	}
	if b.full() {
		return 0, true, false
	}
	if e == nil {
		if len(b.entries) >= b.limit {
			b.forget()
		}
		e = new(entry)
		b.entries[own(name)] = e
	}
	*e = entry{segment: b.segment, id: b.used, bytes: size}
	b.used++
	b.bytes += size
	return e.id, true, true
}

// forget drops the names that this segment has not had.
func (b *book[K]) forget() {
	for name, e := range b.entries {
		if e.segment != b.segment {
			delete(b.entries, name)
		}
	}
}

func ownPair(p pair) pair {
	return pair{wallet: strings.Clone(p.wallet), worker: strings.Clone(p.worker)}
}

func ownSeed(s [32]byte) [32]byte { return s }

// table is a reader's side of the book: what the numbers of a segment stand for.
type table struct {
	pairs []pair
	known []bool // by number; a definition may be lost
	seeds [maxSeeds]struct {
		seed  [32]byte
		known bool
	}
}

func (t *table) reset() {
	clear(t.pairs) // the strings
	t.pairs, t.known = t.pairs[:0], t.known[:0]
	for i := range t.seeds {
		t.seeds[i].known = false
	}
}

// define takes a pair's number. A pair that is known costs no memory.
func (t *table) define(id uint32, wallet, worker []byte) pair {
	for uint32(len(t.pairs)) <= id {
		t.pairs = append(t.pairs, pair{})
		t.known = append(t.known, false)
	}
	if p := t.pairs[id]; t.known[id] && p.wallet == string(wallet) && p.worker == string(worker) {
		return p
	}
	t.pairs[id] = pair{wallet: string(wallet), worker: string(worker)}
	t.known[id] = true
	return t.pairs[id]
}

// lookup is the pair of a number, if its definition was read.
func (t *table) lookup(id uint32) (pair, bool) {
	if id >= uint32(len(t.pairs)) || !t.known[id] {
		return pair{}, false
	}
	return t.pairs[id], true
}
