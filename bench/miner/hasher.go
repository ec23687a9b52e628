package miner

import (
	"context"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/native/algo"
)

// Hasher is one thread's proof of work. It is used by one goroutine, which is
// locked to its OS thread.
type Hasher interface {
	// Hash writes 32 bytes to out for each of the concatenated inputs of in,
	// whose lengths are lens. seed is for rx/*, height for cn/r.
	Hash(a algo.ID, seed [32]byte, height uint64, in []byte, lens []uint32, out []byte) error
	Close()
}

// Hashers makes hashers and readies what they share. Several miners of one
// process share one.
type Hashers interface {
	// Prepare returns once hashes of the job can be computed, or with the reason
	// why they never can. owner tells miners apart.
	Prepare(ctx context.Context, owner string, job *xmrig.Job) error
	NewHasher() (Hasher, error)
}
