package randomx

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/cpu"
)

func TestPlanDatasets(t *testing.T) {
	const gib = 1 << 30
	arenas := slices.Repeat([]uint64{gib / 4}, 8)
	tests := []struct {
		name    string
		mode    Mode
		mem     cpu.Memory
		beside  []uint64
		huge    bool
		want    int
		why     string
		wantErr string
	}{
		{"light", ModeLight, cpu.Memory{Available: 64 * gib}, nil, true, 0, "as configured", ""},
		{"auto, two fit", ModeAuto, cpu.Memory{Available: 7 * gib}, nil, false, 2, "2 dataset(s)", ""},
		{"auto, one fits", ModeAuto, cpu.Memory{Available: 5 * gib}, nil, false, 1, "1 dataset(s)", ""},
		{"auto, none fits", ModeAuto, cpu.Memory{Available: 3 * gib, Limit: "memory.max"}, nil, false, 0, "3072 MiB are available by memory.max", ""},
		{"huge pages take the dataset", ModeAuto, cpu.Memory{Available: 2 * gib, HugeFree: 3 * gib}, nil, true, 1, "1 dataset(s)", ""},
		{"huge pages not to be used", ModeAuto, cpu.Memory{Available: 2 * gib, HugeFree: 3 * gib}, nil, false, 0, "light", ""},
		{"full refused", ModeFull, cpu.Memory{Available: 3 * gib}, nil, false, 0, "", "mode full"},
		{"full", ModeFull, cpu.Memory{Available: 4 * gib}, nil, false, 1, "1 dataset(s)", ""},
		{"others leave one", ModeAuto, cpu.Memory{Available: 7 * gib}, arenas, false, 1, "1 dataset(s)", ""},
		{"others leave none", ModeAuto, cpu.Memory{Available: 5 * gib}, arenas, false, 0, "3072 MiB for all else", ""},
		{"full refused for others", ModeFull, cpu.Memory{Available: 5 * gib}, arenas, false, 0, "", "mode full"},
		{"others take the dataset's huge pages", ModeAuto, cpu.Memory{Available: 2 * gib, HugeFree: 3 * gib}, arenas, true, 0, "light", ""},
		{"huge pages for all", ModeAuto, cpu.Memory{Available: gib, HugeFree: 5 * gib}, arenas, true, 1, "1 dataset(s)", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, why, err := budget{tt.mem, DefaultMemoryReserve, tt.beside, tt.huge}.datasets(tt.mode, 2)
			if (err != nil) != (tt.wantErr != "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error %v, want %q", err, tt.wantErr)
			}
			if n != tt.want || !strings.Contains(why, tt.why) {
				t.Errorf("%d, %q; want %d, %q", n, why, tt.want, tt.why)
			}
		})
	}
}

// TestPlanCaches: what a mode asks for must fit what a machine or a container
// has, or is lowered, or warned of, or refused, by the names of the flags.
func TestPlanCaches(t *testing.T) {
	const mib = 1 << 20
	arenas := slices.Repeat([]uint64{256 * mib}, 4)
	for _, tt := range []struct {
		name     string
		want     int
		datasets int
		mem      cpu.Memory
		beside   []uint64
		huge     bool
		caches   int
		warning  string
		err      string
	}{
		{"all fit", 4, 0, cpu.Memory{Available: 2048 * mib}, nil, false, 4, "", ""},
		{"the reserve does not", 4, 0, cpu.Memory{Available: 2047 * mib, Limit: "/m"}, nil, false, 4,
			"4 RandomX caches and 1024 MiB for all else need 2048 MiB, 2047 MiB available by /m", ""},
		{"three fit", 4, 0, cpu.Memory{Available: 1024 * mib}, nil, false, 3, "only 3 are held", ""},
		{"two fit", 4, 0, cpu.Memory{Available: 768 * mib}, nil, false, 2, "--randomx-caches", ""},
		{"two do not", 4, 0, cpu.Memory{Available: 767 * mib, Limit: "/sys/fs/cgroup/memory.max"}, nil, false, 0, "",
			"2 RandomX cache(s), CryptoNight's scratchpads and 256 MiB for all else need 768 MiB, 767 MiB available by /sys/fs/cgroup/memory.max"},
		{"nothing is left", 4, 0, cpu.Memory{}, nil, false, 0, "", "give the node more memory"},
		{"scratchpads take the room", 4, 0, cpu.Memory{Available: 2048 * mib}, arenas, false, 3, "only 3", ""},
		{"scratchpads take all", 4, 0, cpu.Memory{Available: 1700 * mib}, arenas, false, 0, "", "--workers"},
		{"huge pages hold them", 4, 0, cpu.Memory{Available: 1024 * mib, HugeFree: 2048 * mib}, arenas, true, 4, "", ""},
		{"huge pages not to be used", 4, 0, cpu.Memory{Available: 1024 * mib, HugeFree: 2048 * mib}, nil, false, 3, "only 3", ""},
		{"beside a dataset", 10, 1, cpu.Memory{Available: 4096 * mib}, nil, false, 6, "only 6", ""},
		{"one is enough for the self-test", 1, 0, cpu.Memory{Available: 512 * mib}, nil, false, 1, "1 RandomX caches", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, warning, err := budget{tt.mem, DefaultMemoryReserve, tt.beside, tt.huge}.caches(tt.want, tt.datasets)
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if n != tt.caches || (warning != "") != (tt.warning != "") || !strings.Contains(warning, tt.warning) {
				t.Errorf("%d caches, warning %q; want %d, %q", n, warning, tt.caches, tt.warning)
			}
		})
	}
}

// TestLightModeChecksItsMemory: a node whose caches do not fit says so at start
// instead of being killed at a change of seeds.
func TestLightModeChecksItsMemory(t *testing.T) {
	with := func(cfg Config, available uint64, memErr error) (*Manager, string, error) {
		t.Helper()
		cfg, err := cfg.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		log := &strings.Builder{}
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		m, err := newManager(cfg, &fakeLibrary{t: t}, func() (cpu.Memory, error) {
			return cpu.Memory{Available: available, Limit: "/sys/fs/cgroup/memory.max"}, memErr
		})
		if m != nil {
			t.Cleanup(m.Close)
		}
		return m, log.String(), err
	}
	const mib = 1 << 20
	if _, _, err := with(Config{Mode: ModeLight}, 600*mib, nil); err == nil || !strings.Contains(err.Error(), "600 MiB available by /sys/fs/cgroup/memory.max") {
		t.Errorf("600 MiB: %v", err)
	}
	if _, _, err := with(Config{Mode: ModeAuto}, 600*mib, nil); err == nil {
		t.Error("600 MiB, mode auto: no error")
	}
	if m, log, err := with(Config{Mode: ModeLight, Idle: true}, 600*mib, nil); err != nil || m.cfg.MaxCaches != DefaultMaxCaches || !strings.Contains(log, "level=WARN") {
		t.Errorf("600 MiB without RandomX: %v, %s", err, log)
	}
	m, log, err := with(Config{Mode: ModeLight}, 1024*mib, nil)
	if err != nil || m.cfg.MaxCaches != 3 || !strings.Contains(log, "--randomx-caches") || !strings.Contains(m.Status().Reason, "3 of 4 caches fit") {
		t.Errorf("1 GiB: %v, %s, %+v", err, log, m.Status())
	}
	if _, log, err := with(Config{Mode: ModeLight}, 2048*mib, nil); err != nil || log != "" {
		t.Errorf("2 GiB: %v, %s", err, log)
	}
	if _, log, err := with(Config{Mode: ModeLight}, 0, fs.ErrPermission); err != nil || !strings.Contains(log, "cannot be read") {
		t.Errorf("unknown memory: %v, %s", err, log)
	}
}

// TestCacheNeedsRoom: memory that others took since the start is not asked for;
// the seed fails with the reason, and is built once there is room.
func TestCacheNeedsRoom(t *testing.T) {
	var available atomic.Uint64
	available.Store(64 << 30)
	lib := &fakeLibrary{memory: func() (cpu.Memory, error) {
		return cpu.Memory{Available: available.Load(), Limit: "/sys/fs/cgroup/memory.max"}, nil
	}}
	m := newFake(t, Config{Mode: ModeLight}, lib)
	m.Announce("pool", seedOf(1), Seed{})
	waitReady(t, m, seedOf(1))
	available.Store(200 << 20)
	m.Announce("pool", seedOf(1), seedOf(2))
	err := m.Wait(t.Context(), seedOf(2))
	if err == nil || !strings.Contains(err.Error(), "200 MiB are left by /sys/fs/cgroup/memory.max, a cache needs 256") {
		t.Fatalf("Wait: %v", err)
	}
	if errors.Is(err, ErrUnknownSeed) || lib.caches != 1 {
		t.Errorf("%d caches, %v", lib.caches, err)
	}
	available.Store(64 << 30)
	m.mu.Lock()
	m.epochs[seedOf(2)].failedAt = time.Now().Add(-2 * retryAfter)
	m.mu.Unlock()
	m.Announce("pool", seedOf(1), seedOf(2))
	waitReady(t, m, seedOf(2))
}
