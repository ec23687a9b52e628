//go:build cgo && linux && amd64

package cryptonight

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
)

// long asks for the complete tests: ASSAY_CN_LONG=10000 also sets how many
// random inputs a variant class is tested on.
func long() (randomInputs int, ok bool) {
	n, err := strconv.Atoi(os.Getenv("ASSAY_CN_LONG"))
	return n, err == nil && n > 0
}

func testCPU(t testing.TB) *cpu.Info {
	t.Helper()
	info, err := cpu.Detect(nil)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// testEngine skips the self-test: these tests are the better one.
func testEngine(t testing.TB, k Kernel, width int) *Engine {
	t.Helper()
	e := &Engine{cfg: Config{Programs: defaultPrograms}, info: testCPU(t), kernel: k, widths: map[algo.ID]int{}}
	for _, a := range Algorithms() {
		e.widths[a] = width
	}
	return e
}

func testWorker(t testing.TB, k Kernel, width int, algos ...algo.ID) *Worker {
	t.Helper()
	w, err := testEngine(t, k, width).NewWorker(MaxWidth, algos...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// batch is a batch under construction.
type batch struct {
	in      []byte
	lens    []uint32
	heights []uint64
	out     []byte
}

// newBatch has n different inputs of a block header's size and one height.
func newBatch(n int) *batch {
	b := &batch{}
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for range n {
		b.add(randomBytes(r, 76), 1806260)
	}
	return b
}

func (b *batch) add(in []byte, height uint64) {
	b.in = append(b.in, in...)
	b.lens = append(b.lens, uint32(len(in)))
	b.heights = append(b.heights, height)
	b.out = append(b.out, make([]byte, HashSize)...)
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
