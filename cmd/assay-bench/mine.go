package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/assay-pool/assay/bench/miner"
	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/native/randomx"
)

// mineFlags are the flags of mine.
type mineFlags struct {
	pool, user, pass, rig string
	mine                  bool // the target is mine
	threads, batch        int
	mode                  string
	hugePages             bool
	cpuDisable            []string
	duration              time.Duration
	shares, retries       int
	json, verbose         bool
	interval              time.Duration
}

// maxThreads bounds --threads: more is a typing mistake on any machine.
const maxThreads = 1024

// registerMine names the flags. They are also ASSAY_BENCH_… in the environment.
func registerMine(set *options.Set, f *mineFlags) {
	p := set.Process()
	p.Group("Pool")
	p.String(&f.pool, "pool", "127.0.0.1:3333", "Stratum `host:port` to mine on.")
	p.String(&f.user, "user", "", "Login: `address`[.worker][+difficulty]. Required.")
	p.String(&f.pass, "pass", "x", "Password sent with the login; many pools read the worker's name from it.")
	p.String(&f.rig, "rig-id", "", "Rig `name` sent with the login; empty sends none.")
	p.Bool(&f.mine, "target-is-mine", false,
		"Allow a pool that is not on this machine. Give it only for a pool you run, or have leave to load.")
	p.Int(&f.retries, "retries", 0, 0, 1_000_000,
		"Give up after so many failed connections in a row; 0 tries for ever, as miners do.")
	p.Group("Hashing")
	p.Int(&f.threads, "threads", 0, 0, maxThreads,
		"Hash `threads`; 0 is one per core. Turn it down to leave cores to a pool on the same machine.")
	p.Enum(&f.mode, "randomx-mode", "light", []string{"auto", "light", "full"},
		"light hashes at once with 256 MiB; full is about ten times faster and takes 2.1 GiB and a minute or more of "+
			"building, mining light meanwhile; auto takes full when the memory is there.")
	p.Bool(&f.hugePages, "huge-pages", true, "Use reserved 2 MiB pages when enough are free. Turn it off to leave them to the pool.")
	registerCPUDisable(p, &f.cpuDisable)
	p.Int(&f.batch, "batch", miner.DefaultBatch, 1, miner.MaxBatch,
		"Hashes per call. Turn it up for a little more speed, down to obey new jobs sooner.")
	p.Group("Run")
	p.Duration(&f.duration, "duration", 0, 0, 365*24*time.Hour, "End after this time; 0 runs until --shares or Ctrl-C.")
	p.Int(&f.shares, "shares", 0, 0, 1<<30, "End once exactly so many `shares` are accepted; fewer at the end of --duration exit with 1. 0 sets no number.")
	p.Group("Output")
	p.Bool(&f.json, "json", false, "Write the result as one JSON object.")
	p.Bool(&f.verbose, "verbose", false, "Log connections and jobs to stderr.")
	p.Duration(&f.interval, "progress-every", 10*time.Second, 100*time.Millisecond, time.Hour,
		"Time between progress lines when stderr is no terminal; on a terminal one line is redrawn each second.")
	set.Check(func() []error {
		if f.user == "" {
			return []error{errors.New("--user is missing: the address to mine to")}
		}
		return nil
	})
}

// mine is the subcommand.
func mine(ctx context.Context, args []string, s streams) int {
	var f mineFlags
	set := options.New("assay-bench mine", "ASSAY_BENCH")
	set.Version(shownVersion())
	set.Synopsis("Mines on a pool as an honest miner would, and holds the pool to XMRig's rules.")
	registerMine(set, &f)
	if code, goOn := set.Load(args, s.environ, s.stdout, s.stderr); !goOn {
		return code
	}
	address, err := target(ctx, f.pool, f.mine)
	if err != nil {
		fmt.Fprintf(s.stderr, "assay-bench mine: --pool: %v\n", err)
		return exitUsage
	}
	info, err := detect(f.cpuDisable)
	if err != nil {
		fmt.Fprintf(s.stderr, "assay-bench mine: %v\n", err)
		return exitUsage
	}
	if f.threads == 0 {
		f.threads = runtime.GOMAXPROCS(0)
	}
	if err := f.mineOn(ctx, address, info, s); err != nil {
		fmt.Fprintf(s.stderr, "assay-bench mine: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// mineOn runs one miner and prints what came of it.
func (f *mineFlags) mineOn(ctx context.Context, address string, info *cpu.Info, s streams) error {
	mode, err := randomx.ParseMode(f.mode)
	if err != nil {
		return err
	}
	level := slog.LevelError
	if f.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(s.stderr, &slog.HandlerOptions{Level: level}))
	// Nothing else runs here, so a dataset may be built by every thread.
	rx, err := randomx.New(randomx.Config{Mode: mode, BuildThreads: f.threads, NoHugePages: !f.hugePages, CPU: info, Log: log})
	if err != nil {
		return err
	}
	defer rx.Close()
	if err := rx.SelfTest(); err != nil {
		return err
	}
	cn, err := cryptonight.New(cryptonight.Config{CPU: info, NoHugePages: !f.hugePages, Log: log})
	if err != nil {
		return err
	}
	m, err := miner.New(miner.Config{
		Pool: xmrig.Config{
			Addr: address, Login: f.user, Pass: f.pass, RigID: f.rig,
			Algos: append([]algo.ID{algo.RX0}, cryptonight.Algorithms()...),
		},
		Hashers: miner.NewNative(pow.Engines{RandomX: rx, CryptoNight: cn}), Threads: f.threads, Batch: f.batch,
		Accepted: f.shares, Failures: f.retries, Log: log,
	})
	if err != nil {
		return err
	}
	timed, cancel := ctx, context.CancelFunc(func() {})
	if f.duration > 0 {
		timed, cancel = context.WithTimeout(ctx, f.duration)
	}
	defer cancel()

	started := time.Now()
	done := make(chan error, 1)
	go func() { done <- m.Run(timed) }()
	err = watch(done, m, f.interval, s.stderr)

	result := report(f, m.Stats(), info, time.Since(started))
	if werr := result.write(s.stdout, f.json); err == nil {
		err = werr
	}
	if err == nil && result.Accepted < uint64(f.shares) {
		err = fmt.Errorf("%d of %d shares were accepted; last error: %s", result.Accepted, f.shares, orNone(result.LastError))
	}
	return err
}
