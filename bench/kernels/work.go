package kernels

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/assay-pool/assay/native/cryptonight"
)

const (
	// Nonces is the least fixed work: so many inputs, which every path hashes at
	// least once. The checksum is of these, whatever the widths; Config.nonces
	// tells how many there are in a run.
	Nonces = 16
	// inputBytes is a usual hashing blob's length, nonceAt where its nonce stands.
	inputBytes = 76
	nonceAt    = 39
	// height is that of the public vectors of cn/r and cn/wow.
	height = 1806260
	// seed is the RandomX key of public vectors (node-powhash, tests/rx0.txt).
	seed = "12345678901234567890123456789012"

	hashBytes = cryptonight.HashSize
)

// nonces is the fixed work of a run: an input of its own for each lane of the
// widest path. Two lanes with one input would walk through their pads in step,
// and an exchange of their hashes would show nowhere.
func (c *Config) nonces() int { return max(Nonces, slices.Max(c.Widths)) }

// input n is 76 bytes 0, 1, 2, … with the nonce n at byte 39, little-endian.
func appendInput(dst []byte, n int) []byte {
	at := len(dst)
	for i := range inputBytes {
		dst = append(dst, byte(i))
	}
	binary.LittleEndian.PutUint32(dst[at+nonceAt:], uint32(n))
	return dst
}

// hashes are those of all nonces, in order, as far as they are known.
type hashes struct {
	digests []byte
	seen    []bool
}

// newHashes has room for so many nonces, Nonces at least.
func newHashes(nonces int) *hashes {
	return &hashes{digests: make([]byte, nonces*hashBytes), seen: make([]bool, nonces)}
}

// nonces is how many there is room for.
func (h *hashes) nonces() int { return len(h.seen) }

func (h *hashes) at(nonce int) []byte { return h.digests[nonce*hashBytes : (nonce+1)*hashBytes] }

// note takes a hash down. A wrong one stays: among the first Nonces it must show
// in the checksum.
func (h *hashes) note(nonce int, digest []byte, reference *hashes) (right bool) {
	right = bytes.Equal(digest, reference.at(nonce))
	if !right || !h.seen[nonce] {
		copy(h.at(nonce), digest)
		h.seen[nonce] = true
	}
	return right
}

// missing is the first nonce without a hash, or -1.
func (h *hashes) missing() int {
	for n, seen := range h.seen {
		if !seen {
			return n
		}
	}
	return -1
}

// checksum is the first 8 bytes of the SHA-256 of the first Nonces hashes in
// order of their nonces, in hex: equal on every machine and by every path.
func (h *hashes) checksum() string {
	sum := sha256.Sum256(h.digests[:Nonces*hashBytes])
	return hex.EncodeToString(sum[:8])
}

// batch is a thread's buffers for one call.
type batch struct {
	nonces []int
	in     []byte
	lens   []uint32
	out    []byte
}

// newBatch has room for width inputs.
func newBatch(width int) *batch {
	b := &batch{nonces: make([]int, width), lens: make([]uint32, width), out: make([]byte, width*hashBytes)}
	for i := range b.lens {
		b.lens[i] = inputBytes
	}
	return b
}

// set fills the batch with width nonces from start on, modulo nonces. They are
// distinct where width is at most that.
func (b *batch) set(start, nonces int) {
	b.in = b.in[:0]
	for i := range b.nonces {
		b.nonces[i] = (start + i) % nonces
		b.in = appendInput(b.in, b.nonces[i])
	}
}
