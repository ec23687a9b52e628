package journal

import (
	"encoding/binary"
	"time"
)

// parser takes a payload apart. A payload that has passed its checksum was written
// so; what does not fit all the same is of another version, and bad.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) fail() {
	p.bad = true
	p.b = nil
}

func (p *parser) byte() byte {
	if len(p.b) == 0 {
		p.fail()
		return 0
	}
	v := p.b[0]
	p.b = p.b[1:]
	return v
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

// take is the next n bytes, the payload's own.
func (p *parser) take(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.fail()
		return nil
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

// text is a string's bytes, the payload's own.
func (p *parser) text(longest int) []byte {
	n := p.uvarint()
	if n > uint64(longest) {
		p.fail()
		return nil
	}
	return p.take(n)
}

func (p *parser) name() string { return string(p.text(MaxName)) }

func (p *parser) time() time.Time {
	sec, nsec := p.varint(), p.uvarint()
	if nsec >= uint64(time.Second) {
		p.fail()
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

func (p *parser) block(b *Block) {
	copy(b.ID[:], p.take(32))
	b.Height = p.uvarint()
	b.Difficulty = p.name()
	b.Reward = p.uvarint()
	b.Wallet = p.name()
	b.Worker = p.name()
	b.Node = p.name()
	b.Time = p.time()
}

// done reports whether the payload was what it should be, to its last byte.
func (p *parser) done() bool { return !p.bad && len(p.b) == 0 }

// contents is the memory behind a Record's pointers.
type contents struct {
	found    Found
	settled  Settled
	clawBack ClawBack
	vest     Vest
	lost     Lost
	work     workRoom
}

// decode reads a payload into rec, all but its positions and sums. named is false
// for a credit whose pair or seed was defined in a part that is lost; rec has its
// difficulty all the same. The record's bytes are the payload's own.
func decode(payload []byte, rec *Record, c *contents, t *table, began int64) (named, ok bool) {
	p := parser{b: payload}
	head := p.byte()
	*rec = Record{Kind: Kind(head & kindMask)}
	named = true
	if rec.Kind != KindCredit && head > kindMask {
		return false, false
	}
	switch rec.Kind {
	case KindCredit:
		named = p.credit(head, rec, c, t, began)
	case KindFound:
		p.block(&c.found.Block)
		c.found.Bytes = p.text(MaxBlock)
		rec.Found = &c.found
	case KindSettled:
		p.block(&c.settled.Block)
		accepted := p.byte()
		c.settled.Accepted = accepted == 1
		if accepted > 1 {
			p.fail()
		}
		c.settled.Daemon, c.settled.Reason = p.name(), p.name()
		c.settled.At = p.time()
		rec.Settled = &c.settled
	case KindClawBack:
		c.clawBack = ClawBack{Wallet: p.name(), Reason: p.name(), At: p.time()}
		rec.ClawBack = &c.clawBack
	case KindVest:
		c.vest = Vest{Wallet: p.name(), Hashes: p.uvarint(), Until: Position(p.uvarint()), At: p.time()}
		rec.Vest = &c.vest
	default:
		return false, false
	}
	return named, p.done()
}

func (p *parser) credit(head byte, rec *Record, c *contents, t *table, began int64) (named bool) {
	if head&^(kindMask|flagName|flagAlone|flagWork) != 0 || head&flagName != 0 && head&flagAlone != 0 {
		p.fail()
		return false
	}
	named = true
	var name pair
	var id uint64
	if head&flagAlone == 0 {
		if id = p.uvarint(); id >= maxNames {
			p.fail()
		}
	}
	switch {
	case head&(flagName|flagAlone) == 0:
		name, named = t.lookup(uint32(id))
	default:
		wallet, worker := p.text(MaxName), p.text(MaxName)
		switch {
		case p.bad:
		case head&flagName != 0:
			name = t.define(uint32(id), wallet, worker)
		default:
			name = pair{wallet: string(wallet), worker: string(worker)}
		}
	}
	rec.Credit = Credit{Wallet: name.wallet, Worker: name.worker, Difficulty: p.uvarint(),
		Time: time.UnixMilli(began + p.varint()).UTC()}
	if head&flagWork != 0 {
		seeded := p.work(&c.work.Work, t)
		rec.Credit.Work = &c.work.Work
		named = named && seeded
	}
	return named
}
