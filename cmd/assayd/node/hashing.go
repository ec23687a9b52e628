package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/native/randomx"
	"github.com/assay-pool/assay/netio/server"
	"github.com/assay-pool/assay/validator/verify"
)

// splitCores divides the cores between event loops and hash workers: one loop for
// every server.CoresPerLoop, all other cores hash, at least one each.
func splitCores(cores, loops, workers int) (int, int) {
	if loops == 0 {
		loops = max(1, cores/server.CoresPerLoop)
	}
	if workers == 0 {
		workers = max(1, cores-loops)
	}
	return loops, workers
}

// startHashing makes CryptoNight's engine and measures its widths, makes the
// RandomX manager, which leaves room for CryptoNight's scratchpads, proves both
// on public vectors, and starts the workers.
func (n *Node) startHashing(ctx context.Context, workers int) error {
	rx, cn := n.cfg.RandomX, n.cfg.CryptoNight
	cn.CPU, cn.Log = n.cpu, n.log
	var err error
	if n.cryptonight, err = cryptonight.New(cn); err != nil {
		return fmt.Errorf("CryptoNight: %w", err)
	}
	if err := n.calibrate(ctx, workers); err != nil {
		return err
	}
	rx.MaxCaches, rx.Idle = n.caches(), n.noRandomX()
	rx.Beside = slices.Repeat([]uint64{uint64(n.cryptonight.ArenaBytes(n.expected...))}, workers)
	rx.CPU, rx.Log, rx.Registerer = n.cpu, n.log, n.registry
	if n.epochs, err = randomx.New(rx); err != nil {
		return fmt.Errorf("RandomX: %w", err)
	}
	if err := n.epochs.SelfTest(); err != nil {
		return fmt.Errorf("RandomX self-test: %w", err)
	}
	return n.startWorkers(workers)
}

// caches is the number of RandomX caches: what the flag says, or current,
// previous and next seed of each pool and one more for late references.
func (n *Node) caches() int {
	if n.cfg.RandomX.MaxCaches != 0 {
		return n.cfg.RandomX.MaxCaches
	}
	return 3*len(n.cfg.Pools) + 1
}

// noRandomX tells whether every pool is known to hash something else today.
func (n *Node) noRandomX() bool {
	for i := range n.cfg.Pools {
		if id, err := n.cfg.Pools[i].Pool.Coin.Latest(); err != nil || id.Family() == algo.RandomX {
			return false
		}
	}
	return true
}

// calibrate measures how many lanes are best for the CryptoNight algorithms the
// pools use today, with as many workers as will hash, unless a flag says it.
// Others, which only an old or forked chain brings up, get the width their
// cache need suggests.
func (n *Node) calibrate(ctx context.Context, workers int) error {
	for i := range n.cfg.Pools {
		if id, err := n.cfg.Pools[i].Pool.Coin.Latest(); err == nil && id.Family() == algo.CryptoNight && !slices.Contains(n.expected, id) {
			n.expected = append(n.expected, id)
		}
	}
	if _, err := n.cryptonight.Calibrate(ctx, workers, n.expected...); err != nil {
		return fmt.Errorf("CryptoNight: %w", err)
	}
	return nil
}

func (n *Node) engines() pow.Engines {
	return pow.Engines{RandomX: n.epochs, CryptoNight: n.cryptonight, Expected: n.expected}
}

// startWorkers starts the hash threads and notes what memory they got. With a
// forced width each hashes a batch of every expected algorithm first.
func (n *Node) startWorkers(workers int) error {
	width := n.cfg.CryptoNight.Width
	pages := make([]cpu.Pages, workers)
	batches := make([][]time.Duration, workers)
	cfg := n.cfg.Verify
	cfg.Workers, cfg.Log, cfg.Registerer = workers, n.log, n.registry
	cfg.NewHasher = func(i int) (verify.Hasher, error) {
		w, err := n.engines().NewWorker()
		if err != nil {
			return nil, err
		}
		pages[i] = w.Pages()
		if width > 1 {
			if batches[i], err = timeBatches(w, n.expected); err != nil {
				w.Close()
				return nil, err
			}
		}
		return w, nil
	}
	cfg.CPUs, n.pinning = pins(n.cfg.Pin, n.cpu, workers)
	var err error
	if n.verify, err = verify.New(cfg); err != nil {
		return fmt.Errorf("hash workers (--workers %d, --cryptonight-width %d, %d MiB of CryptoNight scratchpads each): %w",
			workers, width, n.cryptonight.ArenaBytes(n.expected...)>>20, err)
	}
	n.pads = newScratchpads(n.cryptonight.ArenaBytes(n.expected...), pages)
	n.pads.register(n.registry)
	n.warnSlow(batches, slowBatch)
	return nil
}

// slowBatch is what a batch may take before it is worth a warning: a share that
// came to its worker at --verify-deadline must still be answered in time.
const slowBatch = 500 * time.Millisecond

// timeBatches hashes one full batch of each algorithm.
func timeBatches(h verify.Hasher, algos []algo.ID) ([]time.Duration, error) {
	const inputBytes = 76
	times := make([]time.Duration, len(algos))
	for i, a := range algos {
		key := pow.Key{Algo: a}
		width, _ := h.Batch(key)
		lens := slices.Repeat([]uint32{inputBytes}, width)
		begin := time.Now()
		if err := h.Hash(key, make([]byte, inputBytes*width), lens, make([]byte, cryptonight.HashSize*width)); err != nil {
			return nil, fmt.Errorf("time a batch: %w", err)
		}
		times[i] = time.Since(begin)
	}
	return times, nil
}

// warnSlow tells of algorithms whose batch took a worker longer than limit.
func (n *Node) warnSlow(batches [][]time.Duration, limit time.Duration) {
	for i, a := range n.expected {
		slowest := time.Duration(0)
		for _, times := range batches {
			if len(times) > 0 { // timed
				slowest = max(slowest, times[i])
			}
		}
		if slowest > limit {
			n.log.Warn("--cryptonight-width is too wide for this machine: each share, a found block too, waits for its batch",
				"cryptonight-width", n.cfg.CryptoNight.Width, "algo", a.String(), "batch", slowest.Round(time.Millisecond), "limit", limit)
		}
	}
}
