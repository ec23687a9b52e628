//go:build !(cgo && linux && amd64)

package randomx

import (
	"errors"
	"testing"
)

func TestNoCgo(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, ErrNoCgo) {
		t.Errorf("New: %v", err)
	}
	if _, err := NewKeyHasher(Config{}); !errors.Is(err, ErrNoCgo) {
		t.Errorf("NewKeyHasher: %v", err)
	}
}
