package cryptonight

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
)

// HashSize is the bytes of a hash.
const HashSize = 32

// MaxWidth is the most lanes a kernel runs in lockstep.
const MaxWidth = 64

// defaultPrograms is the random programs a worker keeps. A pool needs the
// current height's, the last one's for late shares, and room for a second pool.
const defaultPrograms = 4

// Config is what New needs. The zero value picks everything itself.
type Config struct {
	CPU      *cpu.Info // nil: cpu.Detect without anything disabled
	Kernel   *Kernel   // nil: the best the CPU has
	Width    int       // lanes in lockstep for every algorithm, at most MaxWidth; 0: by cache size, or Calibrate
	Programs int       // random programs of cn/r and cn/wow a worker keeps; 0: 4
	NoJIT    bool      // interpret random programs although they could be compiled
	// NoHugePages leaves reserved huge pages to others; transparent ones are taken.
	// (Negative, so that the zero value takes the best there is.)
	NoHugePages bool
	Log         *slog.Logger // nil: discard

	tamper func(k Kernel, a algo.ID, hashes []byte) // in tests: breaks a kernel
}

// Engine is a kernel that passed its self-test, and the widths to use it with.
// Immutable but for Calibrate; safe for concurrent use by many workers.
type Engine struct {
	cfg     Config
	info    *cpu.Info
	kernel  Kernel
	refused map[Kernel]error
	widths  map[algo.ID]int
}

// New picks the best kernel that passes SelfTest. A kernel that gives a wrong
// hash is refused, logged and reported by Refused; if none is left, or the
// forced one fails, New fails.
func New(cfg Config) (*Engine, error) {
	if !available {
		return nil, ErrNoCgo
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Width < 0 || cfg.Width > MaxWidth {
		return nil, fmt.Errorf("CryptoNight width %d is not in 0…%d", cfg.Width, MaxWidth)
	}
	if cfg.Programs <= 0 {
		cfg.Programs = defaultPrograms
	}
	info := cfg.CPU
	if info == nil {
		var err error
		if info, err = cpu.Detect(nil); err != nil {
			return nil, err
		}
	}
	e := &Engine{cfg: cfg, info: info, refused: map[Kernel]error{}, widths: map[algo.ID]int{}}
	for _, a := range Algorithms() {
		e.widths[a] = defaultWidth(info, padSize(a), cfg.Width)
	}
	if err := e.choose(); err != nil {
		return nil, err
	}
	return e, nil
}

// choose tries the kernels from the best down, or the forced one alone.
func (e *Engine) choose() error {
	kernels := Supported(e.info)
	if forced := e.cfg.Kernel; forced != nil {
		if int(*forced) >= len(kernels) {
			return fmt.Errorf("CryptoNight kernel %v: this CPU, or what is left of it after --cpu-disable, stops at %v",
				*forced, kernels[len(kernels)-1])
		}
		kernels = kernels[*forced : *forced+1]
	}
	var failures []error
	for i := len(kernels) - 1; i >= 0; i-- {
		err := e.SelfTest(kernels[i])
		if err == nil {
			e.kernel = kernels[i]
			return nil
		}
		e.refused[kernels[i]] = err
		failures = append(failures, err)
		e.cfg.Log.Error("CryptoNight kernel refused", "kernel", kernels[i], "error", err)
	}
	return fmt.Errorf("no CryptoNight kernel is right on this machine: %w", errors.Join(failures...))
}

// Kernel is the path in use.
func (e *Engine) Kernel() Kernel { return e.kernel }

// Kernels lists what the CPU allows, slowest first.
func (e *Engine) Kernels() []Kernel { return Supported(e.info) }

// Refused tells which better kernels failed their self-test, and how.
func (e *Engine) Refused() map[Kernel]error { return e.refused }

// Width is the lanes in lockstep that a batch of a is run with; 0 if a is not
// a CryptoNight variant.
func (e *Engine) Width(a algo.ID) int { return e.widths[a] }

// MaxBatch is the batch size worth collecting for a: its width.
func (e *Engine) MaxBatch(a algo.ID) int { return e.widths[a] }

// MinInput is the least input of a in bytes: 43 for the variants whose tweak
// reads bytes 35 to 42 of it, else 0.
func MinInput(a algo.ID) int {
	switch a {
	case algo.CN1, algo.CNXTL, algo.CNRTO, algo.CNFast, algo.CNLite1, algo.CNHeavyTube:
		return 43
	default:
		return 0
	}
}

// maxDefaultWidth bounds the width before a measurement: beyond 8 lanes the
// gain is small, the wait for a whole batch is not.
const maxDefaultWidth = 8

// defaultWidth fits the scratchpads of all cores' batches into the last-level
// cache: with one lane too many, every access of every lane misses it.
func defaultWidth(info *cpu.Info, pad, forced int) int {
	if forced > 0 {
		return forced
	}
	if pad <= 0 {
		return 1
	}
	cache := info.L3
	if cache <= 0 {
		cache = max(info.L2, 1<<20) * max(info.Cores, 1)
	}
	share := cache / max(info.Cores, 1)
	return min(max(share/pad, 1), maxDefaultWidth)
}
