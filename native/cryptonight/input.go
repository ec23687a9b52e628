//go:build cgo && linux && amd64

package cryptonight

import (
	"fmt"

	"github.com/assay-pool/assay/native/algo"
)

// inputError says what is wrong with a batch the kernel refused.
func inputError(a algo.ID, in []byte, lens []uint32) error {
	sum := uint64(0)
	for i, n := range lens {
		if int(n) < MinInput(a) {
			return fmt.Errorf("hash %v: input %d has %d bytes, %d are needed: %w", a, i, n, MinInput(a), ErrInput)
		}
		sum += uint64(n)
	}
	return fmt.Errorf("hash %v: lengths add up to %d, the input has %d bytes: %w", a, sum, len(in), ErrInput)
}
