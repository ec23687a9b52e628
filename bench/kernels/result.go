package kernels

import (
	"fmt"
	"slices"

	"github.com/assay-pool/assay/native/algo"
)

// Result is one path's.
type Result struct {
	Algo    string `json:"algo"`
	Kernel  string `json:"kernel"` // of CryptoNight; the memory mode of RandomX
	Width   int    `json:"width"`  // lanes in lockstep; hashes a call of RandomX
	Threads int    `json:"threads"`

	// Medians over the rounds.
	Rate   float64 `json:"hashes_per_second"` // all threads, by the wall clock
	HashMS float64 `json:"cpu_ms_per_hash"`   // CPU time of a thread
	// BatchMS is the wall time of a batch: the wait of each share in it.
	BatchMS float64 `json:"batch_ms"`
	// Medians of the ratios within a round, by CPU time; 0 if the other path was
	// not measured. XLane is against width 1 of the same kernel and threads,
	// XThread against one thread of the same kernel and width.
	XLane   float64 `json:"times_one_lane,omitempty"`
	XThread float64 `json:"times_one_thread,omitempty"`

	Hashes   uint64  `json:"hashes"` // all that were made and compared
	Wrong    uint64  `json:"wrong_hashes"`
	Pages    string  `json:"pages"`
	Checksum string  `json:"checksum"`           // of the first Nonces hashes by this path
	Expected string  `json:"expected,omitempty"` // of the reference, if it differs
	OK       bool    `json:"ok"`
	Rounds   []Round `json:"rounds"`
}

// results evaluates the paths of one algorithm.
func results(cells []*cell, cores int) []Result {
	list := make([]Result, 0, len(cells))
	for _, c := range cells {
		expected := c.reference.checksum()
		r := Result{
			Algo: c.algo.String(), Kernel: c.kernel, Width: c.width, Threads: c.threads,
			Rate:   median(c.rounds, func(i int) float64 { return c.rounds[i].Rate }),
			HashMS: median(c.rounds, func(i int) float64 { return c.rounds[i].HashMS }),
			Hashes: c.hashed, Wrong: c.wrong, Pages: c.kind, Checksum: c.got.checksum(), Rounds: c.rounds,
		}
		r.BatchMS = float64(c.width*c.threads) / r.Rate * 1e3
		r.OK = c.wrong == 0 && r.Checksum == expected
		if r.Checksum != expected {
			r.Expected = expected
		}
		if one := find(cells, c, 1, c.threads); one != nil {
			r.XLane = median(c.rounds, func(i int) float64 { return speed(c, i, cores) / speed(one, i, cores) })
		}
		if one := find(cells, c, c.width, 1); one != nil {
			r.XThread = median(c.rounds, func(i int) float64 { return speed(c, i, cores) / speed(one, i, cores) })
		}
		list = append(list, r)
	}
	return list
}

// speed is hashes per ms of CPU time in a round, of as many threads as can run
// at once: threads beyond the cores take turns and add nothing.
func speed(c *cell, round, cores int) float64 {
	return float64(min(c.threads, max(cores, 1))) / c.rounds[round].HashMS
}

// find gives the path of c's kernel with another width or thread count.
func find(cells []*cell, c *cell, width, threads int) *cell {
	for _, o := range cells {
		if o.kernel == c.kernel && o.width == width && o.threads == threads {
			return o
		}
	}
	return nil
}

// median of a figure of each round.
func median(rounds []Round, figure func(i int) float64) float64 {
	values := make([]float64, len(rounds))
	for i := range rounds {
		values[i] = figure(i)
	}
	return middle(values)
}

// middle is the median; it sorts values.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// Mismatches names the paths with wrong hashes.
func Mismatches(list []Result) []string {
	var names []string
	for _, r := range list {
		if !r.OK {
			names = append(names, fmt.Sprintf("%s %s x%d, threads %d: %d of %d hashes are wrong", r.Algo, r.Kernel, r.Width, r.Threads, r.Wrong, r.Hashes))
		}
	}
	return names
}

// Below names the CryptoNight variants whose best batch, by the last kernel
// measured and its fewest threads, is less than least times one lane.
func Below(list []Result, least float64) []string {
	best, order := map[string]Result{}, []string{}
	for _, r := range list {
		if a, err := algo.Parse(r.Algo); err != nil || a.Family() != algo.CryptoNight || r.XLane == 0 {
			continue
		}
		old, known := best[r.Algo]
		if !known {
			order = append(order, r.Algo)
		}
		if !known || r.Kernel != old.Kernel || r.Threads == old.Threads && r.XLane > old.XLane {
			best[r.Algo] = r
		}
	}
	var names []string
	for _, a := range order {
		if r := best[a]; r.XLane < least {
			names = append(names, fmt.Sprintf("%s %s: x%d is %.2f times one lane", a, r.Kernel, r.Width, r.XLane))
		}
	}
	return names
}
