package blob

import (
	"fmt"
	"math"
	"sync"
)

// nonceSize is the length of the header's nonce in bytes.
const nonceSize = 4

// Template is a block template that has been read to its last byte.
// Immutable after [Parse] and safe for concurrent use.
type Template struct {
	Type         Type
	Major, Minor uint8    // block version, and the version the miner votes for
	Timestamp    uint64   // seconds since 1970
	Prev         [32]byte // id of the block before
	Nonce        [4]byte  // as it stands in the template

	TxVersion  uint64 // of the miner tx: 1 or 2 for CryptoNote
	Height     uint64 // from the miner tx's input
	UnlockTime uint64 // height from which the reward can be spent
	Reward     uint64 // sum of the miner tx's outputs of the first one's asset, atomic units
	TxCount    int    // transactions beside the miner tx

	NonceOffset    int // of the nonce, in the template and in the hashing blob
	ReservedOffset int // of the first reserved byte in the template; 0 when there is none
	ReserveSize    int // reserved bytes there are: what was asked for or more

	raw       []byte // the whole template, our own copy
	txStart   int    // of the miner tx in raw
	prefixEnd int    // where the hashed prefix of the miner tx ends
	idsStart  int    // of the other transactions' ids in raw
	domain    []byte // hashed before the prefix; most layouts have none

	threeParts bool       // the miner tx's id is the hash of three hashes
	branch     [][32]byte // siblings of leaf 0 up to the root
	tail       []byte     // varint of the transactions, the miner tx counted; the uncle
	nullHash   [32]byte   // hash of the absent ring signatures of a miner tx
	hashers    sync.Pool  // *hasher: sponges idle between two calls
}

// Parse reads a block template of the given type in which at least reserve
// bytes must be reserved for the pool's extra nonce. Nothing is assumed: every
// offset is found by reading, and a template with bytes left over, a field of
// unknown length, a needlessly long varint or two extra nonces is refused. The
// template is copied.
func Parse(typ Type, template []byte, reserve int) (*Template, error) {
	l, ok := layoutOf(typ)
	if !ok {
		return nil, fmt.Errorf("block template: %v is unknown", typ)
	}
	if err := l.unserved(); err != nil {
		return nil, fmt.Errorf("block template: %w", err)
	}
	if len(template) > MaxTemplate {
		return nil, fmt.Errorf("block template: %d bytes are %w of %d", len(template), ErrLimit, MaxTemplate)
	}
	t := &Template{Type: typ, raw: append([]byte(nil), template...)}
	if err := t.read(l, reserve); err != nil {
		return nil, fmt.Errorf("block template: %w", err)
	}
	t.hashers.New = func() any { return &hasher{sponge: newSponge()} }
	return t, nil
}

func (t *Template) read(l *layout, reserve int) error {
	c := &cursor{buf: t.raw}
	t.Major = uint8(c.varint("major version", maxHeaderMajor))
	if c.err == nil && !l.majors.has(uint64(t.Major)) {
		c.fail("header", fmt.Errorf("block version %d: %w: %s is read for version %v", t.Major, ErrRule, l.name, l.majors))
	}
	t.Minor = uint8(c.varint("minor version", maxHeaderMajor))
	t.Timestamp = c.varint("timestamp", math.MaxUint64)
	copy(t.Prev[:], c.bytes("previous block id", 32))
	t.NonceOffset = c.pos
	copy(t.Nonce[:], c.bytes("nonce", nonceSize))
	c.bytes("price record or signature", l.behind)

	tx := readMinerTx(c, l)
	t.TxVersion, t.Height, t.UnlockTime, t.Reward = tx.version, tx.height, tx.unlock, tx.reward
	t.txStart, t.prefixEnd = tx.start, tx.prefixEnd

	t.TxCount = int(c.varint("transaction count", MaxTransactions))
	t.idsStart = c.pos
	ids := c.bytes("transaction ids", 32*t.TxCount)
	var uncle []byte
	if l.uncle {
		uncle = c.bytes("uncle", 32)
	}
	if c.err == nil && c.left() != 0 {
		c.fail("end", fmt.Errorf("%d %w", c.left(), ErrTrailing))
	}
	if c.err != nil {
		return c.err
	}
	if reserve > tx.reserve.size {
		return fmt.Errorf("extra: %d bytes reserved, %d needed: %w", tx.reserve.size, reserve, ErrReserve)
	}
	t.ReservedOffset, t.ReserveSize = tx.reserve.at, tx.reserve.size

	leaves := make([][32]byte, 1+t.TxCount)
	for i := range t.TxCount {
		copy(leaves[i+1][:], ids[32*i:])
	}
	s := newSponge()
	t.branch = leftBranch(s, leaves)
	t.tail = append(AppendVarint(nil, uint64(t.TxCount)+1), uncle...)
	t.domain, t.threeParts = []byte(l.domain), l.threeParts(t.TxVersion)
	t.nullHash = Keccak256([]byte{rctNull})
	return nil
}

// TxIDs are the ids of the transactions beside the miner tx, 32 bytes each. They
// are the template's own bytes and must not be changed.
func (t *Template) TxIDs() []byte { return t.raw[t.idsStart:][: 32*t.TxCount : 32*t.TxCount] }

// HashingNonceOffset is where the nonce stands in the hashing blob: the header
// begins both blobs, so it is [Template.NonceOffset] too.
func (t *Template) HashingNonceOffset() int { return t.NonceOffset }

// CheckOffsets compares the daemon's own reserved_offset with the one found.
func (t *Template) CheckOffsets(reserved int) error {
	if reserved != t.ReservedOffset {
		return fmt.Errorf("block template: the daemon reserves bytes at %d, the extra nonce is at %d", reserved, t.ReservedOffset)
	}
	return nil
}

// AppendBlock appends the whole block as it is submitted: the template with
// extra over the first reserved bytes and nonce, little-endian, in the header.
// extra must not be longer than [Template.ReserveSize].
func (t *Template) AppendBlock(dst, extra []byte, nonce uint32) []byte {
	t.mustFit(extra)
	start := len(dst)
	dst = append(dst, t.raw...)
	block := dst[start:]
	for i := range nonceSize {
		block[t.NonceOffset+i] = byte(nonce >> (8 * i))
	}
	copy(block[t.ReservedOffset:], extra)
	return dst
}

// mustFit stops a caller that would write behind the reserve: Parse was told
// the size, so this is a mistake in code and never one in data.
func (t *Template) mustFit(extra []byte) {
	if len(extra) > t.ReserveSize {
		panic(fmt.Sprintf("blob: extra nonce of %d bytes in a reserve of %d", len(extra), t.ReserveSize))
	}
}
