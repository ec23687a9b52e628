package journal

import (
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/verify"
)

// workRoom is the memory of a record's work.
type workRoom struct{ verify.Work }

// A work in a credit's payload:
//
//	1     algorithm
//	1     seed: none, a number, a number and the seed, the seed alone
//	u 32  of these what there is
//	u     height
//	32    claim
//	1     goals: bit 0 a target, bit 1 of 16 digits, bits 4 to 7 a difficulty of chain 0 to 3
//	u     the target as it is on the wire
//	u u   high and low half of a difficulty, for each
//	u,n   input
const (
	seedNone byte = iota
	seedNumber
	seedDefined
	seedAlone
)

const (
	goalTarget = 1 << 0
	goalWide   = 1 << 1
	goalChain  = 1 << 4 // of chain 0; those of others follow
)

const _ = uint(4 - verify.MaxChains) // there are bits for four

func appendWork(dst []byte, w *verify.Work, seeds *book[[32]byte]) []byte {
	dst = append(dst, byte(w.Key.Algo))
	dst = appendSeed(dst, w.Key.Seed, seeds)
	dst = binary.AppendUvarint(dst, w.Key.Height)
	dst = append(dst, w.Claim[:]...)
	dst = appendGoals(dst, &w.Goals)
	return appendString(dst, w.Input())
}

func appendSeed(dst []byte, seed [32]byte, seeds *book[[32]byte]) []byte {
	if seed == ([32]byte{}) {
		return append(dst, seedNone)
	}
	id, define, numbered := seeds.number(seed, len(seed), ownSeed)
	switch {
	case !numbered:
		dst = append(dst, seedAlone)
	case define:
		dst = binary.AppendUvarint(append(dst, seedDefined), uint64(id))
	default:
		return binary.AppendUvarint(append(dst, seedNumber), uint64(id))
	}
	return append(dst, seed[:]...)
}

func appendGoals(dst []byte, g *verify.Goals) []byte {
	at := len(dst)
	dst = append(dst, 0)
	var flags byte
	if g.Job != (blob.Target{}) {
		wire, wide := wireOf(g.Job)
		flags |= goalTarget
		if wide {
			flags |= goalWide
		}
		dst = binary.AppendUvarint(dst, wire)
	}
	for i, d := range g.Chain {
		if d.IsZero() {
			continue
		}
		flags |= goalChain << i
		dst = binary.AppendUvarint(dst, d.Hi)
		dst = binary.AppendUvarint(dst, d.Lo)
	}
	dst[at] = flags
	return dst
}

// wireOf is a target as a miner was sent it: the number its digits are, and
// whether there are 16 of them.
func wireOf(t blob.Target) (wire uint64, wide bool) {
	var room [16]byte
	digits := t.AppendHex(room[:0])
	var raw [8]byte
	hex.Decode(raw[:], digits) // hex.AppendEncode has made them
	return binary.LittleEndian.Uint64(raw[:]), len(digits) == len(room)
}

// targetOf is the target that wireOf was given; ok is false if there is none. A
// target is the quotient of 2^64-1, or 2^32-1, and a difficulty, so it is also
// that of the largest difficulty with this quotient.
func targetOf(wire uint64, wide bool) (t blob.Target, ok bool) {
	if wire == 0 {
		return t, false
	}
	if wide {
		t = blob.TargetFor(math.MaxUint64 / wire)
	} else {
		t = blob.TargetFor(min(math.MaxUint32/wire, blob.WideTargetFrom-1))
	}
	has, isWide := wireOf(t)
	return t, has == wire && isWide == wide
}

// work reads a work; seeded is false if the seed's definition is lost.
func (p *parser) work(w *verify.Work, t *table) (seeded bool) {
	w.Key.Algo = algo.ID(p.byte())
	seeded = p.seed(&w.Key.Seed, t)
	w.Key.Height = p.uvarint()
	copy(w.Claim[:], p.take(32))
	p.goals(&w.Goals)
	if !w.SetInput(p.text(verify.MaxInput)) {
		p.fail()
	}
	return seeded
}

func (p *parser) seed(seed *[32]byte, t *table) (known bool) {
	*seed = [32]byte{}
	how := p.byte()
	var id uint64
	if how == seedNumber || how == seedDefined {
		if id = p.uvarint(); id >= maxSeeds {
			p.fail()
			return false
		}
	}
	switch how {
	case seedNone:
	case seedNumber:
		*seed = t.seeds[id].seed
		return t.seeds[id].known
	case seedDefined, seedAlone:
		copy(seed[:], p.take(32))
		if how == seedDefined && !p.bad {
			t.seeds[id].seed, t.seeds[id].known = *seed, true
		}
	default:
		p.fail()
	}
	return true
}

func (p *parser) goals(g *verify.Goals) {
	*g = verify.Goals{}
	flags := p.byte()
	if flags&^(goalTarget|goalWide|0xf*goalChain) != 0 || flags&(goalTarget|goalWide) == goalWide {
		p.fail()
		return
	}
	if flags&goalTarget != 0 {
		t, ok := targetOf(p.uvarint(), flags&goalWide != 0)
		if !ok {
			p.fail()
			return
		}
		g.Job = t
	}
	for i := range g.Chain {
		if flags&(goalChain<<i) != 0 {
			g.Chain[i] = blob.Difficulty{Hi: p.uvarint(), Lo: p.uvarint()}
		}
	}
}
