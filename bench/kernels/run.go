package kernels

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
)

// Run measures every path of cfg and gives their results in the order of
// cfg.Algos, kernels, threads and widths. A path whose hashes are wrong is a
// result, not an error. Errors: a bad Config; a kernel that fails its self-test;
// memory; ctx's, with the results of the algorithms that were done.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, engines: map[cryptonight.Kernel]*cryptonight.Engine{}}
	for _, a := range cfg.Algos {
		kernels := len(cfg.Kernels)
		if a.Family() == algo.RandomX {
			kernels = 1
			if cfg.Full {
				kernels = 2
			}
		}
		r.total += kernels * len(cfg.Widths) * len(cfg.Threads) * cfg.Rounds
	}
	for _, a := range cfg.Algos {
		var err error
		if a.Family() == algo.RandomX {
			err = r.randomX(ctx)
		} else {
			err = r.cryptoNight(ctx, a)
		}
		if err != nil {
			return r.results, err
		}
	}
	return r.results, nil
}

// runner is one Run.
type runner struct {
	cfg         Config
	done, total int // rounds
	engines     map[cryptonight.Kernel]*cryptonight.Engine
	plain       *cryptonight.Engine // makes the reference hashes
	results     []Result
}

// note tells what is being prepared.
func (r *runner) note(what string) { r.cfg.progress(r.done, r.total, "%s", what) }

// cryptoNight measures one variant with every kernel.
func (r *runner) cryptoNight(ctx context.Context, a algo.ID) error {
	if err := r.openEngines(ctx); err != nil {
		return err
	}
	if err := r.openPlain(ctx); err != nil {
		return err
	}
	reference, err := r.refer(ctx, cnSource(r.plain, a))
	if err != nil {
		return err
	}
	var sources []source
	for _, k := range r.cfg.Kernels {
		sources = append(sources, cnSource(r.engines[k], a))
	}
	return r.measure(ctx, sources, reference)
}

// openEngines makes the kernels ready once. Each tests itself with public
// vectors of all variants.
func (r *runner) openEngines(ctx context.Context) (err error) {
	for _, k := range r.cfg.Kernels {
		if r.engines[k] != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.note(fmt.Sprintf("self-test of kernel %v", k))
		if r.engines[k], err = engine(r.cfg.CPU, k, r.cfg.NoJIT); err != nil {
			return err
		}
	}
	return nil
}

// openPlain makes the reference kernel ready once.
func (r *runner) openPlain(ctx context.Context) (err error) {
	if r.plain != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.note("self-test of the reference kernel")
	r.plain, err = engine(r.cfg.CPU, cryptonight.Portable, true)
	return err
}

// randomX measures light mode, then full. The reference is light mode without
// AES and AVX2 instructions: another path through the library.
func (r *runner) randomX(ctx context.Context) error {
	plain, err := cpu.Detect(cpu.FeatureNames())
	if err != nil {
		return err
	}
	var reference *hashes
	err = r.withRandomX(ctx, plain, randomx.ModeLight, func(m *randomx.Manager) (err error) {
		reference, err = r.refer(ctx, rxSource(m, "reference"))
		return err
	})
	modes := []randomx.Mode{randomx.ModeLight}
	if r.cfg.Full {
		modes = append(modes, randomx.ModeFull)
	}
	for _, mode := range modes {
		if err != nil {
			return err
		}
		err = r.withRandomX(ctx, r.cfg.CPU, mode, func(m *randomx.Manager) error {
			return r.measure(ctx, []source{rxSource(m, mode.String())}, reference)
		})
	}
	return err
}

func (r *runner) withRandomX(ctx context.Context, info *cpu.Info, mode randomx.Mode, use func(*randomx.Manager) error) error {
	r.note(fmt.Sprintf("RandomX %v memory", mode))
	m, err := openRandomX(ctx, info, mode, r.note)
	if err != nil {
		return err
	}
	defer m.Close()
	return use(m)
}

// refer hashes the fixed work one input a call, on all cores.
func (r *runner) refer(ctx context.Context, s source) (*hashes, error) {
	r.note(fmt.Sprintf("%v reference hashes", s.algo))
	h := newHashes(r.cfg.nonces())
	errs := make([]error, min(max(r.cfg.CPU.Cores, 1), h.nonces()))
	var wait sync.WaitGroup
	for t := range errs {
		wait.Go(func() { errs[t] = h.fill(ctx, s, t, len(errs)) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("reference hashes of %v: %w", s.algo, err)
		}
	}
	return h, nil
}

// fill hashes every step-th nonce from first on; threads fill disjoint ones.
func (h *hashes) fill(ctx context.Context, s source, first, step int) error {
	w, err := s.newHasher(1)
	if err != nil {
		return err
	}
	defer w.close()
	b := newBatch(1)
	for n := first; n < h.nonces(); n += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.set(n, h.nonces())
		if err := w.hash(b.in, b.lens, h.at(n)); err != nil {
			return err
		}
		h.seen[n] = true
	}
	return nil
}

// measure lets the paths of an algorithm take turns.
func (r *runner) measure(ctx context.Context, sources []source, reference *hashes) error {
	var cells []*cell
	for _, s := range sources {
		for _, threads := range r.cfg.Threads {
			for _, width := range r.cfg.Widths {
				cells = append(cells, newCell(s, width, threads, reference))
			}
		}
	}
	for range r.cfg.Rounds {
		for _, c := range cells {
			r.note(c.String())
			err := c.round(ctx, r.cfg.Time/time.Duration(r.cfg.Rounds))
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			r.done++
		}
	}
	for _, c := range cells {
		r.note(c.String())
		if err := c.complete(ctx); err != nil {
			return err
		}
	}
	r.results = append(r.results, results(cells, r.cfg.CPU.Cores)...)
	return nil
}
