package randomx

import (
	"errors"
	"strings"
	"testing"
)

func newFakeKeyHasher(t *testing.T, lib *fakeLibrary) *KeyHasher {
	t.Helper()
	lib.t = t
	h := &KeyHasher{lib: lib}
	t.Cleanup(func() {
		h.Close()
		lib.mu.Lock()
		defer lib.mu.Unlock()
		if lib.caches != 0 || lib.vms != 0 {
			t.Errorf("%d caches and %d VMs are left", lib.caches, lib.vms)
		}
	})
	return h
}

func TestKeyHasherRefuses(t *testing.T) {
	h := newFakeKeyHasher(t, &fakeLibrary{})
	out := make([]byte, 32)
	for _, key := range []string{"", strings.Repeat("k", MaxKeyBytes+1)} {
		if err := h.Hash([]byte(key), []byte("a"), []uint32{1}, out); err == nil || !strings.Contains(err.Error(), "1…60") {
			t.Errorf("key of %d bytes: %v", len(key), err)
		}
	}
	for name, batch := range map[string]struct {
		in   string
		lens []uint32
		out  []byte
	}{
		"no input": {"", nil, nil}, "short output": {"a", []uint32{1}, out[1:]}, "lengths": {"a", []uint32{2}, out},
	} {
		if err := h.Hash([]byte("key"), []byte(batch.in), batch.lens, batch.out); !errors.Is(err, ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.fills != 0 {
		t.Errorf("%d caches were filled for nothing", h.fills)
	}
}

// TestKeyHasherRecovers: a cache that cannot be filled is given back, and the
// next call begins anew.
func TestKeyHasherRecovers(t *testing.T) {
	lib := &fakeLibrary{}
	h := newFakeKeyHasher(t, lib)
	out := make([]byte, 32)
	if err := h.Hash([]byte("one"), []byte("a"), []uint32{1}, out); err != nil {
		t.Fatal(err)
	}
	lib.failFill = errors.New("broken")
	if err := h.Hash([]byte("two"), []byte("a"), []uint32{1}, out); !errors.Is(err, lib.failFill) {
		t.Errorf("a broken fill gave %v", err)
	}
	if lib.caches != 0 || lib.vms != 0 {
		t.Errorf("%d caches and %d VMs outlive a broken fill", lib.caches, lib.vms)
	}
	lib.failFill = nil
	for _, key := range []string{"one", "one", "two"} {
		if err := h.Hash([]byte(key), []byte("a"), []uint32{1}, out); err != nil {
			t.Errorf("after a broken fill: %v", err)
		}
	}
	if h.fills != 3 {
		t.Errorf("%d fills, want 3: one before the failure, two after it", h.fills)
	}
}
