package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/assay-pool/assay/cmd/internal/options"
)

// version is set by the build script; without it the build's own is shown.
var version string

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = options.ExitUsage
)

// streams are a process's surroundings, so that tests have their own.
type streams struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// command is a subcommand.
type command struct {
	name, text string
	run        func(ctx context.Context, args []string, s streams) int
}

func commands() []command {
	return []command{
		{"demo", "show the whole path on this machine: miners, node, daemon, Redis, blocks", runDemo},
		{"hash", "hash lines from stdin, by any algorithm and path: settles a dispute about a share", runHash},
		{"kernels", "measure and check every hash kernel of this CPU", runKernels},
		{"mine", "mine on a pool as an honest miner would", mine},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once: the first one restores the default.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], streams{os.Environ(), os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run finds the subcommand.
func run(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		usage(s.stderr)
		return exitUsage
	}
	switch args[0] {
	case "--help", "-h", "help":
		usage(s.stdout)
		return exitOK
	case "--version":
		fmt.Fprintf(s.stdout, "assay-bench %s\n", shownVersion())
		return exitOK
	}
	var names []string
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], s)
		}
		names = append(names, c.name)
	}
	fmt.Fprintf(s.stderr, "assay-bench: unknown subcommand %q; there is: %s\n", args[0], strings.Join(names, ", "))
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Usage: assay-bench SUBCOMMAND [--flag value]...\n\nSubcommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.text)
	}
	fmt.Fprint(w, "\nassay-bench SUBCOMMAND --help tells its flags.\n")
}

func shownVersion() string {
	if version != "" {
		return version
	}
	return options.BuildVersion()
}
