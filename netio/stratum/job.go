package stratum

import (
	"encoding/hex"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
)

// Job is a job as it goes over the wire. It is filled in place and encoded at
// once, one for each event loop, so that a push costs no allocation.
type Job struct {
	Blob   []byte // hashing blob, nonce zero; at most 408 bytes
	ID     []byte // of the job
	Target blob.Target
	Algo   algo.ID
	Height uint64
	// Seed and NextSeed go out for algorithms that need a seed only; NextSeed
	// is zero while the next epoch is not near.
	Seed, NextSeed *[32]byte
}

// append appends the job object.
func (j *Job) append(dst, session []byte) []byte {
	dst = append(dst, `{"blob":"`...)
	dst = hex.AppendEncode(dst, j.Blob)
	dst = append(dst, `","job_id":"`...)
	dst = append(dst, j.ID...)
	dst = append(dst, `","target":"`...)
	dst = j.Target.AppendHex(dst)
	dst = append(dst, `","algo":"`...)
	dst = append(dst, j.Algo.String()...)
	dst = append(dst, `","height":`...)
	dst = appendUint(dst, j.Height)
	if j.Algo.NeedsSeed() {
		dst = append(dst, `,"seed_hash":"`...)
		dst = hex.AppendEncode(dst, j.Seed[:])
		dst = append(dst, '"')
		if j.NextSeed != nil && *j.NextSeed != ([32]byte{}) {
			dst = append(dst, `,"next_seed_hash":"`...)
			dst = hex.AppendEncode(dst, j.NextSeed[:])
			dst = append(dst, '"')
		}
	}
	dst = append(dst, `,"id":"`...)
	dst = append(dst, session...)
	return append(dst, `"}`...)
}
