package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory tries the three kinds of memory in order of speed.
//
//	plain and THP: │slack│ size rounded up to 2 MiB │slack│   the slack, 2 MiB
//	                     ▲ Bytes starts 2 MiB aligned         in all, is never touched
func (a *Arena) mapMemory(size int) error {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	rounded := (size + hugePageBytes - 1) &^ (hugePageBytes - 1)
	state := HugePages()
	if state.PageSize == hugePageBytes && state.Free > 0 {
		if m, err := unix.Mmap(-1, 0, rounded, prot, flags|unix.MAP_HUGETLB); err == nil {
			a.mapped, a.Bytes, a.Pages = m, m[:size:size], Huge
			return nil
		}
	}
	m, err := unix.Mmap(-1, 0, rounded+hugePageBytes, prot, flags)
	if err != nil {
		return err
	}
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(m))) & (hugePageBytes - 1))
	a.mapped, a.Bytes, a.Pages = m, m[skip:skip+size:skip+size], Plain
	if state.THPUsable() && unix.Madvise(m[skip:skip+rounded], unix.MADV_HUGEPAGE) == nil {
		a.Pages = THP
	}
	return nil
}

func (a *Arena) unmap() error { return unix.Munmap(a.mapped) }
