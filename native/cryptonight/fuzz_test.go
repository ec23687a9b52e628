//go:build cgo && linux && amd64

package cryptonight

import (
	"bytes"
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

// FuzzHash splits arbitrary bytes into a batch at arbitrary places and compares
// the fastest kernel with the portable one. Nothing may crash, and both agree
// on what is an error. cn/upx2 is the quickest variant, cn-lite/1 has the
// least input.
func FuzzHash(f *testing.F) {
	f.Add([]byte{}, byte(0), false)
	f.Add(make([]byte, 43), byte(43), true)
	f.Add(make([]byte, 85), byte(42), true)
	f.Add(bytes.Repeat([]byte("assay"), 80), byte(136), false)
	kernels := Supported(testCPU(f))
	portable := testWorker(f, Portable, 1, algo.CNUPX2, algo.CNLite1)
	fastest := testWorker(f, kernels[len(kernels)-1], 5, algo.CNUPX2, algo.CNLite1)
	f.Fuzz(func(t *testing.T, in []byte, cut byte, v1 bool) {
		a := algo.CNUPX2
		if v1 {
			a = algo.CNLite1
		}
		in = in[:min(len(in), 1024)]
		b := &batch{in: in}
		for rest := len(in); rest > 0 && len(b.lens) < 4; {
			n := min(rest, int(cut))
			if len(b.lens) == 3 {
				n = rest
			}
			b.lens = append(b.lens, uint32(n))
			rest -= n
		}
		b.out = make([]byte, HashSize*len(b.lens))
		want := make([]byte, len(b.out))
		errFast := fastest.Hash(a, b.in, b.lens, nil, b.out)
		errPortable := portable.Hash(a, b.in, b.lens, nil, want)
		if (errFast == nil) != (errPortable == nil) || !bytes.Equal(b.out, want) {
			t.Errorf("%v, lengths %v: %x, %v; portable %x, %v", a, b.lens, b.out, errFast, want, errPortable)
		}
	})
}
