package config

import (
	"strings"
	"time"

	"github.com/assay-pool/assay/cmd/internal/options"
)

// Config of a node: what is shared by its pools, and the pools.
type Config struct {
	DataDir     string
	StopTimeout time.Duration
	LogLevel    string
	LogFormat   string
	Probe       bool

	Hashing Hashing
	Network Network
	Redis   Redis
	Admin   Admin

	Pools []Pool
}

// Hashing is the hash workers' part.
type Hashing struct {
	Workers          int // 0 = cores − loops
	Loops            int // 0 = by cores
	Pin              bool
	CPUDisable       []string
	HugePages        bool
	RandomXMode      string
	CryptoNightWidth int // 0 = by the machine
	BuildThreads     int
	Caches           int
	QueueShares      int
	Candidates       int
	Deadline         time.Duration
	BatchWait        time.Duration
}

// Network is the miners' side.
type Network struct {
	MaxConns          int
	MaxLine           int64
	LoginTimeout      time.Duration
	FirstShareTimeout time.Duration
	IdleTimeout       time.Duration
	OutboundLimit     int64
	SlowReader        time.Duration
	Inflight          int
	JobShares         int
	ProtocolErrors    int
}

// Redis is where round state lives.
type Redis struct {
	URL            string
	SentinelMaster string
	Username       string
	PasswordFile   string
	AllowEviction  bool
	ServerBinary   string
	StartTimeout   time.Duration
	CallTimeout    time.Duration
	FlushInterval  time.Duration
	SettleTimeout  time.Duration
	MaxPending     int
}

// Admin is the operators' HTTP port.
type Admin struct {
	Listen string
	Hosts  []string
	Public bool
}

// Pool is one pool of the node.
type Pool struct {
	Name string

	Coin   string
	Algo   string // forced; empty = by the coin's schedule
	Wallet string

	Daemons         []Daemon
	DaemonLogin     string // user:password, from a file
	PollInterval    time.Duration
	HealthInterval  time.Duration
	RPCTimeout      time.Duration
	SubmitTimeout   time.Duration
	TemplateRefresh time.Duration
	TemplateRenew   time.Duration

	TemplateMaxAge time.Duration
	Templates      int
	StaleGrace     time.Duration
	Jobs           int

	Listen  []Listener
	Vardiff Vardiff
}

// Vardiff is how a pool's connections find their difficulty.
type Vardiff struct {
	Enabled  bool
	Min, Max uint64
	Target   time.Duration
	Retarget time.Duration
	Variance float64 // percent
	MaxJump  float64 // percent
}

// Load reads the configuration of the process. run is false when the program
// should end with the code: after --help, after an error.
func Load(version string) (cfg *Config, code int, run bool) {
	set, build := newSet(version)
	code, run = set.Main()
	if !run {
		return nil, code, false
	}
	return build(), code, true
}

// newSet registers every flag. build gathers the values once they are read.
func newSet(version string) (set *options.Set, build func() *Config) {
	cfg := &Config{}
	set = options.New("assayd", "ASSAY")
	set.Version(version)
	set.Synopsis("A node of an Assay pool: miners connect by stratum, every share's work is proven,\nblocks go to the coin's daemons and the rounds to Redis.")
	registerProcess(set.Process(), cfg)
	pools := options.Pools(set, registerPool)
	gather := func() []Pool {
		list := make([]Pool, 0, len(pools.All()))
		for _, p := range pools.All() {
			p.Config.pool.Name = p.Name
			list = append(list, p.Config.pool)
		}
		return list
	}
	set.Check(func() (errs []error) {
		if cfg.Probe {
			return nil // a health check knows the admin port, not the pools
		}
		for _, p := range pools.All() {
			errs = append(errs, p.Config.resolve(p.Name)...)
		}
		if len(errs) == 0 {
			errs = append(errs, checkPools(gather())...)
		}
		return append(errs, cfg.check()...)
	})
	return set, func() *Config {
		cfg.Hashing.CPUDisable = splitList(cfg.Hashing.CPUDisable)
		cfg.Pools = gather()
		return cfg
	}
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
