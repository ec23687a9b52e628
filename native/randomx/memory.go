package randomx

import (
	"fmt"

	"github.com/assay-pool/assay/native/cpu"
)

// baseCaches are counted before datasets: current, previous and next.
const baseCaches = 3

// leastCaches let a node live through a change of seeds: the one in use and the
// one it came from or goes to.
const leastCaches = 2

// leastReserve is for all else on a small node. Idle, the node and its Redis
// take 12 MiB beside their caches; 200,000 credits that wait for Redis are 50,
// and as much again in Redis; a heap doubles before it is collected. With less
// the node is sure to be killed one day; DefaultMemoryReserve is what it should
// have.
const leastReserve = 256 << 20

// budget is the memory and what takes it beside RandomX.
type budget struct {
	mem     cpu.Memory
	reserve uint64   // bytes left to all else
	beside  []uint64 // allocations of others; see Config.Beside
	huge    bool     // reserved huge pages are used
}

// need is the ordinary memory that so many caches and datasets take beside all
// else. Huge pages that are free are filled first, by what the process allocates
// beside RandomX and then by caches and datasets, as the allocations themselves
// will do; the rest must fit ordinary memory.
func (b budget) need(caches, datasets int) (ordinary uint64) {
	hugeLeft := uint64(0)
	if b.huge {
		hugeLeft = b.mem.HugeFree
	}
	place := func(bytes uint64) {
		if hugeLeft >= bytes {
			hugeLeft -= bytes
		} else {
			ordinary += bytes
		}
	}
	for _, bytes := range b.beside {
		place(bytes)
	}
	for range caches {
		place(cacheBytes)
	}
	for range datasets {
		place(datasetBytes)
	}
	return ordinary + b.reserve
}

func (b budget) fits(caches, datasets int) bool { return b.need(caches, datasets) <= b.mem.Available }

// available says in words what there is.
func (b budget) available() string {
	return fmt.Sprintf("%d MiB available by %s", b.mem.Available>>20, b.mem.Limit)
}

// datasets decides how many the mode and the memory allow, most at most, and
// says why in words for the banner.
func (b budget) datasets(mode Mode, most int) (int, string, error) {
	if mode == ModeLight {
		return 0, "light: as configured, " + b.available(), nil
	}
	for n := most; n >= 1; n-- {
		if b.fits(baseCaches, n) {
			return n, fmt.Sprintf("full: %d dataset(s), %s", n, b.available()), nil
		}
	}
	all := b.reserve
	for _, bytes := range b.beside {
		all += bytes
	}
	need := (all + baseCaches*cacheBytes + datasetBytes) >> 20
	why := fmt.Sprintf("a dataset needs %d MiB with caches and %d MiB for all else, %d MiB are available by %s",
		need, all>>20, b.mem.Available>>20, b.mem.Limit)
	if mode == ModeFull {
		return 0, "", fmt.Errorf("randomx mode full: %s; use mode auto or light", why)
	}
	return 0, "light: " + why, nil
}

// caches decides how many of the wanted caches there may be beside the datasets
// without the process being killed for its memory one day, at the next seed
// most likely. Fewer than wanted, or less than the reserve beside them, is worth
// a warning; when not even the least fit it is an error. Both name the flags.
func (b budget) caches(want, datasets int) (caches int, warning string, err error) {
	if b.fits(want, datasets) {
		return want, "", nil
	}
	least := b
	least.reserve = min(b.reserve, leastReserve)
	for n := want; n >= min(want, leastCaches); n-- {
		if !least.fits(n, datasets) {
			continue
		}
		warning = fmt.Sprintf("%d RandomX caches and %d MiB for all else need %d MiB, %s", want, b.reserve>>20, b.need(want, datasets)>>20, b.available())
		if n < want {
			warning += fmt.Sprintf("; only %d are held", n)
		}
		return n, warning + ": give the node more memory, or lower --randomx-caches", nil
	}
	n := min(want, leastCaches)
	return 0, "", fmt.Errorf("%d RandomX cache(s), CryptoNight's scratchpads and %d MiB for all else need %d MiB, %s: "+
		"give the node more memory (a container's limit is named in the banner), or lower --workers or --cryptonight-width if the scratchpads are many",
		n, least.reserve>>20, least.need(n, datasets)>>20, b.available())
}

// PagesNeeded is how many 2 MiB pages put everything on huge pages: caches,
// datasets and one scratchpad per VM of that many workers.
func (m *Manager) PagesNeeded(workers int) int {
	return (baseCaches*cacheBytes+m.maxDatasets*datasetBytes)/hugePageBytes + workers*m.cfg.VMsPerWorker
}
