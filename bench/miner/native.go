package miner

import (
	"context"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/pow"
)

// Native hashes with this project's own native packages. Miners of one process
// share it, and with it RandomX's caches and datasets.
type Native struct{ engines pow.Engines }

// NewNative hashes over engines, which stay the caller's to close, after every
// miner has ended.
func NewNative(engines pow.Engines) *Native { return &Native{engines} }

// Prepare announces the job's seeds and waits until the current one is usable.
// XMRig is told only what is supported, so a pool that sends another algorithm
// broke a rule before this is reached.
func (n *Native) Prepare(ctx context.Context, owner string, job *xmrig.Job) error {
	if err := n.engines.Supports(job.Algo); err != nil {
		return err
	}
	if !job.Algo.NeedsSeed() {
		return nil
	}
	n.engines.RandomX.Announce(owner, job.Seed, job.NextSeed)
	return n.engines.RandomX.Wait(ctx, job.Seed)
}

// NewHasher makes a worker for one thread. The memory of its virtual machines
// and scratchpads is taken at the first hash.
func (n *Native) NewHasher() (Hasher, error) {
	worker, err := n.engines.NewWorker()
	if err != nil {
		return nil, err
	}
	return nativeHasher{worker}, nil
}

type nativeHasher struct{ *pow.Worker }

func (h nativeHasher) Hash(a algo.ID, seed [32]byte, height uint64, in []byte, lens []uint32, out []byte) error {
	key := pow.Key{Algo: a}
	if a.NeedsSeed() {
		key.Seed = seed
	}
	if a.NeedsHeight() {
		key.Height = height
	}
	return h.Worker.Hash(key, in, lens, out)
}
