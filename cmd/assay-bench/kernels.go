package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-pool/assay/bench/kernels"
	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
)

// kernelsFlags are the flags of kernels. Lists are taken with commas or several flags.
type kernelsFlags struct {
	algos, kernels, widths, threads []string
	time                            time.Duration
	rounds                          int
	quick, noJIT, parts, json       bool
	mode                            string
	cpuDisable                      []string
	minSpeedup                      float64
}

const kernelsSynopsis = `Measures algorithm × kernel × width × threads, and checks every hash it makes: all paths of an
algorithm hash the same 16 inputs, more where --width goes beyond 16: one for each lane. The portable
kernel with one lane, for rx/0 light memory without AES instructions, says what the hashes are. A wrong
hash is a MISMATCH and exit 1. The checksum is of the first 16 hashes, equal on every machine.

  THR      hash threads                    H/S      of all threads, by the wall clock
  MS/HASH  CPU time of a hash              BATCH MS wall time of a batch: the wait of a share
  ×LANE    speed against width 1           ×THREAD  speed against one thread
  WIDTH    lanes in lockstep; for RandomX, hashes a call

Figures are medians over rounds in which the paths take turns. Ratios are by CPU time, which other
programs on the machine disturb least. RANDOM READ is the time of a read that waits for the last one,
within so much memory, before and after the run: it shows the caches that are really there, where
CPUID shows those of the whole processor.

With --parts no hash is made. On one thread, in ms a hash:

  EXPLODE, LOOP, IMPLODE  the phases       FILL     explode and implode, of all three
  IN L2  the loop, each lane confined to KIB/LANE, so that all fit into half of L2: its instructions
  ×IN L2  LOOP against that: 1 where instructions are the bound, more where misses are

  assay-bench kernels --quick
  assay-bench kernels --algo cn/1,cn/r --kernel all --width 1,8 --threads 1,all
  assay-bench kernels --algo cn/1,cn/2 --width 1,4,8,64 --parts --rounds 11`

// registerKernels names the flags.
func registerKernels(set *options.Set, f *kernelsFlags) {
	p := set.Process()
	p.Group("Paths")
	p.Strings(&f.algos, "algo", nil, "The `algorithms`, such as cn/1,cn/r,rx/0. None given: all CryptoNight variants and, without --parts, rx/0.")
	p.Strings(&f.kernels, "kernel", []string{"best"}, "CryptoNight `kernels`: portable, aesni, avx2, vaes256, vaes512, best, or all that this CPU has.")
	p.Strings(&f.widths, "width", []string{"1,2,4,8"}, "Widths: `lanes` in lockstep, 1 to 64.")
	p.Strings(&f.threads, "threads", []string{"1,all"}, "Hash `threads`; all is one per core.")
	p.Enum(&f.mode, "randomx-mode", "light", []string{"light", "full"}, "full measures rx/0 in full memory too: 2.1 GiB, and a minute or more of building.")
	p.Bool(&f.noJIT, "no-jit", false, "Interpret the random programs of cn/r and cn/wow instead of compiling them.")
	registerCPUDisable(p, &f.cpuDisable)
	p.Group("Run")
	p.Duration(&f.time, "time", time.Second, time.Millisecond, time.Hour,
		"Hashing `time` of each path, all rounds together. A round takes one batch at least, and a path takes every input, "+
			"so slow paths take longer.")
	p.Int(&f.rounds, "rounds", 3, 1, kernels.MaxRounds, "Turns of each path; the median counts. Turn it up on a machine with other work.")
	p.Bool(&f.parts, "parts", false, "Time the phases of a CryptoNight hash instead, --rounds batches of each path, and the main loop without its cache misses.")
	p.Bool(&f.quick, "quick", false, "A check rather than a measurement: --time=50ms --rounds=1 --width=1,8 --threads=1, whatever these say.")
	p.Float(&f.minSpeedup, "min-speedup", 0, 0, 16, "Exit with 1 if the best batch of a CryptoNight variant is less than so many `times` as fast as one lane. "+
		"0 asks for nothing. Not with --parts.")
	p.Group("Output")
	p.Bool(&f.json, "json", false, "Write facts and results as one JSON object.")
	set.Check(func() []error {
		if f.parts && f.minSpeedup > 0 {
			return []error{fmt.Errorf("--parts makes no hashes, so --min-speedup %g has none to compare: leave one of the two out", f.minSpeedup)}
		}
		return nil
	})
}

// config turns flags into what to measure.
func (f *kernelsFlags) config() (cfg kernels.Config, err error) {
	if f.quick {
		f.time, f.rounds, f.widths, f.threads = 50*time.Millisecond, 1, []string{"1,8"}, []string{"1"}
	}
	cfg = kernels.Config{Time: f.time, Rounds: f.rounds, Full: f.mode == "full", NoJIT: f.noJIT}
	if cfg.CPU, err = detect(f.cpuDisable); err != nil {
		return cfg, err
	}
	if cfg.Algos, err = f.parseAlgos(); err != nil {
		return cfg, err
	}
	if cfg.Kernels, err = f.parseKernels(cfg.CPU); err != nil {
		return cfg, err
	}
	if cfg.Widths, err = parseNumbers("width", f.widths, 0, cryptonight.MaxWidth); err != nil {
		return cfg, err
	}
	if cfg.Threads, err = parseNumbers("threads", f.threads, cfg.CPU.Cores, kernels.MaxThreads); err != nil {
		return cfg, err
	}
	return cfg, f.check(cfg)
}

// check refuses what leaves nothing to measure, or nothing to compare.
func (f *kernelsFlags) check(cfg kernels.Config) error {
	if f.parts {
		if err := cfg.CheckParts(); err != nil {
			return fmt.Errorf("--algo with --parts: %w", err)
		}
		return nil
	}
	if err := cfg.Check(); err != nil {
		return fmt.Errorf("--algo: %w", err)
	}
	if f.minSpeedup <= 0 {
		return nil
	}
	if cfg.Widths[0] != 1 || len(cfg.Widths) == 1 {
		return fmt.Errorf("--min-speedup %g compares batches with one lane: --width must have 1 and a wider one, it is %s",
			f.minSpeedup, strings.Join(splitList(f.widths), ","))
	}
	if !slices.ContainsFunc(cfg.Algos, func(a algo.ID) bool { return a.Family() == algo.CryptoNight }) {
		return fmt.Errorf("--min-speedup %g is for CryptoNight: --algo has none, it is %s", f.minSpeedup, join(cfg.Algos))
	}
	return nil
}

func (f *kernelsFlags) parseAlgos() ([]algo.ID, error) {
	names := splitList(f.algos)
	if len(names) == 0 && f.parts {
		return cryptonight.Algorithms(), nil
	}
	if len(names) == 0 {
		return append(cryptonight.Algorithms(), algo.RX0), nil
	}
	var list []algo.ID
	for _, name := range names {
		a, err := algo.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("--algo: %w", err)
		}
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list, nil
}

// parseKernels gives the kernels slowest first.
func (f *kernelsFlags) parseKernels(info *cpu.Info) ([]cryptonight.Kernel, error) {
	supported := cryptonight.Supported(info)
	var list []cryptonight.Kernel
	for _, name := range splitList(f.kernels) {
		switch name {
		case "all":
			list = append(list, supported...)
		case "best":
			list = append(list, supported[len(supported)-1])
		default:
			k, err := parseKernel(name, info)
			if err != nil {
				return nil, err
			}
			list = append(list, k)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("--kernel is empty")
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// parseNumbers gives a list in ascending order; all, if it is not 0, is what
// the word stands for.
func parseNumbers(flag string, values []string, all, most int) ([]int, error) {
	var list []int
	for _, word := range splitList(values) {
		n, err := strconv.Atoi(word)
		if all > 0 && word == "all" {
			n, err = all, nil
		}
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("--%s: %q is not a number between 1 and %d", flag, word, most)
		}
		list = append(list, n)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("--%s is empty", flag)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// kernelsReport is what --json prints.
type kernelsReport struct {
	Host        hostFacts        `json:"host"`
	TimePerPath float64          `json:"seconds_per_path"`
	Rounds      int              `json:"rounds"`
	NoJIT       bool             `json:"no_jit"`
	Mode        string           `json:"randomx_mode"`
	Seconds     float64          `json:"seconds"` // of the whole run
	OK          bool             `json:"ok"`      // all was measured, and no hash was wrong; --parts has none to compare
	Results     []kernels.Result `json:"results"`
	Parts       []kernels.Parts  `json:"parts,omitempty"` // of --parts

	// Random reads before and after.
	Before []kernels.Latency `json:"random_read_before"`
	After  []kernels.Latency `json:"random_read_after"`

	mostRead int  // bytes, the largest random read; 0: kernels.MaxLatency
	parts    bool // --parts: Parts instead of Results
	complete bool // nothing cut the run short
}

// runKernels is the subcommand.
func runKernels(ctx context.Context, args []string, s streams) int {
	var f kernelsFlags
	set := options.New("assay-bench kernels", "ASSAY_BENCH")
	set.Version(shownVersion())
	set.Synopsis(kernelsSynopsis)
	registerKernels(set, &f)
	if code, goOn := set.Load(args, s.environ, s.stdout, s.stderr); !goOn {
		return code
	}
	cfg, err := f.config()
	if err != nil {
		fmt.Fprintf(s.stderr, "assay-bench kernels: %v\n", err)
		return exitUsage
	}
	progress := &turnProgress{w: s.stderr, live: isTerminal(s.stderr), started: time.Now()}
	cfg.Progress = progress.show
	report := kernelsReport{Host: host(cfg.CPU, args), TimePerPath: f.time.Seconds(), Rounds: f.rounds, NoJIT: f.noJIT, Mode: f.mode, parts: f.parts}
	if f.quick {
		report.mostRead = quickRead
	}
	err = report.measure(ctx, cfg)
	progress.clear()
	report.Seconds = time.Since(progress.started).Seconds()
	failures := kernels.Mismatches(report.Results)
	report.complete = err == nil
	report.OK = report.complete && len(failures) == 0
	if f.minSpeedup > 0 {
		failures = append(failures, kernels.Below(report.Results, f.minSpeedup)...)
	}
	// What was measured is shown, whatever ended the run.
	if writeErr := report.write(s.stdout, f.json); err == nil {
		err = writeErr
	}
	if err != nil {
		failures = append(failures, err.Error())
	}
	for _, failure := range failures {
		fmt.Fprintf(s.stderr, "assay-bench kernels: %s\n", failure)
	}
	if len(failures) > 0 {
		return exitFailed
	}
	return exitOK
}

// quickRead is the largest random read of --quick: enough to tell L2 from what
// lies behind it.
const quickRead = 4 << 20

// measure fills the report in, as far as it comes.
func (r *kernelsReport) measure(ctx context.Context, cfg kernels.Config) (err error) {
	if r.Before, err = kernels.Latencies(ctx, cfg.CPU, r.mostRead); err != nil {
		return err
	}
	if r.parts {
		r.Parts, err = kernels.RunParts(ctx, cfg)
	} else {
		r.Results, err = kernels.Run(ctx, cfg)
	}
	if err == nil {
		r.After, err = kernels.Latencies(ctx, cfg.CPU, r.mostRead)
	}
	return err
}

func (r kernelsReport) write(w io.Writer, asJSON bool) error {
	if asJSON {
		if r.Results == nil {
			r.Results = []kernels.Result{} // an empty list, not null
		}
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", r.Host.lines("kernels"), r.reads()); err != nil {
		return err
	}
	if r.parts {
		if err := kernels.WriteParts(w, r.Parts); err != nil {
			return err
		}
	} else if err := kernels.Write(w, r.Results); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.lastLine())
	return err
}

// lastLine is the one under the table.
func (r kernelsReport) lastLine() string {
	line := fmt.Sprintf("%d paths in %.0f s", len(r.Results)+len(r.Parts), r.Seconds)
	if !r.complete {
		line += ", cut short"
	}
	switch {
	case r.parts: // no hashes
	case len(kernels.Mismatches(r.Results)) > 0:
		line += ": NOT EVERY HASH IS RIGHT"
	case !r.complete:
		line += ": every hash shown is right"
	default:
		line += ": every hash is right"
	}
	return line
}

// reads are the lines of the random reads.
func (r kernelsReport) reads() string {
	lines := ""
	for _, at := range []struct {
		when string
		list []kernels.Latency
	}{{"before", r.Before}, {"after", r.After}} {
		if len(at.list) > 0 {
			lines += fmt.Sprintf(" * %-12s %s %s\n", "RANDOM READ", at.when, kernels.LatencyLine(at.list))
		}
	}
	return lines
}

// progressPause is the time between progress lines where none is redrawn.
const progressPause = 10 * time.Second

// turnProgress shows where the run stands, on stderr.
type turnProgress struct {
	w             io.Writer
	live          bool // one line is redrawn
	started, last time.Time
}

func (p *turnProgress) show(at kernels.Progress) {
	now := time.Now()
	line := fmt.Sprintf("%s  turn %d of %d  %s", now.Sub(p.started).Round(time.Second), min(at.Done+1, at.Total), at.Total, at.What)
	switch {
	case p.live:
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
	case now.Sub(p.last) >= progressPause:
		p.last = now
		fmt.Fprintln(p.w, line)
	}
}

// clear makes room for the result.
func (p *turnProgress) clear() {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
