package randomx

import (
	"fmt"
	"sort"

	"github.com/assay-pool/assay/native/cpu"
)

// Status is a snapshot for banner, metrics and status pages.
type Status struct {
	Library      string // what hashes: library, JIT, AES
	Reason       string // the mode in use and why
	MaxCaches    int
	MaxDatasets  int // 0: light mode
	Caches       int // allocated, spare ones included
	Datasets     int
	Workers      int
	RefusedSeeds uint64
	CacheBuilds  uint64              // caches filled so far
	PageBytes    map[cpu.Pages]int64 // bytes of caches and datasets by page kind
	Epochs       []EpochStatus       // by seed
}

// EpochStatus is one seed of a Status.
type EpochStatus struct {
	Seed       [32]byte
	State      State
	Progress   float64 // of the dataset, 0…1
	References int
	Wanted     bool // announced; otherwise it lives by its references
	CachePages cpu.Pages
	DataPages  cpu.Pages // of the dataset, complete or growing
	Bytes      int64
	Err        error // why it failed, or why it has no dataset
}

// Status takes a snapshot.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{Library: m.lib.describe(), Reason: m.reason, MaxCaches: m.cfg.MaxCaches, MaxDatasets: m.maxDatasets,
		Caches: m.caches, Datasets: m.datasets, Workers: len(m.workers), RefusedSeeds: m.refusedSeeds, CacheBuilds: m.builds,
		PageBytes: map[cpu.Pages]int64{}}
	for _, e := range m.epochs {
		x := EpochStatus{Seed: e.seed, State: e.state, References: e.refs, Wanted: e.wanted, Err: e.err}
		if e.cache.mem != nil {
			x.CachePages, x.Bytes = e.cache.mem.pages(), cacheBytes
			s.PageBytes[x.CachePages] += cacheBytes
		}
		if e.full != nil {
			x.Progress = 1
		}
		for _, d := range []*dataset{e.full, e.filling} {
			if d == nil {
				continue
			}
			x.DataPages = d.mem.pages()
			x.Bytes += datasetBytes
			s.PageBytes[x.DataPages] += datasetBytes
			if d == e.filling {
				x.Progress = float64(d.next) / float64(m.lib.items())
			}
		}
		s.Epochs = append(s.Epochs, x)
	}
	for _, c := range m.freeCaches {
		s.PageBytes[c.pages()] += cacheBytes
	}
	for _, d := range m.freeDatasets {
		s.PageBytes[d.mem.pages()] += datasetBytes
	}
	sort.Slice(s.Epochs, func(i, j int) bool { return string(s.Epochs[i].Seed[:]) < string(s.Epochs[j].Seed[:]) })
	return s
}

func (s Status) count(state State) int {
	n := 0
	for _, e := range s.Epochs {
		if e.State == state {
			n++
		}
	}
	return n
}

// Banner returns the start lines about RandomX for that many workers, among
// them how to get huge pages when too few are free for what is still to come
// and for beside, the pages that others in the process did without. Without
// Config.NoHugePages that hint is left out.
func (m *Manager) Banner(workers, beside int) []string {
	s := m.Status()
	lines := []string{
		fmt.Sprintf(" * %-12s %s", "RANDOMX", s.Library),
		fmt.Sprintf(" * %-12s %s", "MEMORY", s.Reason),
	}
	if m.cfg.NoHugePages {
		return lines
	}
	got := int(s.PageBytes[cpu.Huge] / hugePageBytes)
	if hint := cpu.HugePages().Hint(m.PagesNeeded(workers) - got + beside); hint != "" {
		lines = append(lines, fmt.Sprintf(" * %-12s %s", "", hint))
	}
	return lines
}
