package cryptonight

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/assay-pool/assay/native/algo"
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
	// worthRatio is the gain for which a wider batch is preferred: below it
	// the wider one only makes each share wait longer.
	worthRatio = 0.97
)

// calibrationWidths are the candidates, ascending.
func calibrationWidths() []int { return []int{1, 2, 3, 4, 5, 6, 8, 12, 16} }

// Measurement is one width's result: CPU time of a hash on one thread while
// all workers hash.
type Measurement struct {
	Width int
	Hash  time.Duration
}

// Calibrate measures, for each algorithm named, which width is fastest with
// so many workers hashing at once, and uses it from then on, unless Config
// forces one. Cache sizes alone mislead: a virtual machine may see 32 MiB of
// L3 and be given 8, or share it with a neighbour. It takes two or three
// seconds for each algorithm of 2 MiB, less for smaller ones, more on a crowded
// machine; ctx ends it early. Call it before NewWorker; not concurrently with
// anything else of the engine.
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

// calibrate measures one algorithm at all candidate widths.
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
	widths := calibrationWidths()
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
		}
	}
	measured := make([]Measurement, len(widths))
	for i, width := range widths {
		measured[i] = Measurement{width, median(times[i])}
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
