package kernels

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cryptonight"
)

// Parts is where the CPU time of a hash goes, on one thread: medians over the
// rounds, in ms a hash.
type Parts struct {
	Algo   string `json:"algo"`
	Kernel string `json:"kernel"`
	Width  int    `json:"width"`

	Explode float64 `json:"explode_ms"`
	Loop    float64 `json:"loop_ms"`
	Implode float64 `json:"implode_ms"`
	// Fill is explode and implode against the three together.
	Fill float64 `json:"fill_share"`
	// Confined is the loop's time with each lane kept to Reach bytes of its pad,
	// so that all lanes fit into half of L2: what its instructions cost.
	Confined float64 `json:"confined_loop_ms"`
	Reach    int     `json:"reach_bytes"`
	// Misses is Loop against Confined: 1 where the instructions are the bound.
	Misses float64 `json:"times_confined"`
}

// partsCell is one path whose parts are timed.
type partsCell struct {
	algo         algo.ID
	worker       *cryptonight.Worker
	kernel       cryptonight.Kernel
	width, reach int
	whole, near  []cryptonight.Profile // a round each
}

// RunParts times the parts of cfg's CryptoNight paths, which take turns; cfg's
// Threads and Time do not count: a turn is one batch on whole pads and one on
// confined ones. Errors: as Run's; RandomX has no such parts.
func RunParts(ctx context.Context, cfg Config) ([]Parts, error) {
	if err := cfg.CheckParts(); err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, engines: map[cryptonight.Kernel]*cryptonight.Engine{}}
	r.total = len(cfg.Algos) * len(cfg.Kernels) * len(cfg.Widths) * cfg.Rounds
	if err := r.openEngines(ctx); err != nil {
		return nil, err
	}
	var list []Parts
	for _, a := range cfg.Algos {
		parts, err := r.parts(ctx, a)
		if err != nil {
			return list, err
		}
		list = append(list, parts...)
	}
	return list, nil
}

// parts times one algorithm.
func (r *runner) parts(ctx context.Context, a algo.ID) ([]Parts, error) {
	widest := slices.Max(r.cfg.Widths)
	var cells []*partsCell
	for _, k := range r.cfg.Kernels {
		w, err := r.engines[k].NewWorker(widest, a)
		if err != nil {
			return nil, err
		}
		defer w.Close()
		if _, err := w.Profile(a, height, widest, 0); err != nil { // touches all pads
			return nil, err
		}
		for _, width := range r.cfg.Widths {
			cells = append(cells, &partsCell{algo: a, worker: w, kernel: k, width: width, reach: reach(r.cfg.CPU.L2, width, w.ArenaBytes()/widest)})
		}
	}
	for range r.cfg.Rounds {
		for _, c := range cells {
			r.cfg.progress(r.done, r.total, "%v %v x%d, its parts", a, c.kernel, c.width)
			if err := c.round(); err != nil {
				return nil, err
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r.done++
		}
	}
	list := make([]Parts, len(cells))
	for i, c := range cells {
		list[i] = c.result()
	}
	return list, nil
}

// reach is the most bytes of a lane with which so many lanes fill half of an
// L2 cache: a power of two, a pad at most and 4096 at least. 64 lanes of 4096
// need an L2 of 512 KiB; in a smaller one they are not confined to half of it.
func reach(l2, width, pad int) int {
	const usual = 1 << 20 // where the CPU does not tell
	if l2 <= 0 {
		l2 = usual
	}
	n := 4096
	for 2*n*width <= l2/2 && 2*n <= pad {
		n *= 2
	}
	return n
}

// round runs the confined batch twice: the first one brings its bytes to L2.
func (c *partsCell) round() error {
	whole, err := c.worker.Profile(c.algo, height, c.width, 0)
	if err != nil {
		return err
	}
	var near cryptonight.Profile
	for range 2 {
		if near, err = c.worker.Profile(c.algo, height, c.width, c.reach); err != nil {
			return err
		}
	}
	c.whole, c.near = append(c.whole, whole), append(c.near, near)
	return nil
}

func (c *partsCell) result() Parts {
	hash := func(d time.Duration) float64 { return d.Seconds() * 1e3 / float64(c.width) }
	of := func(figure func(i int) float64) float64 {
		values := make([]float64, len(c.whole))
		for i := range values {
			values[i] = figure(i)
		}
		return middle(values)
	}
	return Parts{
		Algo: c.algo.String(), Kernel: c.kernel.String(), Width: c.width, Reach: c.reach,
		Explode:  of(func(i int) float64 { return hash(c.whole[i].Explode) }),
		Loop:     of(func(i int) float64 { return hash(c.whole[i].Loop) }),
		Implode:  of(func(i int) float64 { return hash(c.whole[i].Implode) }),
		Confined: of(func(i int) float64 { return hash(c.near[i].Loop) }),
		Fill: of(func(i int) float64 {
			fill := c.whole[i].Explode + c.whole[i].Implode
			return float64(fill) / float64(fill+c.whole[i].Loop)
		}),
		Misses: of(func(i int) float64 { return float64(c.whole[i].Loop) / float64(max(c.near[i].Loop, 1)) }),
	}
}

// WriteParts prints the parts as a table, an empty line between algorithms.
func WriteParts(w io.Writer, list []Parts) error {
	const head, row = "%-13s %-8s %5s %9s %9s %9s %6s %9s %8s %8s\n", "%-13s %-8s %5d %9.3f %9.3f %9.3f %5.1f%% %9.3f %8d %8.2f\n"
	var b strings.Builder
	fmt.Fprintf(&b, head, "ALGORITHM", "KERNEL", "WIDTH", "EXPLODE", "LOOP", "IMPLODE", "FILL", "IN L2", "KIB/LANE", "×IN L2")
	last := ""
	for _, p := range list {
		if last != "" && p.Algo != last {
			b.WriteByte('\n')
		}
		last = p.Algo
		fmt.Fprintf(&b, row, p.Algo, p.Kernel, p.Width, p.Explode, p.Loop, p.Implode, 100*p.Fill, p.Confined, p.Reach>>10, p.Misses)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
