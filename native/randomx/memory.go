package randomx

import (
	"fmt"

	"github.com/assay-pool/assay/native/cpu"
)

// baseCaches are counted before datasets: current, previous and next.
const baseCaches = 3

// planDatasets decides how many datasets the mode and the memory allow, and
// says why in words for the banner. Huge pages that are free are filled first,
// by what the process allocates beside RandomX and then by caches and datasets,
// as the allocations themselves will do; the rest must fit ordinary memory.
func planDatasets(mode Mode, mem cpu.Memory, reserve uint64, beside []uint64, most int, huge bool) (int, string, error) {
	if mode == ModeLight {
		return 0, "light: as configured", nil
	}
	for n := most; n >= 1; n-- {
		hugeLeft := uint64(0)
		if huge {
			hugeLeft = mem.HugeFree
		}
		ordinary := reserve
		place := func(bytes uint64) {
			if hugeLeft >= bytes {
				hugeLeft -= bytes
			} else {
				ordinary += bytes
			}
		}
		for _, bytes := range beside {
			place(bytes)
		}
		for range baseCaches {
			place(cacheBytes)
		}
		for range n {
			place(datasetBytes)
		}
		if ordinary <= mem.Available {
			return n, fmt.Sprintf("full: %d dataset(s), %d MiB available by %s", n, mem.Available>>20, mem.Limit), nil
		}
	}
	for _, bytes := range beside {
		reserve += bytes
	}
	need := (reserve + baseCaches*cacheBytes + datasetBytes) >> 20
	why := fmt.Sprintf("a dataset needs %d MiB with caches and %d MiB for all else, %d MiB are available by %s",
		need, reserve>>20, mem.Available>>20, mem.Limit)
	if mode == ModeFull {
		return 0, "", fmt.Errorf("randomx mode full: %s; use mode auto or light", why)
	}
	return 0, "light: " + why, nil
}

// PagesNeeded is how many 2 MiB pages put everything on huge pages: caches,
// datasets and one scratchpad per VM of that many workers.
func (m *Manager) PagesNeeded(workers int) int {
	return (baseCaches*cacheBytes+m.maxDatasets*datasetBytes)/hugePageBytes + workers*m.cfg.VMsPerWorker
}
