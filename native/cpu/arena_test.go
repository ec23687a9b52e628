//go:build linux

package cpu

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

func TestArena(t *testing.T) {
	for _, size := range []int{1, 4096, 2<<20 - 1, 2 << 20, 5 << 20} {
		a, err := AllocArena(size, true)
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

// TestArenaReservedPages: free ones are taken if they are allowed, else left.
func TestArenaReservedPages(t *testing.T) {
	reservePages(t, 4)
	for _, reserved := range []bool{true, false} {
		a, err := AllocArena(2<<20, reserved)
		if err != nil {
			t.Fatal(err)
		}
		if reserved && a.Pages != Huge && HugePages().Free == 0 {
			t.Skip("another process has taken the reserved pages")
		}
		if (a.Pages == Huge) != reserved {
			t.Errorf("reserved pages allowed %v: got %v", reserved, a.Pages)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// reservePages has the system reserve more huge pages for the time of a test.
func reservePages(t *testing.T, more int) {
	t.Helper()
	const file = "/proc/sys/vm/nr_hugepages"
	before := HugePages()
	set := func(n int) error { return os.WriteFile(file, []byte(strconv.Itoa(n)), 0) }
	if err := set(before.Total + more); errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs leave to reserve huge pages:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set(before.Total); err != nil {
			t.Error(err)
		}
	})
	if s := HugePages(); s.Free < more || s.PageSize != hugePageBytes {
		t.Skipf("the system reserved %d pages of %d bytes, want %d of 2 MiB", s.Free, s.PageSize, more)
	}
}

// TestPopulate: an arena is only address space until it is populated.
func TestPopulate(t *testing.T) {
	const size = 65<<20 + 5
	a, err := AllocArena(size, true)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	untouched := residentBytes(t)
	if err := a.Populate(); err != nil {
		t.Fatal(err)
	}
	if got := residentBytes(t) - untouched; a.Pages != Huge && got < 60<<20 { // reserved pages are not counted there
		t.Errorf("%d bytes became resident, want %d", got, size)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Populate(); err == nil {
		t.Error("a closed arena was populated")
	}
}

// TestPopulateWithoutMemory: memory that goes to others meanwhile is an error
// in time, unless the arena has its reserved pages.
func TestPopulateWithoutMemory(t *testing.T) {
	const size = 8 << 20
	for _, pages := range []Pages{Plain, THP, Huge} {
		a, err := AllocArena(size, true)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		a.Pages = pages
		looks := 0
		err = a.populate(func() (Memory, error) {
			looks++
			return Memory{Available: uint64(size - looks*(3<<20)), Limit: "memory.max"}, nil
		})
		if pages == Huge {
			if err != nil {
				t.Errorf("%v: %v", pages, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "memory.max") {
			t.Errorf("%v: %v, want an error that names the limit", pages, err)
		}
	}
}

// TestArenaUnmaps would run out of address limits if Close kept the mapping.
func TestArenaUnmaps(t *testing.T) {
	before := virtualBytes(t)
	for range 8 {
		a, err := AllocArena(256<<20, true)
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
		if a, err := AllocArena(size, true); err == nil {
			a.Close()
			t.Errorf("AllocArena(%d) succeeded", size)
		}
	}
}
