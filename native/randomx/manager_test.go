package randomx

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestUnknownSeedIsNeverBuilt(t *testing.T) {
	lib := &fakeLibrary{}
	m := newFake(t, Config{Mode: ModeLight}, lib)
	if _, err := m.Acquire(seedOf(9)); !errors.Is(err, ErrUnknownSeed) {
		t.Errorf("Acquire: %v", err)
	}
	if err := m.Wait(context.Background(), seedOf(9)); !errors.Is(err, ErrUnknownSeed) {
		t.Errorf("Wait: %v", err)
	}
	m.Announce("pool", seedOf(1), Seed{})
	waitReady(t, m, seedOf(1))
	if m.Ready(seedOf(9)) || len(lib.filledKeys) != 1 {
		t.Errorf("built %d caches", len(lib.filledKeys))
	}
}

func TestNotReadyAndWaitContext(t *testing.T) {
	lib := &fakeLibrary{gate: make(chan struct{}), began: make(chan string, 10)}
	m := newFake(t, Config{Mode: ModeLight}, lib)
	m.Announce("pool", seedOf(1), seedOf(2))
	<-lib.began
	if _, err := m.Acquire(seedOf(1)); !errors.Is(err, ErrNotReady) {
		t.Errorf("Acquire while building: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Wait(ctx, seedOf(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	close(lib.gate)
	waitReady(t, m, seedOf(1))
	waitReady(t, m, seedOf(2))
	if want := []int{0, DefaultBuildNice}; !slices.Equal(lib.nices, want) {
		t.Errorf("nice values %v, want %v: only the current seed's cache is urgent", lib.nices, want)
	}
}

// TestSeedChange walks over four seeds: previous, current and next stay, older
// ones go once unreferenced, and their memory is recycled, not freed.
func TestSeedChange(t *testing.T) {
	lib := &fakeLibrary{}
	m := newFake(t, Config{Mode: ModeLight}, lib)
	m.Announce("pool", seedOf(1), seedOf(2))
	waitReady(t, m, seedOf(1))
	old, err := m.Acquire(seedOf(1))
	if err != nil {
		t.Fatal(err)
	}
	m.Announce("pool", seedOf(2), seedOf(3))
	waitReady(t, m, seedOf(3))
	m.Announce("pool", seedOf(3), seedOf(4))
	waitReady(t, m, seedOf(4))
	if again, err := m.Acquire(seedOf(1)); err != nil {
		t.Errorf("a referenced epoch must stay: %v", err)
	} else {
		again.Release()
	}
	old.Release()
	if _, err := m.Acquire(seedOf(1)); !errors.Is(err, ErrUnknownSeed) {
		t.Errorf("unwanted and unreferenced, but there: %v", err)
	}
	for _, n := range []byte{2, 3, 4} {
		if !m.Ready(seedOf(n)) {
			t.Errorf("seed %d is gone", n)
		}
	}
	m.Announce("pool", seedOf(4), seedOf(5))
	waitReady(t, m, seedOf(5))
	if s := m.Status(); s.Caches != 4 || s.CacheBuilds != 5 || s.RefusedSeeds != 0 {
		t.Errorf("caches %d (want 4: recycled), builds %d (want 5), refused %d", s.Caches, s.CacheBuilds, s.RefusedSeeds)
	}
	old.Release() // one too many: no effect
	m.Announce("pool", Seed{}, Seed{})
	if s := m.Status(); len(s.Epochs) != 0 {
		t.Errorf("%d epochs left after the owner has gone", len(s.Epochs))
	}
}

func TestMaxCaches(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newFake(t, Config{Mode: ModeLight, MaxCaches: 2, Registerer: reg}, &fakeLibrary{})
	m.Announce("a", seedOf(1), seedOf(2))
	waitReady(t, m, seedOf(2))
	for range 3 {
		m.Announce("b", seedOf(3), seedOf(4)) // a current seed outranks next ones
	}
	waitReady(t, m, seedOf(3))
	if !m.Ready(seedOf(1)) || m.Ready(seedOf(2)) || m.Ready(seedOf(4)) {
		t.Error("room must go to the current seeds")
	}
	if got := m.Status().RefusedSeeds; got != 1 {
		t.Errorf("refused %d, want 1: seed 4, counted once", got)
	}
	m.Announce("a", Seed{}, Seed{})
	waitReady(t, m, seedOf(4))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for _, f := range families {
		if g := f.GetMetric()[0]; g.GetGauge() != nil {
			seen[f.GetName()] = g.GetGauge().GetValue()
		} else if g.GetCounter() != nil {
			seen[f.GetName()] = g.GetCounter().GetValue()
		}
	}
	if seen["assay_randomx_refused_seeds_total"] != 1 || seen["assay_randomx_caches"] != 2 {
		t.Errorf("metrics: %v", seen)
	}
}

func TestOwnersAreBounded(t *testing.T) {
	m := newFake(t, Config{Mode: ModeLight}, &fakeLibrary{})
	for i := range maxOwners + 5 {
		m.Announce(strings.Repeat("x", i+1), seedOf(1), Seed{})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.owners) != maxOwners {
		t.Errorf("%d owners", len(m.owners))
	}
}

func TestCacheFailure(t *testing.T) {
	lib := &fakeLibrary{failCache: errors.New("no memory today")}
	m := newFake(t, Config{Mode: ModeLight}, lib)
	m.Announce("pool", seedOf(1), Seed{})
	if err := m.Wait(context.Background(), seedOf(1)); !errors.Is(err, lib.failCache) {
		t.Errorf("Wait: %v", err)
	}
	lib.mu.Lock()
	lib.failCache = nil
	lib.mu.Unlock()
	m.Announce("pool", seedOf(1), Seed{})
	if stateOf(m, seedOf(1)) != Failed {
		t.Error("tried again at once")
	}
	m.mu.Lock()
	m.epochs[seedOf(1)].failedAt = m.epochs[seedOf(1)].failedAt.Add(-2 * retryAfter)
	m.mu.Unlock()
	m.Announce("pool", seedOf(1), Seed{})
	waitReady(t, m, seedOf(1))
}

// TestCachePreemptsDataset stops a dataset half-way, announces a new seed, and
// sees its cache built before the next slice.
func TestCachePreemptsDataset(t *testing.T) {
	lib := &fakeLibrary{gate: make(chan struct{}), began: make(chan string, 100)}
	m := newFake(t, Config{Mode: ModeFull}, lib)
	m.Announce("pool", seedOf(1), Seed{})
	expect := func(want string) {
		t.Helper()
		if got := <-lib.began; got != want {
			t.Fatalf("builder began a %s, want a %s", got, want)
		}
	}
	expect("cache")
	lib.gate <- struct{}{}
	expect("slice")
	lib.gate <- struct{}{}
	expect("slice")
	m.Announce("pool", seedOf(1), seedOf(2))
	if e, err := m.Acquire(seedOf(1)); err != nil || e.Full() {
		t.Errorf("light verification must work during the build: %v", err)
	} else {
		e.Release()
	}
	lib.gate <- struct{}{}
	expect("cache")
	close(lib.gate)
	eventually(t, "both full", func() bool { return stateOf(m, seedOf(1)) == Full && stateOf(m, seedOf(2)) == Full })
	if lib.slices != 20 {
		t.Errorf("%d slices filled, want 20: nothing is filled twice", lib.slices)
	}
}

// TestUnwantedDatasetIsDropped announces a different seed during a dataset
// build with memory for one: the build stops and the memory is refilled.
func TestUnwantedDatasetIsDropped(t *testing.T) {
	lib := &fakeLibrary{gate: make(chan struct{}), began: make(chan string, 100)}
	m := newFake(t, Config{Mode: ModeFull, MaxDatasets: 1}, lib)
	m.Announce("pool", seedOf(1), Seed{})
	<-lib.began
	lib.gate <- struct{}{}
	<-lib.began // first slice of seed 1
	m.Announce("pool", seedOf(2), Seed{})
	close(lib.gate)
	eventually(t, "seed 2 full", func() bool { return stateOf(m, seedOf(2)) == Full })
	if s := m.Status(); s.Datasets != 1 || stateOf(m, seedOf(1)) != Light {
		t.Errorf("datasets %d, seed 1 %v", s.Datasets, stateOf(m, seedOf(1)))
	}
	if lib.slices != 11 {
		t.Errorf("%d slices, want 1 of the dropped build and 10", lib.slices)
	}
}

// TestOneDatasetWaitsForItsLastUser: the memory is refilled only when no hash
// runs on it any more.
func TestOneDatasetWaitsForItsLastUser(t *testing.T) {
	m := newFake(t, Config{Mode: ModeFull, MaxDatasets: 1}, &fakeLibrary{})
	m.Announce("pool", seedOf(1), seedOf(2))
	eventually(t, "seed 1 full", func() bool { return stateOf(m, seedOf(1)) == Full })
	e, err := m.Acquire(seedOf(1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Release()
	h, err := e.pin() // as Hash does
	if err != nil {
		t.Fatal(err)
	}
	m.Announce("pool", seedOf(2), Seed{})
	eventually(t, "seed 1 gave its dataset up", func() bool { return stateOf(m, seedOf(1)) == Light })
	if stateOf(m, seedOf(2)) != Light {
		t.Error("refilled under a running hash")
	}
	e.unpin(h)
	eventually(t, "seed 2 full", func() bool { return stateOf(m, seedOf(2)) == Full })
}

func TestDatasetFailureStaysLight(t *testing.T) {
	m := newFake(t, Config{Mode: ModeFull}, &fakeLibrary{failDataset: errors.New("no")})
	m.Announce("pool", seedOf(1), Seed{})
	eventually(t, "failure noted", func() bool { s := m.Status(); return len(s.Epochs) == 1 && s.Epochs[0].Err != nil })
	if s := m.Status(); stateOf(m, seedOf(1)) != Light || s.Datasets != 0 || !m.Ready(seedOf(1)) {
		t.Errorf("%+v", s)
	}
}

func TestCloseDuringDatasetBuild(t *testing.T) {
	lib := &fakeLibrary{gate: make(chan struct{}), began: make(chan string, 100)}
	m := newFake(t, Config{Mode: ModeFull}, lib)
	m.Announce("pool", seedOf(1), seedOf(2))
	for range 2 {
		<-lib.began
		lib.gate <- struct{}{}
	}
	<-lib.began // a slice is running
	done := make(chan struct{})
	go func() { m.Close(); close(done) }()
	eventually(t, "closing", func() bool { _, err := m.Acquire(seedOf(1)); return errors.Is(err, ErrClosed) })
	close(lib.gate)
	<-done
	if lib.slices >= 10 {
		t.Errorf("%d slices: Close waited for the whole dataset", lib.slices)
	}
	if _, err := m.NewWorker(); !errors.Is(err, ErrClosed) {
		t.Errorf("NewWorker: %v", err)
	}
	if err := m.SelfTest(); !errors.Is(err, ErrClosed) {
		t.Errorf("SelfTest: %v", err)
	}
	m.Announce("pool", seedOf(3), Seed{})
	m.Close()
}

// TestSelfTestFails: the fake hashes wrongly, and that must be noticed.
func TestSelfTestFails(t *testing.T) {
	m := newFake(t, Config{Mode: ModeLight}, &fakeLibrary{})
	if err := m.SelfTest(); err == nil || !strings.Contains(err.Error(), "not 639183aa") {
		t.Errorf("SelfTest: %v", err)
	}
}

// TestManyWorkers hashes on four workers while seeds change under them; the
// fake notices wrong content, use after free and mixed datasets.
func TestManyWorkers(t *testing.T) {
	m := newFake(t, Config{Mode: ModeFull, MaxDatasets: 1, SliceItems: 300}, &fakeLibrary{})
	m.Announce("pool", seedOf(1), seedOf(2))
	waitReady(t, m, seedOf(1))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	for range 4 {
		w, err := m.NewWorker()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer w.Close()
			in, lens, out := []byte("onetwo"), []uint32{3, 3}, make([]byte, 64)
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := seedOf(byte(1 + rand.IntN(40)))
				e, err := m.Acquire(s)
				if err != nil {
					continue
				}
				if err := w.Hash(e, in, lens, out); err != nil {
					t.Errorf("hash: %v", err)
				} else if want := fakeHash(string(s[:]), []byte("two")); string(out[32:]) != string(want[:]) {
					t.Errorf("wrong hash for seed %d", s[0])
				}
				e.Release()
			}
		})
	}
	for n := byte(2); n < 40; n++ {
		m.Announce("pool", seedOf(n), seedOf(n+1))
		waitReady(t, m, seedOf(n))
		if n%4 == 0 {
			eventually(t, "full", func() bool { return stateOf(m, seedOf(n)) == Full })
		}
	}
	end()
	if s := m.Status(); s.Caches > s.MaxCaches || s.Datasets > 1 || len(s.Epochs) != 3 {
		t.Errorf("%d caches, %d datasets, %d epochs", s.Caches, s.Datasets, len(s.Epochs))
	}
}

func TestReleasedAndClosed(t *testing.T) {
	m := newFake(t, Config{Mode: ModeLight}, &fakeLibrary{})
	m.Announce("pool", seedOf(1), Seed{})
	waitReady(t, m, seedOf(1))
	w, err := m.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Acquire(seedOf(1))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 32)
	hash := func() error { return w.Hash(e, []byte("x"), []uint32{1}, out) }
	if err := hash(); err != nil {
		t.Fatal(err)
	}
	e.Release()
	if err := hash(); !errors.Is(err, ErrReleased) {
		t.Errorf("after Release: %v", err)
	}
	m.Close()
	if err := hash(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	w.Close()
	w.Close()
	if err := hash(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Worker.Close: %v", err)
	}
}

func TestBadConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"threads": {BuildThreads: -1}, "nice": {BuildNice: 20}, "caches": {MaxCaches: 1}, "datasets": {MaxDatasets: 3},
		"vms": {VMsPerWorker: 9}, "mode": {Mode: 7},
	} {
		if _, err := cfg.withDefaults(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
