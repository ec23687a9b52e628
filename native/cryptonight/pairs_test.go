//go:build cgo && linux && amd64

package cryptonight

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

// TestRandomPairs holds kernels against each other, both batched: each round
// draws two paths (kernel, width, compiled or interpreted programs) and random
// inputs of random lengths. It finds what TestRandom finds at a tenth of the
// time, because the reference is no slow kernel; that one of a pair is right
// the vectors show. ASSAY_CN_PAIRS is the number of inputs of each class.
func TestRandomPairs(t *testing.T) {
	total := 16
	if text := os.Getenv("ASSAY_CN_PAIRS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("ASSAY_CN_PAIRS is %q, want a number of inputs", text)
		}
		total = n
	}
	for _, a := range classes() {
		t.Run(strings.ReplaceAll(a.String(), "/", "-"), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(a), 11))
			var fast, slow []*Worker
			for _, k := range Supported(testCPU(t)) {
				w := testWorker(t, k, MaxWidth, a)
				if k == Portable || a == algo.CNGPU && k == AESNI {
					slow = append(slow, w)
					continue
				}
				fast = append(fast, w)
				if a.NeedsHeight() {
					interpreted := testWorker(t, k, MaxWidth, a)
					interpreted.engine.cfg.NoJIT = true
					slow = append(slow, interpreted)
				}
			}
			used := map[*Worker]int{}
			widths := map[int]bool{}
			for done := 0; done < total; {
				pair, n := pickPair(r, fast, slow), 1+r.IntN(MaxWidth)
				comparePair(t, r, a, pair, n)
				used[pair[0]] += n
				used[pair[1]] += n
				widths[n] = true
				done += n
			}
			for w, n := range used {
				t.Logf("kernel %v, interpreted %v: %d inputs", w.engine.kernel, w.engine.cfg.NoJIT, n)
			}
			t.Logf("%d different widths", len(widths))
		})
	}
}

// slowTurns: a slow path takes part in one round of so many.
const slowTurns = 24

// pickPair draws two different paths.
func pickPair(r *rand.Rand, fast, slow []*Worker) [2]*Worker {
	all := fast
	if len(fast) < 2 || len(slow) > 0 && r.IntN(slowTurns) == 0 {
		all = append(append([]*Worker{}, fast...), slow[r.IntN(len(slow))])
		// The slow one for sure.
		return [2]*Worker{all[len(all)-1], all[r.IntN(len(all)-1)]}
	}
	i := r.IntN(len(all))
	j := r.IntN(len(all) - 1)
	if j >= i {
		j++
	}
	return [2]*Worker{all[i], all[j]}
}

// comparePair hashes n inputs as one batch on one path, and at a random width
// on the other.
func comparePair(t *testing.T, r *rand.Rand, a algo.ID, pair [2]*Worker, n int) {
	t.Helper()
	b := &batch{}
	height := r.Uint64() >> r.UintN(64)
	for range n {
		b.add(randomBytes(r, randomLength(r, MinInput(a))), height)
	}
	out := [2][]byte{make([]byte, len(b.out)), make([]byte, len(b.out))}
	for i, w := range pair {
		w.widths[a] = uint8(n)
		if i == 1 {
			w.widths[a] = uint8(1 + r.IntN(n))
		}
		if err := w.Hash(a, b.in, b.lens, b.heights, out[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out[0], out[1]) {
		t.Errorf("%v, height %d, lengths %v: kernel %v at width %d differs from %v at width %d", a, height, b.lens,
			pair[0].engine.kernel, pair[0].widths[a], pair[1].engine.kernel, pair[1].widths[a])
	}
}
