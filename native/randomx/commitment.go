package randomx

import "golang.org/x/crypto/blake2b"

// Commitment is BLAKE2b-256(blob ‖ hash), rx/2's commitment to a RandomX hash
// (RandomX 1.2, randomx_calculate_commitment). It costs under a microsecond, so
// a claimed hash can be refused before the expensive one is computed. In
// XMRig's rx/2 submit, "result" carries the commitment and "commitment" the hash.
func Commitment(blob []byte, hash [32]byte) [32]byte {
	h, err := blake2b.New256(nil)
	if err != nil {
		panic(err) // only a key can be wrong, and there is none
	}
	h.Write(blob)
	h.Write(hash[:])
	var out [32]byte
	h.Sum(out[:0])
	return out
}
