//go:build cgo && linux && amd64

package cryptonight

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
)

// BenchmarkHash/cn-1/vaes512/x8: one batch an iteration. "hashes/s" is by the
// thread's CPU time, so that a busy machine disturbs it less.
func BenchmarkHash(b *testing.B) {
	for _, a := range Algorithms() {
		b.Run(strings.ReplaceAll(a.String(), "/", "-"), func(b *testing.B) {
			for _, k := range Supported(testCPU(b)) {
				b.Run(k.String(), func(b *testing.B) {
					for _, width := range []int{1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64} {
						b.Run(fmt.Sprintf("x%d", width), func(b *testing.B) { benchmarkHash(b, a, k, width) })
					}
				})
			}
		})
	}
}

func benchmarkHash(b *testing.B, a algo.ID, k Kernel, width int) {
	w := testWorker(b, k, width, a)
	batch := newBatch(width)
	b.ReportAllocs()
	var spent time.Duration
	for b.Loop() {
		d, err := threadTime(func() error { return w.Hash(a, batch.in, batch.lens, batch.heights, batch.out) })
		if err != nil {
			b.Fatal(err)
		}
		spent += d
	}
	hashes := float64(b.N * width)
	b.ReportMetric(hashes/spent.Seconds(), "hashes/s")
	b.ReportMetric(spent.Seconds()*1e3/hashes, "ms/hash")
}
