package verify

import (
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator/blob"
)

// Work is a claim of work and all that is needed to hash it: an input, the key it
// is hashed with, the hash that was claimed, and what that hash may be worth. It
// refers to nothing, neither a session nor a template, so it may be kept, written
// to disk and hashed later or elsewhere.
//
//	┌─────┬───────┬───────┬───┬─────────────────────────────────┐
//	│ Key │ Claim │ Goals │ n │ input: n of MaxInput bytes      │
//	└─────┴───────┴───────┴───┴─────────────────────────────────┘
type Work struct {
	Key   pow.Key  // algorithm, and its seed or height
	Claim [32]byte // what the hash is said to be
	Goals Goals    // what the hash may meet

	n     uint16 // bytes of input in use
	input [MaxInput]byte
}

// MaxInput is the longest input in bytes: the longest hashing blob that XMRig
// takes (its buffer has 408 bytes, and it wants one of them free).
const MaxInput = 407

// Input is what is hashed. It is the work's own memory.
func (w *Work) Input() []byte { return w.input[:w.n] }

// Buffer is the input's own memory, emptied, of capacity MaxInput. An input that
// is appended to it and then given to SetInput costs no memory.
func (w *Work) Buffer() []byte {
	w.n = 0
	return w.input[:0]
}

// SetInput makes in, which may be built in Buffer, the input. One longer than
// MaxInput is refused: false, and there is no input.
func (w *Work) SetInput(in []byte) bool {
	w.n = 0
	if len(in) > MaxInput {
		return false
	}
	w.n = uint16(copy(w.input[:], in))
	return true
}

// MaxChains is the number of chains that one hash may be a block of: the pool's
// own, and room for three that are merge-mined with it.
const MaxChains = 4

// Goals are what a hash is held against.
type Goals struct {
	Job   blob.Target                // the miner's; its zero value is met by no hash
	Chain [MaxChains]blob.Difficulty // of networks, the pool's own first; zero is none
}

// Meets tells which of the goals a hash meets.
func (g *Goals) Meets(hash *[32]byte) Met {
	var met Met
	if g.Job.Meets(hash) {
		met |= MetJob
	}
	for i := range g.Chain {
		if g.Chain[i].Meets(hash) {
			met |= MetChain(i)
		}
	}
	return met
}

// Met is the set of goals that a proven hash meets, one bit each.
//
//	bit  7   6   5   4   3   2   1   0
//	   ┌───┬───┬───┬───┬───┬───┬───┬───┐
//	   │ 0 │ 0 │ 0 │ chain 3 … 0   │job│
//	   └───┴───┴───┴───┴───┴───┴───┴───┘
type Met uint8

// MetJob is a hash that meets the miner's target.
const MetJob Met = 1

// MetChain is a hash that is a block of chain i of [Goals].
func MetChain(i int) Met { return 1 << (1 + i) }

// Chain reports whether the hash is a block of chain i.
func (m Met) Chain(i int) bool { return m&MetChain(i) != 0 }

// Block reports whether the hash is a block of any chain.
func (m Met) Block() bool { return m&^MetJob != 0 }
