//go:build !(cgo && linux && amd64)

package cryptonight

import (
	"errors"
	"testing"
)

// TestNoCgo: without the C code there is a clear error, not a crash.
func TestNoCgo(t *testing.T) {
	if e, err := New(Config{}); e != nil || !errors.Is(err, ErrNoCgo) {
		t.Errorf("New without cgo: %v, %v", e, err)
	}
}
