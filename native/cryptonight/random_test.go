//go:build cgo && linux && amd64

package cryptonight

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

// classes has one variant for each main loop, the one with the least work.
func classes() []algo.ID {
	return []algo.ID{algo.CNLite0, algo.CNLite1, algo.CNXTL, algo.CNRTO, algo.CNPico, algo.CNPicoTLO, algo.CNUPX2,
		algo.CNR, algo.CNWOW, algo.CNCCX, algo.CNGPU, algo.CNHeavy0, algo.CNHeavyXHV, algo.CNHeavyTube}
}

// randomLength favours the sizes around block and rate boundaries.
func randomLength(r *rand.Rand, least int) int {
	edges := []int{0, 1, 42, 43, 76, 135, 136, 137, 271, 272, 273}
	n := int(r.Uint32N(400))
	if r.Uint32N(3) == 0 {
		n = edges[r.IntN(len(edges))]
	}
	return max(n, least)
}

// TestRandom compares every kernel, batched at a random width up to 8, with the
// portable kernel one by one, on random inputs of random lengths and, for
// random programs, random heights, compiled and interpreted.
func TestRandom(t *testing.T) {
	total, all := long()
	if !all {
		total = 8
	}
	const perRound = 8
	for _, a := range classes() {
		t.Run(strings.ReplaceAll(a.String(), "/", "-"), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(a), 7))
			reference := testWorker(t, Portable, 1, a)
			reference.engine.cfg.NoJIT = !all // interpreted, but for the long run it is too slow
			var workers []*Worker
			for _, k := range Supported(testCPU(t)) {
				w := testWorker(t, k, MaxWidth, a)
				workers = append(workers, w)
				if a.NeedsHeight() {
					interpreted := testWorker(t, k, MaxWidth, a)
					interpreted.engine.cfg.NoJIT = true
					workers = append(workers, interpreted)
				}
			}
			for done := 0; done < total; done += perRound {
				checkRandom(t, r, a, reference, workers, perRound)
			}
		})
	}
}

func checkRandom(t *testing.T, r *rand.Rand, a algo.ID, reference *Worker, workers []*Worker, n int) {
	t.Helper()
	b := &batch{}
	height := r.Uint64() >> r.UintN(64)
	for range n {
		b.add(randomBytes(r, randomLength(r, MinInput(a))), height)
	}
	want := make([]byte, len(b.out))
	at := 0
	for i, length := range b.lens { // one by one: single against batch
		in := b.in[at : at+int(length)]
		if err := reference.Hash(a, in, b.lens[i:i+1], b.heights[i:i+1], want[i*HashSize:(i+1)*HashSize]); err != nil {
			t.Fatal(err)
		}
		at += int(length)
	}
	for _, w := range workers {
		w.widths[a] = uint8(1 + r.IntN(n))
		if err := w.Hash(a, b.in, b.lens, b.heights, b.out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.out, want) {
			t.Errorf("%v, height %d, lengths %v: kernel %v at width %d differs from portable, one by one",
				a, height, b.lens, w.engine.kernel, w.widths[a])
		}
	}
}
