package pow

import (
	"errors"
	"fmt"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
)

// Key is what inputs must have in common to be hashed in one batch.
type Key struct {
	Algo   algo.ID
	Seed   [32]byte // of algorithms that need one, else zero
	Height uint64   // of algorithms whose program depends on it, else zero
}

// ErrEpoch is a seed that is not resident.
var ErrEpoch = errors.New("the seed's epoch is not resident")

// Engines are what all threads share. Either may be nil: its algorithms are
// then refused by name.
type Engines struct {
	RandomX     *randomx.Manager
	CryptoNight *cryptonight.Engine
	// Expected are the CryptoNight algorithms each worker takes memory for when
	// it is made. All others work too, but their first hash waits for memory.
	Expected []algo.ID
}

// Supports tells whether an algorithm can be hashed, or why not.
func (e Engines) Supports(a algo.ID) error {
	switch a.Family() {
	case algo.RandomX:
		if e.RandomX == nil {
			return fmt.Errorf("%v needs RandomX, which is not set up here", a)
		}
		return randomx.Supports(a)
	case algo.CryptoNight:
		if e.CryptoNight == nil {
			return fmt.Errorf("%v needs CryptoNight, which is not set up here", a)
		}
		if e.CryptoNight.Width(a) == 0 {
			return fmt.Errorf("%v has no CryptoNight kernel", a)
		}
		return nil
	}
	return fmt.Errorf("%v is not an algorithm that can be hashed", a)
}

// Worker hashes on one OS thread at a time. Not safe for concurrent use.
type Worker struct {
	engines Engines
	rx      *randomx.Worker     // nil without RandomX
	cn      *cryptonight.Worker // of Engines.Expected; nil without
	others  *cryptonight.Worker // of all CryptoNight algorithms, made when one outside Expected comes
	heights []uint64
}

// NewWorker makes a thread's worker, with memory behind the scratchpads of the
// expected CryptoNight algorithms: the largest one's, as one hashes at a time.
// Call it on the worker's thread, so that the memory is near. Errors: memory
// lacks; an expected algorithm that is not supported, or not CryptoNight.
func (e Engines) NewWorker() (*Worker, error) {
	w := &Worker{engines: e}
	if e.RandomX != nil {
		rx, err := e.RandomX.NewWorker()
		if err != nil {
			return nil, fmt.Errorf("make a RandomX worker: %w", err)
		}
		w.rx = rx
	}
	if err := w.expect(e.Expected); err != nil {
		w.Close()
		return nil, fmt.Errorf("make a CryptoNight worker: %w", err)
	}
	return w, nil
}

func (w *Worker) expect(algos []algo.ID) (err error) {
	if len(algos) == 0 {
		return nil
	}
	for _, a := range algos {
		if a.Family() != algo.CryptoNight {
			return fmt.Errorf("%v is not one of its algorithms", a)
		}
		if err := w.engines.Supports(a); err != nil {
			return err
		}
	}
	if w.cn, err = w.engines.CryptoNight.NewWorker(cryptonight.MaxWidth, algos...); err != nil {
		return err
	}
	return w.cn.Populate()
}

// Pages is the kind of memory that the scratchpads of the expected CryptoNight
// algorithms lie in; plain if none is expected.
func (w *Worker) Pages() cpu.Pages {
	if w.cn == nil {
		return cpu.Plain
	}
	return w.cn.Pages()
}

// fullWidth is the RandomX batch in full-memory mode. Pipelining gains its
// 1…4 % from the second hash on, and four hashes (8 ms) keep replies prompt. In
// light mode a hash takes 22 ms and gains nothing, so they go one by one.
const fullWidth = 4

// Batch says how many inputs of a key one call takes at best, and whether a
// full batch gains enough to wait for it: interleaved CryptoNight does, by a
// factor of four and more; pipelined RandomX does not.
func (w *Worker) Batch(key Key) (width int, wait bool) {
	switch key.Algo.Family() {
	case algo.CryptoNight:
		if w.engines.CryptoNight != nil {
			return max(w.engines.CryptoNight.MaxBatch(key.Algo), 1), true
		}
	case algo.RandomX:
		if w.engines.RandomX == nil {
			return 1, false
		}
		epoch, err := w.engines.RandomX.Acquire(key.Seed)
		if err != nil {
			return 1, false
		}
		defer epoch.Release()
		if epoch.Full() {
			return fullWidth, false
		}
	}
	return 1, false
}

// Hash hashes the concatenated inputs in, of the given lengths, to out, 32
// bytes each. Errors: ErrEpoch; an algorithm that is not supported; the
// family's own.
func (w *Worker) Hash(key Key, in []byte, lens []uint32, out []byte) error {
	if err := w.engines.Supports(key.Algo); err != nil {
		return err
	}
	if key.Algo.Family() == algo.CryptoNight {
		return w.cryptoNight(key, in, lens, out)
	}
	epoch, err := w.engines.RandomX.Acquire(key.Seed)
	if err != nil {
		return errors.Join(ErrEpoch, err)
	}
	defer epoch.Release()
	return w.rx.Hash(epoch, in, lens, out)
}

func (w *Worker) cryptoNight(key Key, in []byte, lens []uint32, out []byte) error {
	cn := w.cn
	if cn == nil || cn.MaxBatch(key.Algo) == 0 {
		if w.others == nil {
			var err error
			// Only pads in use become memory: one arena does for all.
			if w.others, err = w.engines.CryptoNight.NewWorker(cryptonight.MaxWidth); err != nil {
				return fmt.Errorf("make a %v worker: %w", key.Algo, err)
			}
		}
		cn = w.others
	}
	w.heights = w.heights[:0]
	for range lens {
		w.heights = append(w.heights, key.Height)
	}
	return cn.Hash(key.Algo, in, lens, w.heights, out)
}

// Close frees what the thread owns.
func (w *Worker) Close() {
	if w.rx != nil {
		w.rx.Close()
	}
	for _, cn := range []*cryptonight.Worker{w.cn, w.others} {
		if cn != nil {
			// Unmapping our own arena fails only if it is not ours.
			_ = cn.Close()
		}
	}
}
