package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/assay-pool/assay/bench/hashline"
	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
)

// hashFlags are the flags of hash.
type hashFlags struct {
	kernel     string
	width      int
	noJIT      bool
	cpuDisable []string
}

const hashSynopsis = `Reads lines from stdin:

  ALGO INPUT_HEX [height=N] [seed=HEX]

and writes the hash of each, 64 hex digits, one a line, in the same order. INPUT_HEX is the
hashing blob with the share's nonce in it; a single - is the empty input. height=N is needed for
cn/r and cn/wow, seed=HEX (the job's seed_hash) for rx/0; other algorithms ignore them. Names may
be XMRig's aliases. Blank lines and lines that begin with # are skipped. An answer comes as soon
as no further whole line is waiting.

The first line that cannot be hashed ends the run with exit 1: its number and the reason go to
stderr, and the hashes of all lines before it have been written.

  echo "cn/1 0305a0…eb601" | assay-bench hash
  assay-bench hash --kernel portable --width 1 --no-jit < lines     (the slowest, plainest path)`

// registerHash names the flags.
func registerHash(set *options.Set, f *hashFlags) {
	p := set.Process()
	p.Group("Path")
	p.String(&f.kernel, "kernel", "best", "CryptoNight `kernel`: portable, aesni, avx2, vaes256, vaes512, or best. One that this CPU lacks is an error.")
	p.Int(&f.width, "width", 0, 0, cryptonight.MaxWidth,
		"CryptoNight `lanes` run in lockstep. Always kept when given: fewer lines of one kind are filled up with copies, "+
			"and copies whose hashes differ are an error. 0 takes as many as fit into the caches, at most 8, and copies nothing; "+
			"a node measures its widths at start.")
	p.Bool(&f.noJIT, "no-jit", false, "Interpret the random programs of cn/r and cn/wow instead of compiling them.")
	registerCPUDisable(p, &f.cpuDisable)
}

// registerCPUDisable names the flag that several subcommands have.
func registerCPUDisable(p *options.Flags, disable *[]string) {
	p.Strings(disable, "cpu-disable", nil,
		"CPU `feature` to treat as absent, such as avx512, or several with commas; a wrong name lists the right ones.")
}

// detect reads the CPU, less what --cpu-disable names with commas or by several flags.
func detect(disable []string) (*cpu.Info, error) {
	info, err := cpu.Detect(splitList(disable))
	if err != nil {
		return nil, fmt.Errorf("--cpu-disable: %w", err)
	}
	return info, nil
}

// splitList takes lists apart that were given with commas, spaces or several flags.
func splitList(values []string) []string {
	return strings.FieldsFunc(strings.Join(values, ","), func(r rune) bool { return r == ',' || r == ' ' })
}

// parseKernel finds a kernel that the CPU has.
func parseKernel(name string, info *cpu.Info) (cryptonight.Kernel, error) {
	kernel, err := cryptonight.ParseKernel(name)
	if err != nil {
		return 0, fmt.Errorf("--kernel: %w", err)
	}
	if supported := cryptonight.Supported(info); !slices.Contains(supported, kernel) {
		return 0, fmt.Errorf("--kernel %v: this CPU%s lacks it; there is %s", kernel, lessDisabled(info), join(supported))
	}
	return kernel, nil
}

// lessDisabled reminds of the features that --cpu-disable took away.
func lessDisabled(info *cpu.Info) string {
	if len(info.Disabled) == 0 {
		return ""
	}
	return " without " + strings.Join(info.Disabled, ", ")
}

// join writes a list of named values with commas.
func join[T fmt.Stringer](values []T) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}

// runHash is the subcommand.
func runHash(ctx context.Context, args []string, s streams) int {
	var f hashFlags
	set := options.New("assay-bench hash", "ASSAY_BENCH")
	set.Version(shownVersion())
	set.Synopsis(hashSynopsis)
	registerHash(set, &f)
	if code, goOn := set.Load(args, s.environ, s.stdout, s.stderr); !goOn {
		return code
	}
	cfg := hashline.Config{
		Width: f.width, NoJIT: f.noJIT,
		Log: slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	var err error
	if cfg.CPU, err = detect(f.cpuDisable); err == nil && f.kernel != "best" {
		var kernel cryptonight.Kernel
		kernel, err = parseKernel(f.kernel, cfg.CPU)
		cfg.Kernel = &kernel
	}
	if err != nil {
		fmt.Fprintf(s.stderr, "assay-bench hash: %v\n", err)
		return exitUsage
	}
	native := hashline.NewNative(cfg)
	err = hashline.Run(ctx, interruptible(ctx, s.stdin), s.stdout, native)
	if closeErr := native.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		fmt.Fprintf(s.stderr, "assay-bench hash: %v\n", err)
		return exitFailed
	}
	return exitOK
}
