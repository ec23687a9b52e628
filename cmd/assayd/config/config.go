package config

import (
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cmd/assayd/sink"
	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/randomx"
	"github.com/assay-pool/assay/netio/admin"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/server"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// Defaults of what belongs to the node itself. Every other flag's default is
// the constant of the package whose Config it sets.
const (
	DefaultDataDir = "assay-data"
	// DefaultStopTimeout leaves two of the ten seconds a container manager waits
	// before it kills.
	DefaultStopTimeout = 8 * time.Second
)

// Config of a node: its own settings, the Config of each package that its pools
// share, and the pools. The flags write straight into them; the node adds what
// no flag can say (logs, metrics, what the packages need of each other).
type Config struct {
	DataDir     string
	StopTimeout time.Duration
	LogLevel    slog.Level
	LogFormat   string
	Log         sink.Config // of standard error
	Probe       bool
	CPUDisable  []string
	Pin         string // PinAuto, PinAlways or PinNever

	Verify       verify.Config // Workers 0 = cores − loops
	RandomX      randomx.Config
	CryptoNight  cryptonight.Config
	Server       server.Config // Loops 0 = by cores
	Redis        store.Config
	PrivateRedis store.ManagedConfig // where Redis has no URL
	Journal      journal.Config      // of every pool
	Ledger       ledger.Config       // likewise
	Admin        admin.Config

	Pools []Pool
}

// JournalDir is where a pool's journal is in --data-dir.
func JournalDir(dataDir, pool string) string { return filepath.Join(dataDir, "journal", pool) }

// The words of --pin.
const (
	PinAuto   = "auto"
	PinAlways = "true"
	PinNever  = "false"
)

// Pool is one pool of the node.
type Pool struct {
	Name   string
	Pool   pool.Config
	Daemon daemon.Config
	Port   server.Port // what a --listen does not say
	Ports  []server.Port
}

// Load reads the configuration of the process. run is false when the program
// should end with the code: after --help, after an error.
func Load(version string) (cfg *Config, code int, run bool) {
	set, cfg := newSet(version, nil)
	code, run = set.Main()
	return cfg, code, run
}

// Tool is a command of assayd beside the node itself. It takes the node's flags,
// environment and file, so that it looks at the same places, and shows few of them.
type Tool struct {
	Name     string // assayd NAME, two words
	Synopsis string
	Shown    []string             // those of the node's flags that it looks at
	Register func(*options.Flags) // its own
}

// Load reads the configuration of a tool. Only where things are is resolved:
// whether a node could start with it is not looked at.
func (t *Tool) Load(version string, args, environ []string, stdout, stderr io.Writer) (cfg *Config, code int, run bool) {
	set, cfg := newSet(version, t)
	code, run = set.Load(args, environ, stdout, stderr)
	return cfg, code, run
}

// newSet registers every flag; cfg is filled when the set is parsed. tool is nil
// for the node.
func newSet(version string, tool *Tool) (set *options.Set, cfg *Config) {
	cfg = &Config{}
	set = options.New("assayd", "ASSAY")
	if tool != nil {
		set = options.New("assayd "+tool.Name, "ASSAY")
	}
	set.Version(version)
	set.Synopsis("A node of an Assay pool: miners connect by stratum, every share's work is proven,\nblocks go to the coin's daemons and the rounds to Redis.\n\nOther commands, each with a --help: assayd journal inspect, journal verify,\nledger audit, ledger rebuild.")
	registerProcess(set.Process(), cfg)
	pools := options.Pools(set, registerPool)
	if tool != nil {
		set.Synopsis(tool.Synopsis)
		set.Process().Group("This command")
		tool.Register(set.Process())
		set.HelpOnly(tool.Shown...)
	}
	set.Check(func() (errs []error) {
		cfg.PrivateRedis.Dir = filepath.Join(cfg.DataDir, "redis")
		cfg.PrivateRedis.StartTimeout = cfg.Redis.StartTimeout
		if tool != nil {
			for _, p := range pools.All() {
				p.Config.Name = p.Name
				cfg.Pools = append(cfg.Pools, p.Config.Pool)
			}
			return nil
		}
		if cfg.Probe {
			return nil // a health check knows the admin port, not the pools
		}
		cfg.CPUDisable = splitList(cfg.CPUDisable)
		for _, p := range pools.All() {
			p.Config.Name = p.Name
			errs = append(errs, p.Config.resolve()...)
			cfg.Pools = append(cfg.Pools, p.Config.Pool)
		}
		// One flag, two that need it.
		cfg.CryptoNight.NoHugePages = cfg.RandomX.NoHugePages
		if len(errs) == 0 {
			errs = append(errs, cfg.checkPools()...)
		}
		return append(errs, cfg.check()...)
	})
	return set, cfg
}

// splitList lets one mention of a flag hold several words, split by commas.
func splitList(mentions []string) (words []string) {
	for _, m := range mentions {
		for word := range strings.SplitSeq(m, ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, word)
			}
		}
	}
	return words
}
