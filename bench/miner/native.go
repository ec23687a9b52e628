package miner

import (
	"context"
	"fmt"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/randomx"
)

// Native hashes with this project's own native packages. Miners of one process
// share it, and with it RandomX's caches and datasets.
type Native struct{ rx *randomx.Manager }

// NewNative hashes over a manager, which stays the caller's to close, after
// every miner has ended.
func NewNative(rx *randomx.Manager) *Native { return &Native{rx} }

// Prepare announces the job's seeds and waits until the current one is usable.
func (n *Native) Prepare(ctx context.Context, owner string, job *xmrig.Job) error {
	if err := supported(job.Algo); err != nil {
		return err
	}
	n.rx.Announce(owner, job.Seed, job.NextSeed)
	return n.rx.Wait(ctx, job.Seed)
}

// supported is the switch over families. XMRig is told only what is supported,
// so a pool that sends another algorithm broke a rule before this is reached.
func supported(a algo.ID) error {
	switch a.Family() {
	case algo.RandomX:
		return randomx.Supports(a)
	case algo.CryptoNight:
		return fmt.Errorf("the miner does not hash %s: it has no CryptoNight kernels", a)
	}
	return fmt.Errorf("the miner does not know the algorithm %s", a)
}

// NewHasher makes a worker for one thread. The memory of its virtual machines
// is taken at the first hash.
func (n *Native) NewHasher() (Hasher, error) {
	worker, err := n.rx.NewWorker()
	if err != nil {
		return nil, fmt.Errorf("randomx worker: %w", err)
	}
	return &nativeHasher{n.rx, worker}, nil
}

type nativeHasher struct {
	rx     *randomx.Manager
	worker *randomx.Worker
}

func (h *nativeHasher) Hash(a algo.ID, seed [32]byte, _ uint64, in []byte, lens []uint32, out []byte) error {
	if err := supported(a); err != nil {
		return err
	}
	epoch, err := h.rx.Acquire(seed)
	if err != nil {
		return err
	}
	defer epoch.Release()
	return h.worker.Hash(epoch, in, lens, out)
}

func (h *nativeHasher) Close() { h.worker.Close() }
