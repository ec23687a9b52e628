package cpu

import (
	"fmt"
	"io/fs"
	"os"
)

// Memory is how much this process could still take.
type Memory struct {
	Available uint64 // bytes of ordinary memory without swapping or reaching a cgroup limit
	HugeFree  uint64 // bytes in free reserved 2 MiB pages; not part of Available
	Limit     string // what bounds Available: "MemAvailable" or the cgroup file

	Cgroup     uint64 // bytes: the tightest limit of the process's cgroups, used or not; 0 = none
	CgroupFile string // that says so
}

// AvailableMemory reads MemAvailable and the memory limits of the process's
// cgroup and its parents (v1 and v2). File cache counts as available, as the
// kernel drops it before it kills anyone.
func AvailableMemory() (Memory, error) { return availableMemory(os.DirFS("/")) }

func availableMemory(root fs.FS) (Memory, error) {
	f, err := root.Open("proc/meminfo")
	if err != nil {
		return Memory{}, fmt.Errorf("available memory: %w", err)
	}
	defer f.Close()
	m, err := parseMeminfo(f)
	if err != nil {
		return Memory{}, err
	}
	groups := readCgroups(root)
	mem := Memory{Available: m.available, Limit: "MemAvailable"}
	if m.hugeSize == hugePageBytes {
		free, _ := m.freeHuge(groups)
		mem.HugeFree = free * hugePageBytes
	}
	for _, l := range groups.memoryLimits() {
		if left := l.left(); left < mem.Available {
			mem.Available, mem.Limit = left, l.file
		}
		if mem.Cgroup == 0 || l.bytes < mem.Cgroup {
			mem.Cgroup, mem.CgroupFile = l.bytes, l.file
		}
	}
	return mem, nil
}

// freeHuge is how many reserved pages the process may take, and the cgroup file
// that allows no more of those that are free, if there is one.
func (m meminfo) freeHuge(groups cgroups) (pages uint64, file string) {
	pages = m.hugeFree - min(m.hugeFree, m.hugeReserved)
	if pages == 0 {
		return 0, ""
	}
	for _, l := range groups.hugeLimits() {
		if left := l.left() / hugePageBytes; left < pages {
			pages, file = left, l.file
		}
	}
	return pages, file
}
