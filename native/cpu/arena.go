package cpu

import (
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

// AllocArena maps size bytes, with reserved huge pages if there are enough,
// else with transparent ones, else plain, and tells which in Pages.
// Errors: size not in 1…64 GiB; the system is out of memory.
func AllocArena(size int) (*Arena, error) {
	if size <= 0 || size > maxArena {
		return nil, fmt.Errorf("allocate arena: size %d is not in 1…%d", size, maxArena)
	}
	a := &Arena{}
	if err := a.mapMemory(size); err != nil {
		return nil, fmt.Errorf("allocate arena of %d bytes: %w", size, err)
	}
	// Only a report: unmapping here could pull memory from under running C code.
	a.cleanup = runtime.AddCleanup(a, func(n int) {
		slog.Default().Warn("arena was dropped without Close; its memory is leaked", "bytes", n)
	}, len(a.mapped))
	return a, nil
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
