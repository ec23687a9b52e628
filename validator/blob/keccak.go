package blob

import (
	"hash"
	"io"

	"golang.org/x/crypto/sha3"
)

// sponge is Keccak-256 with the original padding: CryptoNote's cn_fast_hash.
// It is read from instead of summed, because Sum copies the 200-byte state.
type sponge struct {
	hash.Hash
	out io.Reader
}

func newSponge() sponge {
	h := sha3.NewLegacyKeccak256()
	// The library promises hash.Hash; that the state can also be read is what
	// its SHAKE functions stand on, and every test here would fail without it.
	return sponge{Hash: h, out: h.(io.Reader)}
}

// sum writes the digest to dst and makes the sponge ready for the next input.
func (s sponge) sum(dst []byte) {
	_, _ = s.out.Read(dst[:32]) // a sponge never ends and never fails
	s.Reset()
}

// Keccak256 hashes the parts one after another as one input.
func Keccak256(parts ...[]byte) [32]byte {
	s := newSponge()
	for _, p := range parts {
		s.Write(p)
	}
	var sum [32]byte
	s.sum(sum[:])
	return sum
}

// BlockID is the id of the block with this hashing blob: the Keccak of the blob
// behind its own length. (Monero's block 202612 alone has another id, fixed by
// consensus after the attack of 2014.)
func BlockID(hashing []byte) [32]byte {
	var length [MaxVarint]byte
	return Keccak256(AppendVarint(length[:0], uint64(len(hashing))), hashing)
}
