package blob

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
)

// Tags in a miner tx: the input that makes new coins, and the kinds of output.
const (
	inputGenerate  = 0xFF
	outputKey      = 0x02
	outputTagged   = 0x03 // a key and one byte view tag, since Monero v15
	outputHaven    = 0x07
	rctNull        = 0x00 // type of the (absent) ring signatures
	txV1, txV2     = 1, 2
	maxHeaderMajor = math.MaxUint8 // Monero keeps both versions in a byte
)

// minerTx is what is read of the first transaction of a block:
//
//	version | unlock | 1 | FF | height | outputs | extra length | extra | (v2) 00
//	└────────────────────────── prefix ──────────────────────────────┘
//
// Layouts of other coins put fields behind the version and behind extra, see
// [layout]; all of them belong to the prefix.
type minerTx struct {
	version   uint64
	unlock    uint64
	height    uint64
	reward    uint64
	start     int // of the tx in the template
	prefixEnd int // behind extra and what trails it
	reserve   span
}

// span is a run of bytes of the template.
type span struct{ at, size int }

// readMinerTx reads the miner tx and finds its extra nonce.
func readMinerTx(c *cursor, l *layout) minerTx {
	tx := minerTx{start: c.pos}
	tx.version = c.varint("miner tx version", math.MaxUint64)
	if c.err == nil && !l.versions.has(tx.version) {
		c.fail("miner tx", fmt.Errorf("version %d: %w: %s is read for version %v", tx.version, ErrRule, l.name, l.versions))
	}
	times := readPrelude(c, l.times)
	if !l.noUnlock {
		tx.unlock = c.varint("miner tx unlock time", math.MaxUint64)
	}
	if n := c.varint("miner tx input count", math.MaxUint64); c.err == nil && n != 1 {
		c.fail("miner tx", fmt.Errorf("%d inputs: %w", n, ErrRule))
	}
	if tag := c.byte("miner tx input"); c.err == nil && tag != inputGenerate {
		c.fail("miner tx", fmt.Errorf("input of type %#02x: %w", tag, ErrRule))
	}
	tx.height = c.varint("miner tx height", math.MaxUint64)
	sum := readOutputs(c, l.outputs)
	tx.reward = sum.reward
	if l.noUnlock {
		tx.unlock = sum.unlock
	}
	if c.err == nil && l.times != noPrelude && times != sum.count {
		c.fail("miner tx", fmt.Errorf("%d unlock times for %d outputs: %w", times, sum.count, ErrRule))
	}
	extra := c.bytes("miner tx extra", int(c.varint("miner tx extra length", MaxExtra)))
	tx.reserve = findReserve(c, extra, l.winner)
	readTrailing(c, l.trailing)
	tx.prefixEnd = c.pos
	if l.threeParts(tx.version) {
		if rct := c.byte("miner tx signature type"); c.err == nil && rct != rctNull {
			c.fail("miner tx", fmt.Errorf("signature type %d: %w", rct, ErrRule))
		}
	}
	return tx
}

// readPrelude reads what follows the version and returns how many unlock times
// there are.
func readPrelude(c *cursor, form prelude) (times uint64) {
	if form == noPrelude {
		return 0
	}
	if form == typeAndTimes {
		readType(c)
	}
	times = c.varint("unlock time count", MaxOutputs)
	for i := uint64(0); i < times && c.err == nil; i++ {
		c.varint("output unlock time", math.MaxUint64)
	}
	return times
}

// readType reads a transaction type; a miner tx is of the standard one.
func readType(c *cursor) {
	if typ := c.varint("miner tx type", math.MaxUint64); typ != 0 {
		c.fail("miner tx", fmt.Errorf("type %d: %w", typ, ErrRule))
	}
}

func readTrailing(c *cursor, form trailing) {
	switch form {
	case trailingType:
		readType(c)
	case priceFields:
		c.varint("price record height", math.MaxUint64)
		c.varint("amount burnt", math.MaxUint64)
		c.varint("amount minted", math.MaxUint64)
	}
}

// outputSum is what is kept of the outputs.
type outputSum struct {
	count  uint64
	reward uint64 // of the first output's asset
	unlock uint64 // of the first output, where outputs have their own
}

// readOutputs reads the outputs and sums their amounts. Where outputs name an
// asset, the miner is paid in that of the first.
func readOutputs(c *cursor, form outputs) (sum outputSum) {
	sum.count = c.varint("miner tx output count", MaxOutputs)
	if sum.count == 0 {
		c.fail("miner tx", fmt.Errorf("no outputs: %w", ErrRule))
	}
	var first []byte
	for i := uint64(0); i < sum.count && c.err == nil; i++ {
		amount := c.varint("output amount", math.MaxUint64)
		asset, unlock := readOutput(c, form)
		if i == 0 {
			first, sum.unlock = asset, unlock
		} else if !bytes.Equal(asset, first) {
			continue
		}
		var carry uint64
		if sum.reward, carry = bits.Add64(sum.reward, amount, 0); carry != 0 {
			c.fail("output", fmt.Errorf("sum of amounts %w of 64 bits", ErrLimit))
		}
	}
	return sum
}

// readOutput reads an output behind its amount. A plain one has neither asset
// nor unlock time.
func readOutput(c *cursor, form outputs) (asset []byte, unlock uint64) {
	switch tag := c.byte("output type"); {
	case form == plainOutputs && tag == outputKey:
		c.bytes("output key", 32)
	case form == plainOutputs && tag == outputTagged:
		c.bytes("output key and view tag", 33)
	case form == havenOutputs && tag == outputHaven:
		c.bytes("output key", 32)
		asset = c.bytes("output asset", int(c.varint("output asset length", maxAsset)))
		unlock = c.varint("output unlock time", math.MaxUint64)
		c.bytes("output collateral flags and view tag", 3)
	case form == zephyrOutputs && tag == outputKey:
		c.bytes("output key", 32)
		asset = c.bytes("output asset", int(c.varint("output asset length", maxAsset)))
		c.bytes("output view tag", 1)
	default:
		c.fail("output", fmt.Errorf("type %#02x: %w", tag, ErrRule))
	}
	return asset, unlock
}
