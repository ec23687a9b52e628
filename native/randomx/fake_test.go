package randomx

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/assay-pool/assay/internal/logtest"
	"github.com/assay-pool/assay/native/cpu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLibrary builds in no time, or as fast as its gate lets it, and hashes
// with SHA-256 of the content it is bound to. It counts what is alive and
// notices use after free and filling of memory in use.
type fakeLibrary struct {
	t    *testing.T
	gate chan struct{} // nil: never wait; else one receive per cache or slice

	mu                    sync.Mutex
	caches, datasets, vms int // alive
	filledKeys            []string
	slices                int
	nices                 []int
	failCache             error
	failFill              error
	failDataset           error
	memory                func() (cpu.Memory, error) // nil: plenty
	log                   *logtest.Handler           // if not nil: the manager's, for who asks what was logged
	began                 chan string                // if not nil: "cache" or "slice" when a fill begins
}

const fakeItems = 1000

type fakeCache struct {
	lib   *fakeLibrary
	key   string
	freed bool
}

type fakeDataset struct {
	lib   *fakeLibrary
	keys  [fakeItems]string
	freed bool
}

type fakeVM struct {
	lib *fakeLibrary
	c   *fakeCache
	d   *fakeDataset
	key string // as bound
}

func (l *fakeLibrary) pass(what string) {
	if l.began != nil {
		l.began <- what
	}
	if l.gate != nil {
		<-l.gate
	}
}

func (l *fakeLibrary) allocCache() (cacheMemory, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failCache != nil {
		return nil, l.failCache
	}
	l.caches++
	return &fakeCache{lib: l}, nil
}

func (l *fakeLibrary) allocDataset() (datasetMemory, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failDataset != nil {
		return nil, l.failDataset
	}
	l.datasets++
	return &fakeDataset{lib: l}, nil
}

func (l *fakeLibrary) items() uint64    { return fakeItems }
func (l *fakeLibrary) describe() string { return "fake" }

func (l *fakeLibrary) newLightVM(c cacheMemory) (machine, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.vms++
	return &fakeVM{lib: l, c: c.(*fakeCache), key: c.(*fakeCache).key}, nil
}

func (l *fakeLibrary) newFullVM(d datasetMemory) (machine, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.vms++
	return &fakeVM{lib: l, d: d.(*fakeDataset)}, nil
}

func (c *fakeCache) fill(key []byte, nice int) error {
	c.lib.pass("cache")
	c.lib.mu.Lock()
	defer c.lib.mu.Unlock()
	if c.lib.failFill != nil {
		return c.lib.failFill
	}
	c.key = string(key)
	c.lib.filledKeys = append(c.lib.filledKeys, c.key)
	c.lib.nices = append(c.lib.nices, nice)
	return nil
}

func (c *fakeCache) pages() cpu.Pages { return cpu.Plain }

func (c *fakeCache) free() {
	c.lib.mu.Lock()
	defer c.lib.mu.Unlock()
	if c.freed {
		c.lib.t.Error("cache freed twice")
	}
	c.freed = true
	c.lib.caches--
}

func (d *fakeDataset) fill(c cacheMemory, start, count uint64, _, _ int) error {
	d.lib.pass("slice")
	d.lib.mu.Lock()
	defer d.lib.mu.Unlock()
	d.lib.slices++
	for i := start; i < start+count; i++ {
		d.keys[i] = c.(*fakeCache).key
	}
	return nil
}

func (d *fakeDataset) pages() cpu.Pages { return cpu.Huge }

func (d *fakeDataset) free() {
	d.lib.mu.Lock()
	defer d.lib.mu.Unlock()
	if d.freed {
		d.lib.t.Error("dataset freed twice")
	}
	d.freed = true
	d.lib.datasets--
}

func (v *fakeVM) bindCache(c cacheMemory) error {
	v.lib.mu.Lock()
	defer v.lib.mu.Unlock()
	v.c, v.key = c.(*fakeCache), c.(*fakeCache).key
	return nil
}

func (v *fakeVM) bindDataset(d datasetMemory) error { v.d = d.(*fakeDataset); return nil }

// fakeHash is what a VM bound to key makes of one input.
func fakeHash(key string, in []byte) [32]byte { return sha256.Sum256(append([]byte(key), in...)) }

func (v *fakeVM) hash(in []byte, lens []uint32, out []byte) error {
	v.lib.mu.Lock()
	defer v.lib.mu.Unlock()
	key := v.key
	if v.d != nil {
		key = v.d.keys[0]
		for _, k := range v.d.keys {
			if k != key {
				return errors.New("dataset of mixed content")
			}
		}
		if v.d.freed {
			return errors.New("dataset used after free")
		}
	} else if v.c.freed || v.c.key != key {
		return errors.New("cache used after free or refill")
	}
	for k, n := range lens {
		h := fakeHash(key, in[:n])
		copy(out[hashBytes*k:], h[:])
		in = in[n:]
	}
	return nil
}

func (v *fakeVM) bareLoop(in []byte, nonceAt int, nonce, n uint32, out []byte) error {
	last := slices.Clone(in)
	binary.LittleEndian.PutUint32(last[nonceAt:], nonce+n-1)
	return v.hash(last, []uint32{uint32(len(last))}, out)
}

func (v *fakeVM) free() {
	v.lib.mu.Lock()
	defer v.lib.mu.Unlock()
	v.lib.vms--
}

// seedOf makes a distinct seed.
func seedOf(n byte) Seed { return Seed{0: n, 31: 1} }

// plenty is memory for two datasets.
func plenty() (cpu.Memory, error) { return cpu.Memory{Available: 64 << 30, Limit: "test"}, nil }

// newFake makes a manager over a fake library and checks at the end that
// everything was given back.
func newFake(t *testing.T, cfg Config, lib *fakeLibrary) *Manager {
	t.Helper()
	lib.t = t
	cfg.SliceItems = max(cfg.SliceItems, 100)
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	unlocked := lib.log
	if unlocked == nil {
		unlocked = logtest.New(t)
	}
	cfg.Log = slog.New(unlocked)
	memory := lib.memory
	if memory == nil {
		memory = plenty
	}
	m, err := newManager(cfg, lib, memory)
	if err != nil {
		t.Fatal(err)
	}
	unlocked.Watch(logtest.Lock(&m.mu))
	t.Cleanup(func() {
		m.Close()
		lib.mu.Lock()
		defer lib.mu.Unlock()
		if lib.caches != 0 || lib.datasets != 0 || lib.vms != 0 {
			t.Errorf("leaked: %d caches, %d datasets, %d VMs", lib.caches, lib.datasets, lib.vms)
		}
	})
	return m
}

// eventually waits for a condition that the builder brings about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func waitReady(t *testing.T, m *Manager, s Seed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	if err := m.Wait(ctx, s); err != nil {
		t.Fatalf("wait for %x: %v", s[:2], err)
	}
}

// stateOf is the state of a seed, or 255 when it has no epoch.
func stateOf(m *Manager, s Seed) State {
	for _, e := range m.Status().Epochs {
		if e.Seed == s {
			return e.State
		}
	}
	return 255
}
