package cpu

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
)

// hugePageBytes is the x86-64 and arm64 (4 KiB granule) huge page.
const hugePageBytes = 2 << 20

// maxArena bounds one arena: 64 GiB is 32,768 scratchpads, beyond any machine
// this runs on, and keeps size arithmetic far from overflow.
const maxArena = 64 << 30

// Arena is zeroed memory outside Go's heap, aligned to 2 MiB, for scratchpads
// that C code works on. The garbage collector neither scans nor counts it.
type Arena struct {
	Bytes []byte // length as asked for; invalid after Close
	Pages Pages  // what the system gave

	mapped  []byte // the whole mapping, for unmapping
	once    sync.Once
	err     error
	cleanup runtime.Cleanup
}

// AllocArena maps size bytes, with reserved huge pages if they are allowed and
// there are enough, else with transparent ones, else plain, and tells which in
// Pages. Errors: size not in 1…64 GiB; the system is out of memory.
func AllocArena(size int, reserved bool) (*Arena, error) {
	if size <= 0 || size > maxArena {
		return nil, fmt.Errorf("allocate arena: size %d is not in 1…%d", size, maxArena)
	}
	a := &Arena{}
	if err := a.mapMemory(size, reserved); err != nil {
		return nil, fmt.Errorf("allocate arena of %d bytes: %w", size, err)
	}
	// Only a report: unmapping here could pull memory from under running C code.
	a.cleanup = runtime.AddCleanup(a, func(n int) {
		slog.Default().Warn("arena was dropped without Close; its memory is leaked", "bytes", n)
	}, len(a.mapped))
	return a, nil
}

// Populate puts memory behind the arena now instead of at its first use, when
// something may wait for it; call it before, as what is in there may be lost.
// Errors: memory lacks, found out before the system's last page is taken from
// others; the arena is closed.
func (a *Arena) Populate() error { return a.populate(AvailableMemory) }

// populate looks at the memory before each step, for all that is still to come:
// other threads populate arenas of their own at the same time. Reserved huge
// pages are the arena's already.
func (a *Arena) populate(available func() (Memory, error)) error {
	if a.Bytes == nil {
		return errors.New("populate arena: it is closed")
	}
	for at := 0; at < len(a.Bytes); at += hugePageBytes {
		rest := a.Bytes[at:]
		mem, err := available()
		if err == nil && a.Pages != Huge && mem.Available < uint64(len(rest)) {
			return fmt.Errorf("populate arena of %d bytes: %d are still to come, %d are available by %s",
				len(a.Bytes), len(rest), mem.Available, mem.Limit)
		}
		if err := populate(rest[:min(hugePageBytes, len(rest))]); err != nil {
			return fmt.Errorf("populate arena of %d bytes on %s pages: %w", len(a.Bytes), a.Pages, err)
		}
	}
	return nil
}

// Close unmaps the arena. Further calls do nothing and return the same error.
func (a *Arena) Close() error {
	a.once.Do(func() {
		a.cleanup.Stop()
		a.Bytes = nil
		if err := a.unmap(); err != nil {
			a.err = fmt.Errorf("close arena: %w", err)
		}
		a.mapped = nil
	})
	return a.err
}
