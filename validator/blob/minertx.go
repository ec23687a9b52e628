package blob

import (
	"fmt"
	"math"
	"math/bits"
)

// Tags in a miner tx: the input that makes new coins, and the kinds of output.
const (
	inputGenerate  = 0xFF
	outputKey      = 0x02
	outputTagged   = 0x03 // a key and one byte view tag, since Monero v15
	rctNull        = 0x00 // type of the (absent) ring signatures of version 2
	txV1, txV2     = 1, 2
	maxHeaderMajor = math.MaxUint8 // Monero keeps both versions in a byte
)

// minerTx is what is read of the first transaction of a block:
//
//	version | unlock | 1 | FF | height | outputs | extra length | extra | (v2) 00
//	└────────────────────────── prefix ──────────────────────────────┘
type minerTx struct {
	version   uint64
	unlock    uint64
	height    uint64
	reward    uint64
	start     int // of the tx in the template
	prefixEnd int // behind extra
	reserve   span
}

// span is a run of bytes of the template.
type span struct{ at, size int }

// readMinerTx reads the miner tx and finds its extra nonce.
func readMinerTx(c *cursor) minerTx {
	tx := minerTx{start: c.pos}
	tx.version = c.varint("miner tx version", math.MaxUint64)
	if c.err == nil && tx.version != txV1 && tx.version != txV2 {
		c.fail("miner tx", fmt.Errorf("version %d: %w: only 1 and 2 are known", tx.version, ErrRule))
	}
	tx.unlock = c.varint("miner tx unlock time", math.MaxUint64)
	if n := c.varint("miner tx input count", math.MaxUint64); c.err == nil && n != 1 {
		c.fail("miner tx", fmt.Errorf("%d inputs: %w", n, ErrRule))
	}
	if tag := c.byte("miner tx input"); c.err == nil && tag != inputGenerate {
		c.fail("miner tx", fmt.Errorf("input of type %#02x: %w", tag, ErrRule))
	}
	tx.height = c.varint("miner tx height", math.MaxUint64)
	tx.reward = readOutputs(c)
	extra := c.bytes("miner tx extra", int(c.varint("miner tx extra length", MaxExtra)))
	tx.prefixEnd = c.pos
	tx.reserve = findReserve(c, extra)
	if tx.version == txV2 {
		if rct := c.byte("miner tx signature type"); c.err == nil && rct != rctNull {
			c.fail("miner tx", fmt.Errorf("signature type %d: %w", rct, ErrRule))
		}
	}
	return tx
}

// readOutputs reads the outputs and returns the sum of their amounts.
func readOutputs(c *cursor) (sum uint64) {
	n := c.varint("miner tx output count", MaxOutputs)
	if n == 0 {
		c.fail("miner tx", fmt.Errorf("no outputs: %w", ErrRule))
	}
	for i := uint64(0); i < n && c.err == nil; i++ {
		amount := c.varint("output amount", math.MaxUint64)
		switch tag := c.byte("output type"); {
		case tag == outputKey:
			c.bytes("output key", 32)
		case tag == outputTagged:
			c.bytes("output key and view tag", 33)
		default:
			c.fail("output", fmt.Errorf("type %#02x: %w", tag, ErrRule))
		}
		var carry uint64
		if sum, carry = bits.Add64(sum, amount, 0); carry != 0 {
			c.fail("output", fmt.Errorf("sum of amounts %w of 64 bits", ErrLimit))
		}
	}
	return sum
}
