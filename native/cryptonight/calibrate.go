package cryptonight

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/assay-pool/assay/native/algo"
)

// Limits of a calibration.
const (
	// calibrationRounds: the median of three forgives one disturbance.
	calibrationRounds = 3
	// giveUpRatio ends the climb: once the pads fall out of the cache, or the
	// core is saturated, wider batches do not come back.
	giveUpRatio = 1.5
	// worthRatio is the gain for which a wider batch is preferred: below it
	// the wider one only makes each share wait longer.
	worthRatio = 0.97
)

// calibrationWidths are the candidates, ascending.
func calibrationWidths() []int { return []int{1, 2, 3, 4, 5, 6, 8, 10, 12, 16} }

// Measurement is one width's result: CPU time of a hash on one thread while
// all workers hash.
type Measurement struct {
	Width int
	Hash  time.Duration
}

// Calibrate measures, for each algorithm named, which width is fastest with
// so many workers hashing at once, and uses it from then on, unless Config
// forces one. Cache sizes alone mislead: a virtual machine may see 32 MiB of
// L3 and be given 8. It takes about a second an algorithm. Call it before
// NewWorker; not concurrently with anything else of the engine.
func (e *Engine) Calibrate(ctx context.Context, workers int, algos ...algo.ID) (map[algo.ID][]Measurement, error) {
	results := map[algo.ID][]Measurement{}
	for _, a := range algos {
		if a.Family() != algo.CryptoNight {
			return nil, fmt.Errorf("calibrate %v: %w", a, ErrAlgorithm)
		}
		if e.cfg.Width > 0 {
			continue
		}
		measured, err := e.calibrate(ctx, max(workers, 1), a)
		if err != nil {
			return nil, fmt.Errorf("calibrate %v: %w", a, err)
		}
		results[a] = measured
		e.widths[a] = best(measured)
	}
	return results, nil
}

// calibrate measures one algorithm, climbing until it no longer pays.
func (e *Engine) calibrate(ctx context.Context, workers int, a algo.ID) ([]Measurement, error) {
	trial := &Engine{cfg: e.cfg, info: e.info, kernel: e.kernel, widths: map[algo.ID]int{a: MaxWidth}}
	pool := make([]*Worker, workers)
	for i := range pool {
		w, err := trial.NewWorker(MaxWidth, a)
		if err != nil {
			return nil, err
		}
		defer w.Close()
		pool[i] = w
	}
	var measured []Measurement
	lowest := time.Duration(0)
	for _, width := range calibrationWidths() {
		rounds := make([]time.Duration, 0, calibrationRounds)
		for range calibrationRounds {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			d, err := round(pool, a, width)
			if err != nil {
				return nil, err
			}
			rounds = append(rounds, d)
		}
		m := Measurement{width, median(rounds)}
		measured = append(measured, m)
		if lowest == 0 || m.Hash < lowest {
			lowest = m.Hash
		} else if float64(m.Hash) > giveUpRatio*float64(lowest) {
			break
		}
	}
	return measured, nil
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

// best is the narrowest width that is about as fast as the fastest.
func best(measured []Measurement) int {
	width, hash := 1, time.Duration(0)
	for _, m := range measured {
		if hash == 0 || float64(m.Hash) < worthRatio*float64(hash) {
			width, hash = m.Width, m.Hash
		}
	}
	return width
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
