package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/assay-pool/assay/bench/demo"
	"github.com/assay-pool/assay/cmd/internal/options"
)

// registerDemo names the flags of demo.
func registerDemo(set *options.Set, c *demo.Config) {
	p := set.Process()
	p.Group("Demo")
	p.String(&c.Dir, "dir", "assay-demo", "`Folder` for everything the demo writes. It is emptied at the start if an earlier demo made it.")
	p.Int(&c.Blocks, "blocks", 0, 0, 1_000_000, "End with exit 0 once so many `blocks` are accepted; 0 goes on until Ctrl-C.")
	p.Duration(&c.Timeout, "timeout", 0, 0, 24*time.Hour, "End with exit 1 if the demo still runs after this time; 0 is never.")
	p.String(&c.Listen, "listen", "127.0.0.1:3333", "Stratum `address`; a free port is taken if another program has it.")
	p.Int(&c.Miners, "miners", 2, 0, 64, "Simulated `miners`, each a process of its own. 0 leaves the mining to your own XMRig.")
	p.Int(&c.Threads, "threads", 1, 1, maxThreads, "Hash `threads` of each miner.")
	p.Enum(&c.Algo, "algo", "rx/0", demo.Algos(), "Algorithm of the private chain: rx/0 on monerod's regtest, cn/0 on a testnet without peers.")
	p.Difficulty(&c.Difficulty, "difficulty", 0, 0, "Difficulty of the private chain: `hashes` a block takes on average; 0 suits the algorithm.")
	p.Difficulty(&c.ShareDifficulty, "share-difficulty", 0, 0, "Difficulty of a share in `hashes`; 0 suits the algorithm.")
}

// runDemo is the subcommand.
func runDemo(ctx context.Context, args []string, s streams) int {
	cfg := demo.Config{Out: s.stdout, TTY: isTerminal(s.stdout)}
	set := options.New("assay-bench demo", "ASSAY_BENCH")
	set.Version(shownVersion())
	set.Synopsis("Starts monerod (private chain), a node with its own Redis and simulated miners, and shows\nshares, blocks and rounds as they come. Everything ends with it.")
	registerDemo(set, &cfg)
	if code, run := set.Load(args, s.environ, s.stdout, s.stderr); !run {
		return code
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintf(s.stderr, "assay-bench demo: find assayd: %v\n", err)
		return exitFailed
	}
	cfg.Bin = filepath.Dir(self)
	if err := demo.Run(ctx, cfg); err != nil {
		fmt.Fprintf(s.stderr, "assay-bench demo: %v\n", err)
		if errors.Is(err, demo.ErrTimeout) {
			fmt.Fprintf(s.stderr, "the logs are in %s\n", cfg.Dir)
		}
		return exitFailed
	}
	return exitOK
}
