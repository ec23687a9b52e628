package daemontest

import (
	"encoding/binary"

	"golang.org/x/crypto/sha3"
)

// Spec describes a block template. The zero value of a field takes the default named beside it.
type Spec struct {
	Major, Minor uint8  // 16, 16
	Timestamp    uint64 // 1700000000
	Prev         [32]byte
	Height       uint64
	Reward       uint64     // 600000000000
	Txs          [][32]byte // ids of the other transactions
	ReserveSize  int        // bytes of extra nonce
}

// Built is a template and what a daemon says about it.
type Built struct {
	Blob           []byte
	HashingBlob    []byte // with zero nonce and zero extra nonce
	ReservedOffset int
	NonceOffset    int
	ID             [32]byte // of the block as it stands

	coinbaseAt, coinbaseEnd int // the coinbase in Blob, with its closing RCT byte
	txs                     [][32]byte
}

// basePoint is the ed25519 base point, a valid public key for output and transaction.
var basePoint = [32]byte{0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}

// Build writes the template:
//
//	varint major | minor | timestamp | prev[32] | nonce[4] | coinbase | varint n | n × id[32]
//	coinbase v2: 2 | unlock = height+60 | 1 input: FF height | 1 output: reward 03 key[32] tag
//	             | extra: 01 key[32] 02 len 00… | RCT type 0
func Build(s Spec) Built {
	if s.Major == 0 {
		s.Major, s.Minor = 16, 16
	}
	if s.Timestamp == 0 {
		s.Timestamp = 1700000000
	}
	if s.Reward == 0 {
		s.Reward = 600000000000
	}
	uv := binary.AppendUvarint
	var b []byte
	b = uv(uv(uv(b, uint64(s.Major)), uint64(s.Minor)), s.Timestamp)
	b = append(b, s.Prev[:]...)
	out := Built{NonceOffset: len(b), txs: s.Txs}
	b = append(b, 0, 0, 0, 0)
	out.coinbaseAt = len(b)
	b = uv(uv(append(b, 2), s.Height+60), 1)
	b = uv(append(b, 0xff), s.Height)
	b = uv(uv(b, 1), s.Reward)
	b = append(append(append(b, 3), basePoint[:]...), 0x1e)
	extra := append([]byte{1}, basePoint[:]...)
	extra = uv(append(extra, 2), uint64(s.ReserveSize))
	b = uv(b, uint64(len(extra)+s.ReserveSize))
	b = append(b, extra...)
	out.ReservedOffset = len(b)
	b = append(b, make([]byte, s.ReserveSize)...)
	b = append(b, 0)
	out.coinbaseEnd = len(b)
	b = uv(b, uint64(len(s.Txs)))
	for _, t := range s.Txs {
		b = append(b, t[:]...)
	}
	out.Blob = b
	out.HashingBlob = out.Hashing(b)
	out.ID = BlockID(out.HashingBlob)
	return out
}

// Hashing gives the hashing blob of a block that was filled in from this template.
func (t *Built) Hashing(block []byte) []byte {
	prefix := keccak(block[t.coinbaseAt : t.coinbaseEnd-1])
	rct := keccak([]byte{0})
	parts := append(append(prefix[:], rct[:]...), make([]byte, 32)...)
	leaves := append([][32]byte{keccak(parts)}, t.txs...)
	root := treeHash(leaves)
	h := append([]byte(nil), block[:t.coinbaseAt]...)
	h = append(h, root[:]...)
	return binary.AppendUvarint(h, uint64(len(leaves)))
}

// BlockID is the Keccak of the hashing blob behind its length.
func BlockID(hashing []byte) [32]byte {
	return keccak(append(binary.AppendUvarint(nil, uint64(len(hashing))), hashing...))
}

func keccak(b []byte) (h [32]byte) {
	k := sha3.NewLegacyKeccak256()
	k.Write(b)
	k.Sum(h[:0])
	return h
}

// treeHash by the definition: let c be the largest power of two below n; the first 2c−n leaves
// stay, the others are hashed in pairs to make c nodes; then pairwise to the root.
func treeHash(leaves [][32]byte) [32]byte {
	pair := func(a, b [32]byte) [32]byte { return keccak(append(a[:], b[:]...)) }
	n := len(leaves)
	if n == 1 {
		return leaves[0]
	}
	c := 1
	for c*2 < n {
		c *= 2
	}
	keep := 2*c - n
	nodes := append([][32]byte(nil), leaves[:keep]...)
	for i := keep; i < n; i += 2 {
		nodes = append(nodes, pair(leaves[i], leaves[i+1]))
	}
	for len(nodes) > 1 {
		for i := range len(nodes) / 2 {
			nodes[i] = pair(nodes[2*i], nodes[2*i+1])
		}
		nodes = nodes[:len(nodes)/2]
	}
	return nodes[0]
}
