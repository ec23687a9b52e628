package kernels

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
)

// Limits.
const (
	// MaxThreads bounds Config.Threads: more is a typing mistake on any machine.
	MaxThreads = 1024
	// MaxRounds bounds Config.Rounds.
	MaxRounds = 1000
)

// Config is what to measure. Every list must have an entry.
type Config struct {
	CPU     *cpu.Info
	Algos   []algo.ID
	Kernels []cryptonight.Kernel // of CryptoNight; the CPU must have them
	Widths  []int                // 1…cryptonight.MaxWidth
	Threads []int                // 1…MaxThreads
	Time    time.Duration        // of hashing per path, all rounds together; a round is at least one batch a thread
	Rounds  int                  // 1…MaxRounds
	Full    bool                 // RandomX in full memory too: 2.1 GiB, a minute or more to build
	NoJIT   bool                 // interpret the random programs of cn/r and cn/wow

	Progress func(Progress) // nil: silent. Called by Run's goroutine
}

// Progress is where a run stands.
type Progress struct {
	Done, Total int    // rounds of all paths
	What        string // "cn/1 vaes512 x8, 2 threads", or what is being prepared
}

// Check refuses what Run cannot measure.
func (c *Config) Check() error {
	if c.CPU == nil || len(c.Algos) == 0 || len(c.Widths) == 0 || len(c.Threads) == 0 {
		return errors.New("nothing to measure: no CPU, algorithm, width or thread count")
	}
	for _, a := range c.Algos {
		switch a.Family() {
		case algo.RandomX:
			if err := randomx.Supports(a); err != nil {
				return err
			}
		case algo.CryptoNight:
			if len(c.Kernels) == 0 {
				return fmt.Errorf("no kernel to measure %v with", a)
			}
		default:
			return fmt.Errorf("%v is not an algorithm that can be hashed", a)
		}
	}
	supported := cryptonight.Supported(c.CPU)
	for _, k := range c.Kernels {
		if !slices.Contains(supported, k) {
			return fmt.Errorf("kernel %v: the CPU lacks it", k)
		}
	}
	for _, r := range []struct {
		name   string
		values []int
		most   int
	}{{"width", c.Widths, cryptonight.MaxWidth}, {"threads", c.Threads, MaxThreads}, {"rounds", []int{c.Rounds}, MaxRounds}} {
		for _, v := range r.values {
			if v < 1 || v > r.most {
				return fmt.Errorf("%s %d is not in 1…%d", r.name, v, r.most)
			}
		}
	}
	return nil
}

// CheckParts refuses what RunParts cannot measure.
func (c *Config) CheckParts() error {
	if err := c.Check(); err != nil {
		return err
	}
	for _, a := range c.Algos {
		if a.Family() != algo.CryptoNight {
			return fmt.Errorf("%v has no scratchpad to fill and fold: only CryptoNight has these parts", a)
		}
	}
	return nil
}

func (c *Config) progress(done, total int, format string, args ...any) {
	if c.Progress != nil {
		c.Progress(Progress{done, total, fmt.Sprintf(format, args...)})
	}
}
