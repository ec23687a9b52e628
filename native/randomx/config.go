package randomx

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
)

// Errors callers tell apart with errors.Is.
var (
	// ErrNoCgo: this binary was built without cgo, so it cannot hash RandomX.
	ErrNoCgo = errors.New("randomx needs a binary built with cgo for linux/amd64 (CGO_ENABLED=1, librandomx-dev)")
	// ErrUnknownSeed: no own template announced this seed, or it is long gone.
	ErrUnknownSeed = errors.New("unknown RandomX seed")
	// ErrNotReady: announced, but its cache is still being built.
	ErrNotReady = errors.New("RandomX cache is not ready")
	// ErrReleased: Hash was called with an epoch whose references are all gone.
	ErrReleased = errors.New("RandomX epoch was released")
	// ErrClosed: the manager or the worker is closed.
	ErrClosed = errors.New("RandomX is closed")
	// ErrBatch: lengths of inputs and outputs do not fit together.
	ErrBatch = errors.New("malformed RandomX batch")
)

// Mode says how much memory to spend for speed.
type Mode uint8

// The modes.
const (
	ModeAuto  Mode = iota // full if memory allows, else light
	ModeLight             // 256 MiB a seed, about 11 times slower than full
	ModeFull              // 2080 MiB more for a dataset; an error if it does not fit
)

// ParseMode reads "auto", "light" or "full", in any case.
func ParseMode(s string) (Mode, error) {
	for _, m := range []Mode{ModeAuto, ModeLight, ModeFull} {
		if strings.EqualFold(s, m.String()) {
			return m, nil
		}
	}
	return ModeAuto, fmt.Errorf("unknown RandomX mode %q; use auto, light or full", s)
}

// UnmarshalText is ParseMode, for flags and files.
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}

// MarshalText gives the word UnmarshalText reads.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// String is the word ParseMode reads.
func (m Mode) String() string {
	switch m {
	case ModeLight:
		return "light"
	case ModeFull:
		return "full"
	default:
		return "auto"
	}
}

// Sizes of librandomx for rx/0 (RandomX specification, tables 1 and 7).
const (
	cacheBytes      = 256 << 20
	datasetBytes    = 2080 << 20
	scratchpadBytes = 2 << 20
	hugePageBytes   = 2 << 20
	hashBytes       = 32
)

// Limits and defaults.
const (
	// DefaultMaxCaches holds current, previous and next of one pool and one
	// more that old references still keep: 1 GiB.
	DefaultMaxCaches = 4
	// DefaultMemoryReserve is what "auto" leaves to Redis, the page cache and
	// the Go heap.
	DefaultMemoryReserve = 1 << 30
	// DefaultBuildThreads disturbs hashing least; a dataset has the 64 blocks
	// between a seed's becoming known and its use to fill.
	DefaultBuildThreads = 1
	// DefaultBuildNice: see Building in the package comment.
	DefaultBuildNice = 10
	// DefaultSliceItems is about 40 ms of one thread: short enough to stop or
	// give way at once, long enough that starting a thread (30 µs) is nothing.
	DefaultSliceItems = 32768
	// DefaultVMsPerWorker lets shares of the old and the new seed alternate.
	DefaultVMsPerWorker = 2
	// MaxBatch bounds one call into C, which cannot be interrupted: 256 light
	// hashes are about 6 s.
	MaxBatch = 256

	maxOwners    = 64               // pools of one process; more is a bug of the caller
	maxVMs       = 8                // scratchpads of 2 MiB a worker
	maxThreads   = 1024             // the C side's own bound
	maxBareInput = 512              // likewise
	retryAfter   = 30 * time.Second // before a seed whose cache failed is tried again
)

// Config is what New takes. The zero value works: auto mode, one build thread.
type Config struct {
	Mode          Mode
	BuildThreads  int    // threads filling a dataset; default DefaultBuildThreads
	BuildNice     int    // nice value of background builds, 1…19; default DefaultBuildNice
	SliceItems    uint64 // dataset items (64 B) per thread between looks at new work; default DefaultSliceItems
	MaxCaches     int    // caches of 256 MiB, at least 2; default DefaultMaxCaches
	MaxDatasets   int    // datasets of 2080 MiB at most, 1 or 2; default 2, if memory allows
	MemoryReserve uint64 // bytes "auto" leaves free; default DefaultMemoryReserve
	// Beside is what else the process will allocate that counts: bytes of each
	// allocation, made before the first seed is announced, on huge pages while
	// they last. Like MemoryReserve, it leaves less to datasets.
	Beside []uint64
	// Idle: no pool's latest algorithm is RandomX. The memory is then planned for
	// one cache, the self-test's.
	Idle         bool
	VMsPerWorker int // 1…8; default DefaultVMsPerWorker
	// NoHugePages leaves reserved huge pages to others; transparent ones are taken.
	// (Negative, so that the zero value takes the best there is.)
	NoHugePages bool
	CPU         *cpu.Info
	Log         *slog.Logger
	Registerer  prometheus.Registerer
}

// Check refuses a Config that New would refuse, whatever the machine.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults fills zero fields and refuses impossible ones.
func (c Config) withDefaults() (Config, error) {
	c.BuildThreads = cmp.Or(c.BuildThreads, DefaultBuildThreads)
	c.BuildNice = cmp.Or(c.BuildNice, DefaultBuildNice)
	c.SliceItems = cmp.Or(c.SliceItems, DefaultSliceItems)
	c.MaxCaches = cmp.Or(c.MaxCaches, DefaultMaxCaches)
	c.MaxDatasets = cmp.Or(c.MaxDatasets, 2)
	c.MemoryReserve = cmp.Or(c.MemoryReserve, DefaultMemoryReserve)
	c.VMsPerWorker = cmp.Or(c.VMsPerWorker, DefaultVMsPerWorker)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, r := range []struct {
		name         string
		v, low, high int
	}{
		{"mode", int(c.Mode), 0, int(ModeFull)},
		{"build threads (--randomx-build-threads)", c.BuildThreads, 1, maxThreads},
		{"build nice value", c.BuildNice, 1, 19},
		{"caches (--randomx-caches)", c.MaxCaches, 2, 1024},
		{"datasets", c.MaxDatasets, 1, 2},
		{"VMs per worker", c.VMsPerWorker, 1, maxVMs},
	} {
		if r.v < r.low || r.v > r.high {
			return c, fmt.Errorf("randomx: %s is %d, must be %d…%d", r.name, r.v, r.low, r.high)
		}
	}
	if c.CPU == nil {
		info, err := cpu.Detect(nil)
		if err != nil {
			return c, fmt.Errorf("randomx: %w", err)
		}
		c.CPU = info
	}
	return c, nil
}

// Supports tells whether this package hashes the algorithm, or why not.
func Supports(a algo.ID) error {
	switch a {
	case algo.RX0:
		return nil
	case algo.RX2:
		return errors.New("rx/2 needs RandomX v2 (librandomx 2.0 or later); the linked librandomx 1.1 hashes rx/0 only")
	default:
		return fmt.Errorf("%s is not a RandomX algorithm this node hashes; it hashes rx/0", a)
	}
}
