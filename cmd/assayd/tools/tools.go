package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/internal/redact"
)

// Exit codes.
const (
	exitOK        = 0
	exitBad       = 1
	exitUnchecked = 3
)

// env is what a command runs in.
type env struct {
	ctx    context.Context
	cfg    *config.Config
	log    *slog.Logger
	out    io.Writer
	errOut io.Writer
}

// command is one of the tools. Its flags are its own.
type command interface {
	tool() config.Tool
	run(*env) (code int, err error)
}

// Run runs the tool that the arguments name. ours is false when they name none:
// then they are the node's.
func Run(version string, args []string, stdout, stderr io.Writer) (code int, ours bool) {
	if len(args) == 0 || args[0] != "journal" && args[0] != "ledger" {
		return 0, false
	}
	name := strings.Join(args[:min(2, len(args))], " ")
	help := len(args) < 2 || args[1] == "--help" || args[1] == "-h"
	var names []string
	for _, c := range []command{&inspect{}, &verify{}, &audit{}, &rebuild{}} {
		t := c.tool()
		if t.Name != name {
			names = append(names, t.Name)
			continue
		}
		return run(version, c, t, args[2:], stdout, stderr), true
	}
	slices.Sort(names)
	if help {
		fmt.Fprintf(stdout, "Commands, each with a --help: assayd %s\n", strings.Join(names, ", assayd "))
		return options.ExitOK, true
	}
	fmt.Fprintf(stderr, "assayd: no command %q; there are %s\n", name, strings.Join(names, ", "))
	return options.ExitUsage, true
}

func run(version string, c command, t config.Tool, args []string, stdout, stderr io.Writer) int {
	cfg, code, goOn := t.Load(version, args, os.Environ(), stdout, stderr)
	if !goOn {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: max(cfg.LogLevel, slog.LevelWarn), ReplaceAttr: redact.Attr}))
	code, err := c.run(&env{ctx, cfg, log, stdout, stderr})
	var wrong usageError
	if errors.As(err, &wrong) {
		code = options.ExitUsage
	}
	if err != nil {
		fmt.Fprintf(stderr, "assayd %s: %s\n", t.Name, redact.Text(err.Error()))
		return max(code, exitBad)
	}
	return code
}

// usageError is a mistake in the flags.
type usageError struct{ error }

// which journals and pools a command looks at.
type which struct {
	pool string
	dirs []string
}

func (w *which) register(f *options.Flags) {
	f.String(&w.pool, "pool", "", "`Name` of the pool; needed where the configuration has several.")
	f.Strings(&w.dirs, "journal", nil, "`Folder` of a journal of the pool, once for each node's; without one that of this node in --data-dir.")
}

// shown are the flags that every command has in its help.
func (w *which) shown(more ...string) []string {
	return append([]string{"pool", "journal", "config", "data-dir"}, more...)
}

// redisFlags are the node's flags that say where Redis is.
func redisFlags() []string {
	return []string{"redis", "redis-sentinel-master", "redis-user", "redis-password-file", "redis-server", "redis-start-timeout", "redis-timeout"}
}

// one is the pool that is meant.
func (w *which) one(cfg *config.Config) (string, error) {
	var names []string
	for _, p := range cfg.Pools {
		names = append(names, p.Name)
	}
	switch {
	case w.pool == "" && len(names) == 1:
		return names[0], nil
	case w.pool == "":
		return "", usageError{fmt.Errorf("the configuration has the pools %s: name one by --pool", strings.Join(names, ", "))}
	case !slices.Contains(names, w.pool) && len(w.dirs) == 0:
		return "", usageError{fmt.Errorf("--pool %s: the configuration has %s", w.pool, strings.Join(names, ", "))}
	}
	return w.pool, nil
}

// open opens the journals of a pool for reading. close ends with all of them.
func (w *which) open(cfg *config.Config, pool string) (all []*journal.Journal, closeAll func(), err error) {
	closeAll = func() {
		for _, j := range all {
			_ = j.Close(context.Background()) // open for reading: nothing can fail
		}
	}
	dirs := w.dirs
	if len(dirs) == 0 {
		dirs = []string{config.JournalDir(cfg.DataDir, pool)}
	}
	seen := map[string]string{}
	for _, dir := range dirs {
		j, err := journal.OpenDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no journal in %s (--data-dir, --journal): %w", dir, err)
		}
		if err == nil && seen[j.ID()] != "" {
			err = fmt.Errorf("%s has the same journal as %s (--journal)", dir, seen[j.ID()])
		}
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		seen[j.ID()] = dir
		all = append(all, j)
	}
	return all, closeAll, nil
}

// openStore connects to the Redis of the configuration: the one it names, or the
// node's private one, which is started if the node does not run; make makes its folder.
func (e *env) openStore(make bool) (*store.Store, func(), error) {
	cfg := e.cfg.Redis
	cfg.Log = e.log
	stop := func() {}
	if cfg.URL == "" {
		private := e.cfg.PrivateRedis
		private.Log = e.log
		url, running := store.PrivateURL(private.Dir)
		if !running {
			if _, err := os.Stat(private.Dir); err != nil && !make {
				return nil, nil, fmt.Errorf("there is no private Redis in %s (--data-dir), and --redis names none: %w", private.Dir, err)
			}
			if err := e.ownFolder(); err != nil {
				return nil, nil, err
			}
			m, err := store.StartManaged(e.ctx, private)
			if err != nil {
				return nil, nil, fmt.Errorf("private redis-server: %w", err)
			}
			stop, url = m.Stop, m.URL()
		}
		cfg.URL = url
	}
	s, err := store.Open(e.ctx, cfg)
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("redis: %w", err)
	}
	return s, func() { s.Close(); stop() }, nil
}

// ownFolder refuses to start a server for another user: the files it makes would keep
// the node's out.
func (e *env) ownFolder() error {
	info, err := os.Stat(e.cfg.DataDir)
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("--data-dir: %s belongs to user %d, and this is user %d: run it as the node's user, whose Redis is started for it", e.cfg.DataDir, stat.Uid, os.Geteuid())
}
