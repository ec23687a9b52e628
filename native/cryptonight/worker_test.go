//go:build cgo && linux && amd64

package cryptonight

import (
	"bytes"
	"errors"
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

// TestShortInput: the tweak of v1 reads bytes 35 to 42, so less than 43 bytes
// is an error, never the end of the process; other variants take any length.
func TestShortInput(t *testing.T) {
	for _, k := range Supported(testCPU(t)) {
		w := testWorker(t, k, 2)
		for _, a := range Algorithms() {
			if a == algo.CNGPU || a == algo.CNDouble || a == algo.CNXAO {
				continue // slow, and no different here
			}
			for _, length := range []int{0, 42} {
				b := &batch{}
				b.add(make([]byte, 43), 1)
				b.add(make([]byte, length), 1)
				if MinInput(a) == 0 && (k != Supported(testCPU(t))[0] && length != 0) {
					continue // accepted below by one kernel; the check is common code
				}
				err := w.Hash(a, b.in, b.lens, b.heights, b.out)
				if MinInput(a) > 0 && !errors.Is(err, ErrInput) {
					t.Errorf("%v, kernel %v: %d bytes gave %v", a, k, length, err)
				}
				if MinInput(a) == 0 && err != nil {
					t.Errorf("%v, kernel %v: %d bytes gave %v", a, k, length, err)
				}
				if MinInput(a) > 0 && !bytes.Equal(b.out, make([]byte, len(b.out))) {
					t.Errorf("%v: output written although refused", a)
				}
			}
		}
	}
}

func TestHashErrors(t *testing.T) {
	w := testWorker(t, Portable, 2, algo.CNUPX2, algo.CNR)
	ok := newBatch(2)
	for _, test := range []struct {
		name    string
		a       algo.ID
		in      []byte
		lens    []uint32
		heights []uint64
		out     []byte
		want    error
	}{
		{"RandomX", algo.RX0, ok.in, ok.lens, ok.heights, ok.out, ErrAlgorithm},
		{"variant of another worker", algo.CN1, ok.in, ok.lens, ok.heights, ok.out, ErrAlgorithm},
		{"no variant", algo.ID(200), ok.in, ok.lens, ok.heights, ok.out, ErrAlgorithm},
		{"input too short", algo.CNUPX2, ok.in[1:], ok.lens, nil, ok.out, ErrInput},
		{"input too long", algo.CNUPX2, append(ok.in[:len(ok.in):len(ok.in)], 0), ok.lens, nil, ok.out, ErrInput},
		{"huge lengths", algo.CNUPX2, ok.in, []uint32{1<<32 - 1, 1<<32 - 1}, nil, ok.out, ErrInput},
		{"output too short", algo.CNUPX2, ok.in, ok.lens, nil, ok.out[1:], ErrOutput},
		{"no heights", algo.CNR, ok.in, ok.lens, nil, ok.out, ErrInput},
		{"heights, input too short", algo.CNR, ok.in[1:], ok.lens, ok.heights, ok.out, ErrInput},
		{"heights, input too long", algo.CNR, append(ok.in[:len(ok.in):len(ok.in)], 0), ok.lens, ok.heights, ok.out, ErrInput},
		{"heights, huge lengths", algo.CNR, ok.in, []uint32{1<<32 - 1, 1<<32 - 1}, ok.heights, ok.out, ErrInput},
		{"heights, output too short", algo.CNR, ok.in, ok.lens, ok.heights, ok.out[1:], ErrOutput},
		{"two heights, second too short", algo.CNR, ok.in[:100], ok.lens, []uint64{1, 2}, ok.out, ErrInput},
		{"input without lengths", algo.CNUPX2, ok.in, nil, nil, nil, ErrInput},
		{"empty batch", algo.CNUPX2, nil, nil, nil, nil, nil},
		{"empty batch with heights", algo.CNR, nil, nil, nil, nil, nil},
	} {
		if err := w.Hash(test.a, test.in, test.lens, test.heights, test.out); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// TestSplit hashes batches of every size up to twice the width and more: the
// result does not depend on how they are split.
func TestSplit(t *testing.T) {
	kernels := Supported(testCPU(t))
	one := testWorker(t, kernels[len(kernels)-1], 1, algo.CNUPX2)
	four := testWorker(t, kernels[len(kernels)-1], 4, algo.CNUPX2)
	b := newBatch(19)
	want := make([]byte, len(b.out))
	if err := one.Hash(algo.CNUPX2, b.in, b.lens, nil, want); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		out := make([]byte, n*HashSize)
		if err := four.Hash(algo.CNUPX2, b.in[:76*n], b.lens[:n], nil, out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, want[:len(out)]) {
			t.Errorf("a batch of %d differs from one by one", n)
		}
	}
}

// TestPrograms: a bounded number of programs, made once per height while kept.
func TestPrograms(t *testing.T) {
	w := testWorker(t, Supported(testCPU(t))[0], 1, algo.CNR, algo.CNWOW)
	heights := []struct {
		a      algo.ID
		height uint64
		made   uint64
	}{
		{algo.CNR, 1, 1}, {algo.CNR, 1, 1}, {algo.CNWOW, 1, 2}, {algo.CNR, 2, 3}, {algo.CNR, 3, 4},
		{algo.CNR, 1, 4}, {algo.CNR, 4, 5}, // gives up cn/wow's, the longest unused
		{algo.CNR, 1, 5}, {algo.CNR, 2, 5}, {algo.CNWOW, 1, 6},
	}
	for i, step := range heights {
		p, err := w.programs.get(step.a, step.height, w.engine)
		if err != nil || p == nil {
			t.Fatal(err)
		}
		if w.ProgramsMade() != step.made {
			t.Errorf("step %d: %d programs made, want %d", i, w.ProgramsMade(), step.made)
		}
	}
	if _, err := w.programs.get(algo.CN1, 1, w.engine); err == nil {
		t.Error("cn/1 has a random program")
	}
	if len(w.programs.entries) != defaultPrograms {
		t.Errorf("%d programs kept", len(w.programs.entries))
	}
}

func TestCompiled(t *testing.T) {
	kernels := Supported(testCPU(t))
	for _, jit := range []bool{true, false} {
		p, err := newProgram(algo.CNR, 1806260, kernels[len(kernels)-1], jit)
		if err != nil {
			t.Fatal(err)
		}
		if p.compiled() && !jit {
			t.Error("compiled although forbidden")
		}
		if !p.compiled() && jit {
			t.Log("this system refuses executable pages, or the CPU lacks what compiled programs need")
		}
		p.free()
	}
}

// TestProfile: every part takes time, a confined batch leaves the worker as
// good as before, and what is out of range is refused.
func TestProfile(t *testing.T) {
	for _, k := range Supported(testCPU(t)) {
		for _, a := range []algo.ID{algo.CNUPX2, algo.CNR, algo.CNGPU} {
			w := testWorker(t, k, 2, a)
			for _, reach := range []int{0, 4096, 64 << 10, 1 << 30} {
				p, err := w.Profile(a, 1806260, 2, reach)
				if err != nil || p.Explode <= 0 || p.Loop <= 0 || p.Implode <= 0 {
					t.Errorf("%v, kernel %v, reach %d: %+v, %v", a, k, reach, p, err)
				}
			}
			v := loadVectors(t)[a.String()][0]
			checkBatch(t, w, a, []vector{v})
			for _, bad := range [][2]int{{0, 0}, {3, 0}, {1, -1}, {1, 2048}, {1, 6000}} {
				if _, err := w.Profile(a, 1, bad[0], bad[1]); err == nil {
					t.Errorf("%v: width %d and reach %d were taken", a, bad[0], bad[1])
				}
			}
		}
	}
	w := testWorker(t, Portable, 1, algo.CNUPX2)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Profile(algo.CNUPX2, 0, 1, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed worker: %v", err)
	}
}

func TestNoAllocation(t *testing.T) {
	kernels := Supported(testCPU(t))
	w := testWorker(t, kernels[len(kernels)-1], 4, algo.CNUPX2, algo.CNR)
	for _, a := range []algo.ID{algo.CNUPX2, algo.CNR} {
		b := newBatch(4)
		allocations := testing.AllocsPerRun(3, func() {
			if err := w.Hash(a, b.in, b.lens, b.heights, b.out); err != nil {
				t.Error(err)
			}
		})
		if allocations != 0 {
			t.Errorf("%v: %v allocations a batch", a, allocations)
		}
	}
}

func TestWorkerLife(t *testing.T) {
	e := testEngine(t, Portable, 8)
	for _, test := range []struct {
		batch int
		algos []algo.ID
	}{{0, nil}, {-1, nil}, {1, []algo.ID{algo.RX0}}, {1, []algo.ID{algo.Unknown}}} {
		if w, err := e.NewWorker(test.batch, test.algos...); err == nil {
			w.Close()
			t.Errorf("worker with batch %d of %v", test.batch, test.algos)
		}
	}
	w, err := e.NewWorker(3, algo.CNPico)
	if err != nil {
		t.Fatal(err)
	}
	if w.MaxBatch(algo.CNPico) != 3 || w.MaxBatch(algo.CN0) != 0 {
		t.Errorf("batches %d and %d", w.MaxBatch(algo.CNPico), w.MaxBatch(algo.CN0))
	}
	// The upper half of cn-pico's pad is never kept.
	if w.ArenaBytes() >= 3*(256<<10) || w.ArenaBytes() < 3*(128<<10) {
		t.Errorf("arena of %d bytes", w.ArenaBytes())
	}
	t.Logf("pages: %v", w.Pages())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := w.Hash(algo.CNPico, nil, nil, nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("hash after close: %v", err)
	}
}
