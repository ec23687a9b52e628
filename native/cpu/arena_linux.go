package cpu

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory tries the three kinds of memory in order of speed.
//
//	plain and THP: │slack│ size rounded up to 2 MiB │slack│   the slack, 2 MiB
//	                     ▲ Bytes starts 2 MiB aligned         in all, is never touched
func (a *Arena) mapMemory(size int, reserved bool) error {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	rounded := (size + hugePageBytes - 1) &^ (hugePageBytes - 1)
	state := HugePages()
	if reserved && state.PageSize == hugePageBytes && state.Free > 0 {
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

// populate asks the kernel, which answers with an error where touching would
// be a SIGBUS: reserved huge pages that a cgroup's limit denies. Kernels before
// 5.14 do not know the question.
func populate(b []byte) error {
	err := unix.Madvise(b, unix.MADV_POPULATE_WRITE)
	if errors.Is(err, unix.EINVAL) {
		clear(b)
		return nil
	}
	return err
}

func (a *Arena) unmap() error { return unix.Munmap(a.mapped) }
