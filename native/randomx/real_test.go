//go:build cgo && linux && amd64

package randomx

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/cpu"
)

// vector is one line of testdata/vectors.json.
type vector struct {
	Algo   string `json:"algo"`
	Seed   string `json:"seed_hex"`
	Input  string `json:"input_hex"`
	Hash   string `json:"hash_hex"`
	Source string `json:"source"`
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vectors(t testing.TB, algo string) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all, out []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Algo == algo {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no vectors for %s", algo)
	}
	return out
}

func newReal(t testing.TB, cfg Config) *Manager {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// TestVectors hashes every public vector in light mode with every set of flags
// that a disabled CPU feature leads to. Keys of 12 bytes need the layer below
// the manager, whose seeds are block ids.
func TestVectors(t *testing.T) {
	bySeed := map[string][]vector{}
	for _, v := range vectors(t, "rx/0") {
		bySeed[v.Seed] = append(bySeed[v.Seed], v)
	}
	if len(bySeed) != 4 {
		t.Fatalf("%d seeds, want 4", len(bySeed))
	}
	for _, disable := range [][]string{nil, {"aes", "avx2"}, {"ssse3"}} {
		info, err := cpu.Detect(disable)
		if err != nil {
			t.Fatal(err)
		}
		m := newReal(t, Config{Mode: ModeLight, CPU: info})
		c, err := m.lib.allocCache()
		if err != nil {
			t.Fatal(err)
		}
		var vm machine
		for seed, list := range bySeed {
			if err := c.fill(unhex(t, seed), 0); err != nil {
				t.Fatal(err)
			}
			if vm == nil {
				vm, err = m.lib.newLightVM(c)
			} else {
				err = vm.bindCache(c)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range list {
				in, out := unhex(t, v.Input), make([]byte, 32)
				if err := vm.hash(in, []uint32{uint32(len(in))}, out); err != nil {
					t.Fatal(err)
				}
				if got := hex.EncodeToString(out); got != v.Hash {
					t.Errorf("%s without %v: %s, want %s (%s)", m.lib.describe(), disable, got, v.Hash, v.Source)
				}
			}
		}
		vm.free()
		c.free()
	}
}

// TestKeyHasher hashes all vectors, keys of 12 and of 32 bytes, first key by
// key, then with a change of key at every hash.
func TestKeyHasher(t *testing.T) {
	h, err := NewKeyHasher(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.SelfTest(); err != nil {
		t.Fatal(err)
	}
	byKey := map[string][]vector{}
	for _, v := range vectors(t, "rx/0") {
		byKey[v.Seed] = append(byKey[v.Seed], v)
	}
	fills := h.fills
	for key, list := range byKey {
		var in, out []byte
		var lens []uint32
		for _, v := range list {
			in = append(in, unhex(t, v.Input)...)
			lens = append(lens, uint32(len(v.Input)/2))
			out = append(out, make([]byte, 32)...)
		}
		if err := h.Hash(unhex(t, key), in, lens, out); err != nil {
			t.Fatal(err)
		}
		for i, v := range list {
			if got := hex.EncodeToString(out[32*i : 32*i+32]); got != v.Hash {
				t.Errorf("key %s: %s, want %s (%s)", key, got, v.Hash, v.Source)
			}
		}
	}
	if n := h.fills - fills; n > uint64(len(byKey)) {
		t.Errorf("%d fills for %d keys", n, len(byKey))
	}
	for round := range 2 {
		for _, list := range byKey {
			v, out := list[round], make([]byte, 32)
			in := unhex(t, v.Input)
			if err := h.Hash(unhex(t, v.Seed), in, []uint32{uint32(len(in))}, out); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(out); got != v.Hash {
				t.Errorf("after another key: %s, want %s (%s)", got, v.Hash, v.Source)
			}
		}
	}
}

func TestSelfTest(t *testing.T) {
	m := newReal(t, Config{Mode: ModeLight})
	for range 2 {
		if err := m.SelfTest(); err != nil {
			t.Fatal(err)
		}
	}
	if s := m.Status(); s.Caches != 1 {
		t.Errorf("%d caches, want 1, kept for the first seed", s.Caches)
	}
}

// realEpochs announces the two 32-byte seeds of the vectors and references both.
func realEpochs(t *testing.T, m *Manager) (a, b *Epoch, va, vb []vector) {
	t.Helper()
	for _, v := range vectors(t, "rx/0") {
		switch {
		case v.Seed[:4] == "3132":
			va = append(va, v)
		case v.Seed[:4] == "2a1c":
			vb = append(vb, v)
		}
	}
	sa, sb := Seed(unhex(t, va[0].Seed)), Seed(unhex(t, vb[0].Seed))
	m.Announce("test", sa, sb)
	epochs := make([]*Epoch, 2)
	for i, s := range []Seed{sa, sb} {
		waitReady(t, m, s)
		e, err := m.Acquire(s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Release)
		epochs[i] = e
	}
	return epochs[0], epochs[1], va, vb
}

// TestWorkerLight runs the manager's whole way with the real library: batches
// of every size against single hashes, alternation of two seeds without a
// rebuild, floating point state, allocations.
func TestWorkerLight(t *testing.T) {
	m := newReal(t, Config{Mode: ModeLight})
	a, b, va, vb := realEpochs(t, m)
	w, err := m.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	t.Run("alternation", func(t *testing.T) {
		before := m.Status().CacheBuilds
		for i := range 6 {
			e, v := a, va[i%len(va)]
			if i%2 == 1 {
				e, v = b, vb[i%len(vb)]
			}
			in, out := unhex(t, v.Input), make([]byte, 32)
			if err := w.Hash(e, in, []uint32{uint32(len(in))}, out); err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(out) != v.Hash {
				t.Errorf("%x, want %s (%s)", out, v.Hash, v.Source)
			}
		}
		if after := m.Status().CacheBuilds; after != before {
			t.Errorf("alternating seeds built %d caches", after-before)
		}
	})

	t.Run("batches", func(t *testing.T) {
		inputs := make([][]byte, 9)
		singles := make([][]byte, 9)
		for i := range inputs {
			inputs[i] = bytes.Repeat([]byte{byte(i)}, i*40) // the first is empty
			singles[i] = make([]byte, 32)
			if err := w.Hash(a, inputs[i], []uint32{uint32(len(inputs[i]))}, singles[i]); err != nil {
				t.Fatal(err)
			}
		}
		for n := 1; n <= 9; n++ {
			var in []byte
			var lens []uint32
			for _, p := range inputs[9-n:] {
				in, lens = append(in, p...), append(lens, uint32(len(p)))
			}
			out := make([]byte, 32*n)
			if err := w.Hash(a, in, lens, out); err != nil {
				t.Fatal(err)
			}
			if want := bytes.Join(singles[9-n:], nil); !bytes.Equal(out, want) {
				t.Errorf("batch of %d differs from single hashes", n)
			}
		}
	})

	t.Run("float state", func(t *testing.T) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		in := make([]byte, 76*3)
		before := floatState()
		if err := w.Hash(a, in, []uint32{76, 76, 76}, make([]byte, 96)); err != nil {
			t.Fatal(err)
		}
		if after := floatState(); after != before {
			t.Errorf("floating point state %#x before, %#x after", before, after)
		}
	})

	t.Run("allocations", func(t *testing.T) {
		in, lens, out := make([]byte, 152), []uint32{76, 76}, make([]byte, 64)
		if n := testing.AllocsPerRun(3, func() {
			e, err := m.Acquire(a.Seed())
			if err != nil {
				t.Error(err)
				return
			}
			if err := w.Hash(e, in, lens, out); err != nil {
				t.Error(err)
			}
			e.Release()
		}); n != 0 {
			t.Errorf("%v allocations a batch", n)
		}
	})

	t.Run("bare loop", func(t *testing.T) {
		in, want, got := unhex(t, vb[0].Input), make([]byte, 32), make([]byte, 32)
		binary.LittleEndian.PutUint32(in[39:], 7)
		if err := w.Hash(b, in, []uint32{uint32(len(in))}, want); err != nil {
			t.Fatal(err)
		}
		if err := w.BareLoop(b, in, 39, 5, 3, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("the bare loop's third hash is not the hash of nonce+2")
		}
	})

	t.Run("malformed", func(t *testing.T) {
		in, out := make([]byte, 10), make([]byte, 64)
		for name, err := range map[string]error{
			"no input":     w.Hash(a, nil, nil, nil),
			"short output": w.Hash(a, in, []uint32{5, 5}, out[:63]),
			"sum too low":  w.Hash(a, in, []uint32{5, 4}, out),
			"sum too high": w.Hash(a, in, []uint32{5, 6}, out),
			"wrapping sum": w.Hash(a, in, []uint32{1<<32 - 1, 11}, out),
			"too many":     w.Hash(a, nil, make([]uint32, MaxBatch+1), make([]byte, 32*(MaxBatch+1))),
			"bare loop":    w.BareLoop(a, in, 7, 0, 1, out[:32]),
		} {
			if !errors.Is(err, ErrBatch) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.Hash(nil, in, []uint32{10}, out[:32]); !errors.Is(err, ErrClosed) {
			t.Errorf("nil epoch: %v", err)
		}
	})
}

// TestCloseDuringRealDatasetBuild closes while 2080 MiB are being filled.
func TestCloseDuringRealDatasetBuild(t *testing.T) {
	mem, err := cpu.AvailableMemory()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Mode: ModeAuto, MaxDatasets: 1, SliceItems: 4096}
	m := newReal(t, cfg)
	if m.maxDatasets == 0 {
		t.Skipf("no memory for a dataset: %s", planText(mem))
	}
	m.Announce("test", seedOf(1), Seed{})
	eventually(t, "dataset growing", func() bool {
		s := m.Status()
		return len(s.Epochs) == 1 && s.Epochs[0].Progress > 0
	})
	begin := time.Now()
	m.Close()
	t.Logf("closed in %v", time.Since(begin))
	if s := m.Status(); s.Datasets != 0 || s.Caches != 0 {
		t.Errorf("left: %+v", s)
	}
}

func planText(mem cpu.Memory) string {
	_, why, _ := budget{mem, DefaultMemoryReserve, nil, false}.datasets(ModeAuto, 1)
	return why
}

// TestFullEqualsLight fills a whole dataset (about 40 s of CPU), so it runs
// only with ASSAY_LONG_TESTS=1.
func TestFullEqualsLight(t *testing.T) {
	if os.Getenv("ASSAY_LONG_TESTS") == "" {
		t.Skip("set ASSAY_LONG_TESTS=1: fills a dataset")
	}
	m := newReal(t, Config{Mode: ModeFull, MaxDatasets: 1, BuildThreads: runtime.GOMAXPROCS(0)})
	a, b, va, vb := realEpochs(t, m)
	for !a.Full() {
		if s := stateOf(m, a.Seed()); s == Failed || s == 255 {
			t.Fatalf("state %v", s)
		}
		time.Sleep(10 * time.Millisecond)
	}
	w, err := m.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for e, list := range map[*Epoch][]vector{a: va, b: vb} {
		for _, v := range list {
			in, out := unhex(t, v.Input), make([]byte, 32)
			if err := w.Hash(e, in, []uint32{uint32(len(in))}, out); err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(out) != v.Hash {
				t.Errorf("full=%v: %x, want %s (%s)", e.Full(), out, v.Hash, v.Source)
			}
		}
	}
}

// TestC builds the C side with sanitizers and runs its own test main.
func TestC(t *testing.T) {
	if out, err := exec.Command("./ctest/run").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
