package kernels

import (
	"context"
	"fmt"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
)

// hasher is one thread's means to hash; *cryptonight.Worker with an algorithm,
// or *randomx.Worker with an epoch.
type hasher interface {
	hash(in []byte, lens []uint32, out []byte) error
	pages() cpu.Pages
	close()
}

// source makes hashers of one algorithm and kernel.
type source struct {
	algo      algo.ID
	kernel    string // a CryptoNight kernel, or RandomX's memory mode
	newHasher func(width int) (hasher, error)
}

// cnHasher is CryptoNight of one algorithm.
type cnHasher struct {
	w       *cryptonight.Worker
	algo    algo.ID
	heights [cryptonight.MaxWidth]uint64
}

// cnSource hashes with an engine whose width is cryptonight.MaxWidth, so that
// a worker's batch limit is its width.
func cnSource(e *cryptonight.Engine, a algo.ID) source {
	return source{a, e.Kernel().String(), func(width int) (hasher, error) {
		w, err := e.NewWorker(width, a)
		if err != nil {
			return nil, err
		}
		h := &cnHasher{w: w, algo: a}
		for i := range h.heights {
			h.heights[i] = height
		}
		return h, nil
	}}
}

func (h *cnHasher) hash(in []byte, lens []uint32, out []byte) error {
	return h.w.Hash(h.algo, in, lens, h.heights[:len(lens)], out)
}

func (h *cnHasher) pages() cpu.Pages { return h.w.Pages() }

func (h *cnHasher) close() { _ = h.w.Close() } // unmapping our own arena cannot fail

// engine makes a kernel ready, self-test included.
func engine(info *cpu.Info, kernel cryptonight.Kernel, noJIT bool) (*cryptonight.Engine, error) {
	return cryptonight.New(cryptonight.Config{CPU: info, Kernel: &kernel, Width: cryptonight.MaxWidth, NoJIT: noJIT})
}

// rxHasher is RandomX of one seed.
type rxHasher struct {
	m *randomx.Manager
	w *randomx.Worker
	e *randomx.Epoch
}

func rxSource(m *randomx.Manager, kernel string) source {
	return source{algo.RX0, kernel, func(int) (hasher, error) {
		e, err := m.Acquire([32]byte([]byte(seed)))
		if err != nil {
			return nil, err
		}
		w, err := m.NewWorker()
		if err != nil {
			e.Release()
			return nil, err
		}
		return &rxHasher{m, w, e}, nil
	}}
}

func (h *rxHasher) hash(in []byte, lens []uint32, out []byte) error {
	return h.w.Hash(h.e, in, lens, out)
}

// pages is of the memory that bounds the speed: the dataset's, or the cache's.
func (h *rxHasher) pages() cpu.Pages {
	for _, e := range h.m.Status().Epochs {
		if e.Seed == h.e.Seed() {
			if e.State == randomx.Full {
				return e.DataPages
			}
			return e.CachePages
		}
	}
	return cpu.Plain
}

func (h *rxHasher) close() {
	h.w.Close()
	h.e.Release()
}

// openRandomX gives a manager that is ready for the seed: with its dataset in
// mode full, its cache else. The caller closes it.
func openRandomX(ctx context.Context, info *cpu.Info, mode randomx.Mode, note func(string)) (*randomx.Manager, error) {
	// Nothing is verified meanwhile, so the build need not give way as a node's does.
	m, err := randomx.New(randomx.Config{Mode: mode, CPU: info, BuildThreads: max(info.Cores, 1), BuildNice: 1})
	if err != nil {
		return nil, err
	}
	if err := m.SelfTest(); err != nil {
		m.Close()
		return nil, err
	}
	m.Announce("bench", [32]byte([]byte(seed)), [32]byte{})
	if err := m.Wait(ctx, [32]byte([]byte(seed))); err != nil {
		m.Close()
		return nil, err
	}
	if mode == randomx.ModeFull {
		if err := waitFull(ctx, m, note); err != nil {
			m.Close()
			return nil, err
		}
	}
	return m, nil
}

// datasetLook is how often the growth of a dataset is looked at.
const datasetLook = 250 * time.Millisecond

// waitFull waits for the dataset, and tells how far it is.
func waitFull(ctx context.Context, m *randomx.Manager, note func(string)) error {
	tick := time.NewTicker(datasetLook)
	defer tick.Stop()
	for {
		for _, e := range m.Status().Epochs {
			switch {
			case e.State == randomx.Full:
				return nil
			case e.Err != nil:
				return fmt.Errorf("build the RandomX dataset: %w", e.Err)
			default:
				note(fmt.Sprintf("RandomX dataset %.0f %%", 100*e.Progress))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
