//go:build cgo && linux && amd64

package cryptonight

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
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

// TestVectors runs public vectors through every kernel at every width, all
// lanes different. Each run starts one vector further, so that over kernels
// and widths each vector meets many lanes; with ASSAY_CN_LONG every vector
// meets every lane of every width.
func TestVectors(t *testing.T) {
	vectors := loadVectors(t)
	widths := []int{1, 2, 4, 8}
	_, all := long()
	if all {
		widths = []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 16}
	}
	for _, a := range Algorithms() {
		list := vectors[a.String()]
		if len(list) < 5 {
			t.Errorf("%v: only %d vectors", a, len(list))
			continue
		}
		t.Run(strings.ReplaceAll(a.String(), "/", "-"), func(t *testing.T) {
			t.Parallel()
			start := 0
			for _, k := range Supported(testCPU(t)) {
				for _, width := range widths {
					w := testWorker(t, k, width, a)
					starts := 1
					if all {
						starts = len(list)
					}
					for range starts {
						checkBatch(t, w, a, list, start, width)
						start++
					}
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// checkBatch hashes width vectors from start on. The vectors of cn/r have a
// height each, so there every lane gets the same one, and the first lanes of
// a second group another, to see heights kept apart.
func checkBatch(t *testing.T, w *Worker, a algo.ID, list []vector, start, width int) {
	t.Helper()
	b := &batch{}
	var want []byte
	n := width
	if a.NeedsHeight() {
		n = width + min(width, 2)
	}
	for l := range n {
		v := list[(start+l)%len(list)]
		if a.NeedsHeight() {
			v = list[(start+l/width)%len(list)]
		}
		b.add(v.in, v.Height)
		want = append(want, v.hash...)
	}
	if err := w.Hash(a, b.in, b.lens, b.heights, b.out); err != nil {
		t.Fatal(err)
	}
	for l := range n {
		if got := b.out[l*HashSize : (l+1)*HashSize]; !bytes.Equal(got, want[l*HashSize:(l+1)*HashSize]) {
			t.Errorf("%v, kernel %v, width %d, lane %d: %x, want %x", a, w.engine.kernel, width, l, got, want[l*HashSize:(l+1)*HashSize])
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
		list := vectors[a.String()]
		for start := range list {
			checkBatch(t, w, a, list, start, 8)
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
