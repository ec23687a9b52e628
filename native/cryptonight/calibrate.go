package cryptonight

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
)

// Limits of a calibration. Rounds go over all widths one after the other, so
// that a disturbance of a second touches one round of each instead of all of
// one, and the median forgives it.
const (
	calibrationRounds    = 5
	calibrationMinRounds = 3
	// calibrationTime ends the rounds early: a start-up has several algorithms
	// to measure, and on a crowded machine each hash may take four times as long.
	calibrationTime = 2 * time.Second
	// waitPrice is what a longer batch must gain: all shares of a batch, a
	// found block among them, wait for its end. Twice the time of a batch is
	// worth a tenth less time a hash: 2^0.152 = 1 / 0.9.
	waitPrice = 0.152
	// maxBatchTime bounds that wait whatever it gains: a share that came to its
	// worker at the deadline must still be answered in time.
	maxBatchTime = 500 * time.Millisecond
	// calibrationMemory is the part of the available memory that a calibration
	// may take: the widest batches of a big machine's threads need gigabytes.
	calibrationMemory = 0.25
)

// calibrationWidths are the candidates, ascending. With a cache of its own a
// thread is fastest with as many pads as fit into it. Where others use the
// cache up, every access goes to memory, and the more are under way the better.
func calibrationWidths() []int { return []int{1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64} }

// Measurement is one width's result: CPU time of a hash on one thread while
// all workers hash.
type Measurement struct {
	Width int
	Hash  time.Duration
}

// Calibrate measures, for each algorithm named, which width is fastest with
// so many workers hashing at once, and uses it from then on, unless Config
// forces one. Cache sizes alone mislead: a virtual machine may see 32 MiB of
// L3 and be given 8, or share it with a neighbour. It takes two to four
// seconds for each algorithm of 2 MiB, less for smaller ones, some ten on a slow
// kernel or a crowded machine, and up to 64 pads a worker, a quarter of the
// available memory at most; ctx ends it early. The width in use, measured or
// forced, then passes a self-test, or Calibrate fails. Call it before
// NewWorker; not concurrently with anything else of the engine.
func (e *Engine) Calibrate(ctx context.Context, workers int, algos ...algo.ID) (map[algo.ID][]Measurement, error) {
	results := map[algo.ID][]Measurement{}
	for _, a := range algos {
		if a.Family() != algo.CryptoNight {
			return nil, fmt.Errorf("calibrate %v: %w", a, ErrAlgorithm)
		}
		if e.cfg.Width == 0 {
			measured, err := e.calibrate(ctx, max(workers, 1), len(algos), a)
			if err != nil {
				return nil, fmt.Errorf("calibrate %v: %w", a, err)
			}
			results[a] = measured
			e.widths[a] = best(measured)
		}
		if err := e.selfTest(e.kernel, map[algo.ID]int{a: e.widths[a]}); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// calibrate measures one algorithm at all candidate widths.
func (e *Engine) calibrate(ctx context.Context, workers, algos int, a algo.ID) ([]Measurement, error) {
	memory, err := cpu.AvailableMemory()
	if err != nil {
		return nil, err
	}
	free := memory.Available
	if !e.cfg.NoHugePages {
		free += memory.HugeFree
	}
	widths := affordable(calibrationWidths(), free, workers*algos, a)
	widest := widths[len(widths)-1]
	trial := &Engine{cfg: e.cfg, info: e.info, kernel: e.kernel, widths: map[algo.ID]int{a: widest}}
	pool := make([]*Worker, workers)
	for i := range pool {
		w, err := trial.NewWorker(widest, a)
		if err != nil {
			return nil, err
		}
		defer w.Close()
		pool[i] = w
	}
	times := make([][]time.Duration, len(widths))
	begin := time.Now()
	for r := range calibrationRounds {
		if r >= calibrationMinRounds && time.Since(begin) > calibrationTime {
			break
		}
		for i, width := range widths {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			d, err := round(pool, a, width)
			if err != nil {
				return nil, err
			}
			times[i] = append(times[i], d)
			if width > 1 && time.Duration(width)*d > maxBatchTime {
				widths = widths[:i] // nor any wider one: best would not take it
				break
			}
		}
	}
	measured := make([]Measurement, len(widths))
	for i, width := range widths {
		measured[i] = Measurement{width, median(times[i])}
	}
	return measured, nil
}

// affordable leaves out the widths whose scratchpads take too much of the free
// memory, one worker for each thread and algorithm.
func affordable(widths []int, free uint64, workers int, a algo.ID) []int {
	most := calibrationMemory * float64(free)
	n := 1
	for n < len(widths) && float64(workers)*float64(arenaSize(a, widths[n])) <= most {
		n++
	}
	return widths[:n]
}

// round hashes one batch on every worker at once: mean CPU time of a hash.
func round(pool []*Worker, a algo.ID, width int) (time.Duration, error) {
	const inputBytes = 76
	var wait sync.WaitGroup
	times := make([]time.Duration, len(pool))
	errs := make([]error, len(pool))
	for i, w := range pool {
		wait.Go(func() {
			w.widths[a] = uint8(width)
			in, out := make([]byte, width*inputBytes), make([]byte, width*HashSize)
			lens, heights := make([]uint32, width), make([]uint64, width)
			for l := range lens {
				lens[l] = inputBytes
				in[l*inputBytes] = byte(i*MaxWidth + l)
			}
			times[i], errs[i] = threadTime(func() error { return w.Hash(a, in, lens, heights, out) })
		})
	}
	wait.Wait()
	var sum time.Duration
	for i := range pool {
		if errs[i] != nil {
			return 0, errs[i]
		}
		sum += times[i]
	}
	return sum / time.Duration(width*len(pool)), nil
}

// best is the width with the least time a hash, a batch's time priced in.
func best(measured []Measurement) int {
	width, least := 1, math.Inf(1)
	for _, m := range measured {
		if m.Width > 1 && time.Duration(m.Width)*m.Hash > maxBatchTime {
			continue
		}
		if cost := float64(m.Hash) * math.Pow(float64(m.Width)*float64(m.Hash), waitPrice); cost < least {
			width, least = m.Width, cost
		}
	}
	return width
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
