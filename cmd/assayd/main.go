// Command assayd is a node of an Assay pool; --help tells the rest.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/cmd/assayd/node"
	"github.com/assay-pool/assay/netio/admin"
)

// version is set by the linker; scripts/build does.
var version = "development"

func main() { os.Exit(run()) }

func run() int {
	cfg, code, ok := config.Load(version)
	if !ok {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if cfg.Probe {
		if err := admin.Probe(ctx, cfg.Admin.Listen); err != nil {
			fmt.Fprintln(os.Stderr, "assayd:", err)
			return 1
		}
		return 0
	}
	if err := node.Run(ctx, cfg, logger(cfg), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "assayd:", err)
		return 1
	}
	return 0
}

// logger writes to standard error; standard output has the banner only.
func logger(cfg *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
