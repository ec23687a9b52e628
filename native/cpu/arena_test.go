//go:build linux

package cpu

import (
	"testing"
	"unsafe"
)

func TestArena(t *testing.T) {
	for _, size := range []int{1, 4096, 2<<20 - 1, 2 << 20, 5 << 20} {
		a, err := AllocArena(size)
		if err != nil {
			t.Fatalf("AllocArena(%d): %v", size, err)
		}
		if len(a.Bytes) != size || cap(a.Bytes) != size {
			t.Errorf("size %d: len %d cap %d", size, len(a.Bytes), cap(a.Bytes))
		}
		if p := uintptr(unsafe.Pointer(&a.Bytes[0])); p%(2<<20) != 0 {
			t.Errorf("size %d: address %#x is not aligned to 2 MiB", size, p)
		}
		for i := range a.Bytes {
			if a.Bytes[i] != 0 {
				t.Fatalf("size %d: byte %d is not zero", size, i)
			}
			a.Bytes[i] = byte(i)
		}
		t.Logf("%d bytes on %s pages", size, a.Pages)
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if a.Bytes != nil {
			t.Error("memory still reachable after Close")
		}
		if err := a.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
}

// TestArenaUnmaps would run out of address limits if Close kept the mapping.
func TestArenaUnmaps(t *testing.T) {
	before := virtualBytes(t)
	for range 8 {
		a, err := AllocArena(256 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := virtualBytes(t); after > before+512<<20 {
		t.Errorf("address space grew from %d to %d bytes", before, after)
	}
}

func TestArenaBadSizes(t *testing.T) {
	for _, size := range []int{0, -1, maxArena + 1} {
		if a, err := AllocArena(size); err == nil {
			a.Close()
			t.Errorf("AllocArena(%d) succeeded", size)
		}
	}
}
