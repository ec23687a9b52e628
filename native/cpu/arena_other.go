//go:build !linux

package cpu

import "unsafe"

// mapMemory takes Go memory, aligned by hand: correct everywhere, fast nowhere.
func (a *Arena) mapMemory(size int, _ bool) error {
	m := make([]byte, size+hugePageBytes)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(m))) & (hugePageBytes - 1))
	a.mapped, a.Bytes, a.Pages = m, m[skip:skip+size:skip+size], Plain
	return nil
}

func populate(b []byte) error {
	clear(b)
	return nil
}

func (a *Arena) unmap() error { return nil }
