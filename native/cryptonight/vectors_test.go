//go:build cgo && linux && amd64

package cryptonight

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

// vector is one public hash of testdata/vectors.json.
type vector struct {
	Algo   string
	Input  string `json:"input_hex"`
	Hash   string `json:"hash_hex"`
	Height uint64
	Source string
	in     []byte
	hash   []byte
}

func loadVectors(t testing.TB) map[string][]vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	byAlgo := map[string][]vector{}
	for _, v := range all {
		if v.Source == "" {
			t.Errorf("a vector of %s has no source", v.Algo)
		}
		if v.in, err = hex.DecodeString(v.Input); err != nil {
			t.Fatal(err)
		}
		if v.hash, err = hex.DecodeString(v.Hash); err != nil || len(v.hash) != HashSize {
			t.Fatalf("%s: hash %q", v.Algo, v.Hash)
		}
		byAlgo[v.Algo] = append(byAlgo[v.Algo], v)
	}
	return byAlgo
}

// ring is what a batch may hold together: all vectors of a variant or, where a
// height has a program of its own, one of them; then random inputs, so that no
// two lanes are equal. The portable kernel with one lane hashed those.
type ring struct {
	listed  int // the first so many entries are public vectors
	entries []vector
}

// rings makes the rings of a variant, each of width entries at least.
func rings(t *testing.T, a algo.ID, list []vector, width int) []ring {
	t.Helper()
	var made []ring
	if a.NeedsHeight() {
		for _, v := range list {
			made = append(made, ring{1, []vector{v}})
		}
	} else {
		made = []ring{{len(list), slices.Clone(list)}}
	}
	r := rand.New(rand.NewPCG(uint64(a), 3))
	w := testWorker(t, Portable, 1, a)
	for i := range made {
		for len(made[i].entries) < width {
			b := &batch{}
			height := made[i].entries[0].Height
			b.add(randomBytes(r, randomLength(r, 43)), height)
			if err := w.Hash(a, b.in, b.lens, b.heights, b.out); err != nil {
				t.Fatal(err)
			}
			made[i].entries = append(made[i].entries, vector{Height: height, in: b.in, hash: b.out})
		}
	}
	return made
}

// batch is width entries from start on, all different.
func (r ring) batch(start, width int) []vector {
	n := max(r.listed, width)
	out := make([]vector, width)
	for l := range out {
		out[l] = r.entries[(start+l)%n]
	}
	return out
}

// TestVectors runs public vectors through every kernel at every width, all
// lanes different. Each run starts one vector further, so that over kernels
// and widths each vector meets many lanes. With ASSAY_CN_LONG every vector
// meets every lane of every width up to 16, and a batch runs at each wide width
// that Calibrate may choose and at the first that prefetches to L2. The
// cheapest variants do the same up to MaxWidth; the slowest paths, the portable
// kernel and the programs of a height each, up to 8 and then with one batch.
func TestVectors(t *testing.T) {
	vectors := loadVectors(t)
	_, all := long()
	for _, a := range Algorithms() {
		list := vectors[a.String()]
		if len(list) < 5 {
			t.Errorf("%v: only %d vectors", a, len(list))
			continue
		}
		t.Run(strings.ReplaceAll(a.String(), "/", "-"), func(t *testing.T) {
			t.Parallel()
			widths, rotated := []int{1, 2, 4, 8, 25}, 0
			if all {
				widths, rotated = append(rangeOf(16), 25, 32, 64), 16
				switch {
				case a == algo.CNUPX2 || a == algo.CNPico:
					widths, rotated = rangeOf(MaxWidth), MaxWidth
				case a.NeedsHeight():
					rotated = 8
				}
			}
			made := rings(t, a, list, widths[len(widths)-1])
			hashed, turn := 0, 0
			for _, k := range Supported(testCPU(t)) {
				for _, width := range widths {
					w := testWorker(t, k, width, a)
					if width <= rotated && (k != Portable || width <= 8) {
						for _, r := range made {
							for start := range max(r.listed, width) {
								checkBatch(t, w, a, r.batch(start, width))
								hashed += width
							}
						}
					} else {
						checkBatch(t, w, a, made[turn%len(made)].batch(turn/len(made), width))
						hashed += width
					}
					turn++
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				}
			}
			t.Logf("%d hashes", hashed)
		})
	}
}

// rangeOf is 1 … n.
func rangeOf(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i + 1
	}
	return list
}

// TestHeightsApart puts two heights into one call: the batch of the first, and
// a part of one of the second.
func TestHeightsApart(t *testing.T) {
	vectors := loadVectors(t)
	for _, a := range []algo.ID{algo.CNR, algo.CNWOW} {
		made := rings(t, a, vectors[a.String()][:2], 4)
		for _, k := range Supported(testCPU(t)) {
			w := testWorker(t, k, 4, a)
			checkBatch(t, w, a, append(made[0].batch(0, 4), made[1].batch(1, 3)...))
		}
	}
}

// checkBatch hashes a batch of known hashes.
func checkBatch(t *testing.T, w *Worker, a algo.ID, known []vector) {
	t.Helper()
	b := &batch{}
	for _, v := range known {
		b.add(v.in, v.Height)
	}
	if err := w.Hash(a, b.in, b.lens, b.heights, b.out); err != nil {
		t.Fatal(err)
	}
	for l, v := range known {
		if got := b.out[l*HashSize : (l+1)*HashSize]; !bytes.Equal(got, v.hash) {
			t.Errorf("%v, kernel %v, batch of %d, lane %d: %x, want %x", a, w.engine.kernel, len(known), l, got, v.hash)
		}
	}
}

// TestLanePositions puts every vector into every lane of a width of 8 of the
// fastest kernel, in the variants whose loops differ.
func TestLanePositions(t *testing.T) {
	vectors := loadVectors(t)
	kernels := Supported(testCPU(t))
	for _, a := range []algo.ID{algo.CNLite1, algo.CNPico, algo.CNUPX2, algo.CNCCX} {
		w := testWorker(t, kernels[len(kernels)-1], 8, a)
		r := rings(t, a, vectors[a.String()], 8)[0]
		for start := range r.entries {
			checkBatch(t, w, a, r.batch(start, 8))
		}
	}
}

func TestFinalHashes(t *testing.T) {
	vectors := loadVectors(t)
	for i, name := range []string{"blake256", "groestl256", "jh256", "skein512-256"} {
		if len(vectors[name]) != 7 {
			t.Errorf("%s: %d vectors, want 7", name, len(vectors[name]))
		}
		for _, v := range vectors[name] {
			got, err := finalHash(i, v.in)
			if err != nil || !bytes.Equal(got[:], v.hash) {
				t.Errorf("%s of %d bytes: %x, %v; want %x", name, len(v.in), got, err, v.hash)
			}
		}
	}
	if _, err := finalHash(4, nil); err == nil {
		t.Error("there is no fifth final hash")
	}
}

// TestVectorsAgree holds the C test's list and the self-test's to testdata.
func TestVectorsAgree(t *testing.T) {
	vectors := loadVectors(t)
	raw, err := os.ReadFile("ctest/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		if !strings.HasPrefix(line, "#") {
			lines[strings.TrimSpace(line)] = true
		}
	}
	count := 0
	known := map[string]bool{}
	for name, list := range vectors {
		for _, v := range list {
			input := v.Input
			known[fmt.Sprint(name, input, v.Height, v.Hash)] = true
			if input == "" {
				input = "-"
			}
			if line := fmt.Sprintf("%s %d %s %s", name, v.Height, input, v.Hash); !lines[line] {
				t.Errorf("ctest/vectors.txt lacks %.80s", line)
			}
			count++
		}
	}
	if count < len(lines) {
		t.Errorf("ctest/vectors.txt has %d lines, testdata %d vectors", len(lines), count)
	}
	tests := selfTests()
	if len(tests) != len(Algorithms()) {
		t.Errorf("%d self-tests for %d algorithms", len(tests), len(Algorithms()))
	}
	for i, test := range tests {
		if test.algo != Algorithms()[i] || !known[fmt.Sprint(test.algo, test.input, test.height, test.hash)] {
			t.Errorf("the self-test of %v is no public vector", test.algo)
		}
	}
}
