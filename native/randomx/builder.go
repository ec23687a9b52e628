package randomx

import (
	"fmt"
	"log/slog"
	"time"
)

// build is the builder: the one goroutine that fills memory. It takes one step
// at a time and looks again, so that what is most urgent always goes first:
//
//	cache of a current seed ▶ other caches ▶ one slice of a dataset ▶ sleep
//
// Owned by the Manager; Close waits for it.
func (m *Manager) build() {
	defer close(m.done)
	for {
		select {
		case <-m.stop:
			return
		default:
		}
		if m.step() {
			continue
		}
		select {
		case <-m.wake:
		case <-m.stop:
			return
		}
	}
}

// step does the most urgent piece of work, if there is one.
func (m *Manager) step() bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	if e := m.nextCache(); e != nil {
		e.busy, e.state = true, BuildingCache
		nice := m.cfg.BuildNice
		if m.isCurrent(e.seed) {
			nice = 0
		}
		m.mu.Unlock()
		m.buildCache(e, nice)
		return true
	}
	e, alloc := m.nextDataset()
	if e == nil {
		m.unlock()
		return false
	}
	e.busy = true
	m.unlock()
	if alloc {
		m.takeDataset(e)
	} else {
		m.fillSlice(e)
	}
	return true
}

// nextCache is the most urgent seed without a cache, if memory may be had. mu held.
func (m *Manager) nextCache() *Epoch {
	if len(m.freeCaches) == 0 && m.caches >= m.cfg.MaxCaches {
		return nil // the self-test or an old epoch has it; its return pokes
	}
	for _, s := range m.ranked(true) {
		if e := m.epochs[s]; e != nil && e.wanted && e.state == Queued {
			return e
		}
	}
	return nil
}

// takeCache gives recycled or new memory within MaxCaches. mu not held.
func (m *Manager) takeCache() (cacheMemory, error) {
	m.mu.Lock()
	if n := len(m.freeCaches); n > 0 {
		c := m.freeCaches[n-1]
		m.freeCaches = m.freeCaches[:n-1]
		m.mu.Unlock()
		return c, nil
	}
	if m.caches >= m.cfg.MaxCaches {
		m.mu.Unlock()
		return nil, fmt.Errorf("randomx: all %d caches are in use", m.cfg.MaxCaches)
	}
	m.caches++
	m.mu.Unlock()
	err := m.room("a cache", cacheBytes)
	var c cacheMemory
	if err == nil {
		c, err = m.lib.allocCache()
	}
	if err != nil {
		m.mu.Lock()
		m.caches--
		m.mu.Unlock()
	}
	return c, err
}

// filledCache takes memory and fills it; broken memory is given back. mu not held.
func (m *Manager) filledCache(key []byte, nice int) (cacheMemory, error) {
	c, err := m.takeCache()
	if err != nil {
		return nil, err
	}
	if err := c.fill(key, nice); err != nil {
		c.free()
		m.mu.Lock()
		m.caches--
		m.mu.Unlock()
		return nil, err
	}
	return c, nil
}

func (m *Manager) buildCache(e *Epoch, nice int) {
	begin := time.Now()
	c, err := m.filledCache(e.seed[:], nice)
	took := time.Since(begin)
	m.mu.Lock()
	defer m.unlock()
	e.busy = false
	if err != nil {
		e.state, e.err, e.failedAt = Failed, err, time.Now()
		m.metrics.cacheFailed.Inc()
		m.note(slog.LevelError, "RandomX cache could not be built", "seed", hexSeed(e.seed), "error", err)
	} else {
		m.lastID++
		m.builds++
		e.cache, e.state = filled{c, m.lastID}, Light
		m.metrics.cacheSeconds.Observe(took.Seconds())
		m.note(slog.LevelInfo, "RandomX cache ready", "seed", hexSeed(e.seed), "pages", c.pages().String(), "took", took.Round(time.Millisecond))
	}
	close(e.ready)
	if !e.wanted {
		m.metrics.cachesAborted.Inc()
	}
	m.plan()
}

// datasetSeeds are the seeds that should have a dataset: currents before nexts,
// as many as there may be datasets. mu held.
func (m *Manager) datasetSeeds() map[Seed]bool {
	want := map[Seed]bool{}
	for _, s := range m.ranked(false) {
		if e := m.epochs[s]; e != nil && e.wanted && !e.noFull && len(want) < m.maxDatasets {
			want[s] = true
		}
	}
	return want
}

// planDatasetOwners stops fills for seeds that should no longer have one. mu held.
func (m *Manager) planDatasetOwners() {
	want := m.datasetSeeds()
	for s, e := range m.epochs {
		if e.filling != nil && !want[s] && !e.busy {
			m.retire(&e.filling)
			e.state = Light
			m.metrics.dataPrempted.Inc()
		}
	}
}

// nextDataset is the epoch whose dataset to go on with, and whether it needs
// memory first. Memory is had, in this order: its own half-filled dataset, the
// free list, a new allocation, the dataset of a seed that should have none;
// the last frees itself when its hashes are done, and pokes. mu held.
func (m *Manager) nextDataset() (e *Epoch, alloc bool) {
	want := m.datasetSeeds()
	for _, s := range m.ranked(false) {
		e := m.epochs[s]
		if !want[s] || e.full != nil || e.cache.mem == nil {
			continue
		}
		if e.filling != nil {
			return e, false
		}
		if len(m.freeDatasets) > 0 || m.datasets < m.maxDatasets {
			return e, true
		}
		m.retireOne(want)
		if len(m.freeDatasets) > 0 {
			return e, true
		}
		return nil, false
	}
	return nil, false
}

// retireOne takes the dataset of one epoch outside want, if there is one. mu held.
func (m *Manager) retireOne(want map[Seed]bool) {
	for s, e := range m.epochs {
		if e.full != nil && !want[s] {
			m.retire(&e.full)
			e.state = Light
			m.note(slog.LevelInfo, "RandomX dataset memory goes to a newer seed", "seed", hexSeed(s))
			return
		}
	}
}

// takeDataset gives the epoch memory for its dataset.
func (m *Manager) takeDataset(e *Epoch) {
	m.mu.Lock()
	var d *dataset
	if n := len(m.freeDatasets); n > 0 {
		d = m.freeDatasets[n-1]
		m.freeDatasets = m.freeDatasets[:n-1]
	} else {
		m.datasets++
	}
	m.mu.Unlock()
	var err error
	if d == nil {
		d, err = m.allocDataset()
	}
	m.mu.Lock()
	defer m.unlock()
	e.busy = false
	if err != nil {
		m.datasets--
		m.datasetFailed(e, err)
	} else {
		m.lastID++
		d.id = m.lastID
		e.filling, e.state = d, BuildingDataset
	}
	m.plan()
}

// room looks at the memory again before new memory is asked for: since the
// start others may have taken it, and the kernel would grant the mapping and
// kill somebody later. Where the memory cannot be read it is tried.
func (m *Manager) room(what string, bytes uint64) error {
	mem, err := m.memory()
	if err == nil && mem.Available < bytes && (m.cfg.NoHugePages || mem.HugeFree < bytes) {
		return fmt.Errorf("randomx: %d MiB are left by %s, %s needs %d", mem.Available>>20, mem.Limit, what, bytes>>20)
	}
	return nil
}

func (m *Manager) allocDataset() (*dataset, error) {
	if err := m.room("a dataset", datasetBytes); err != nil {
		return nil, err
	}
	d, err := m.lib.allocDataset()
	if err != nil {
		return nil, err
	}
	return &dataset{mem: d}, nil
}

// datasetFailed leaves the epoch in light mode for good. mu held.
func (m *Manager) datasetFailed(e *Epoch, err error) {
	e.noFull, e.state, e.err = true, Light, err
	m.metrics.datasetFailed.Inc()
	m.note(slog.LevelError, "RandomX dataset could not be built; this seed stays in light mode", "seed", hexSeed(e.seed), "error", err)
}

// fillSlice fills the next SliceItems per thread. Only the builder writes next
// and seconds, and the epoch is busy, so the dataset stays its own.
func (m *Manager) fillSlice(e *Epoch) {
	d, total := e.filling, m.lib.items()
	count := min(m.cfg.SliceItems*uint64(m.cfg.BuildThreads), total-d.next)
	begin := time.Now()
	err := d.mem.fill(e.cache.mem, d.next, count, m.cfg.BuildThreads, m.cfg.BuildNice)
	took := time.Since(begin)
	m.mu.Lock()
	defer m.unlock()
	e.busy = false
	d.seconds += took.Seconds()
	switch {
	case err != nil:
		d.mem.free()
		e.filling = nil
		m.datasets--
		m.datasetFailed(e, err)
	case d.next+count == total:
		d.next = total
		e.full, e.filling, e.state = d, nil, Full
		m.metrics.dataSeconds.Observe(d.seconds)
		m.note(slog.LevelInfo, "RandomX dataset ready", "seed", hexSeed(e.seed), "pages", d.mem.pages().String(), "seconds", d.seconds)
	default:
		d.next += count
	}
	m.plan() // while busy, the epoch could be neither evicted nor stopped
}
