package cpu

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Memory is how much this process could still take.
type Memory struct {
	Available uint64 // bytes of ordinary memory without swapping or reaching a cgroup limit
	HugeFree  uint64 // bytes in free reserved 2 MiB pages; not part of Available
	Limit     string // what bounds Available: "MemAvailable" or the cgroup file
}

// AvailableMemory reads MemAvailable and the memory limits of the process's
// cgroup and its parents (v1 and v2). Inactive file cache counts as available,
// as the kernel drops it before it kills anyone.
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
	mem := Memory{Available: m.available, Limit: "MemAvailable"}
	if m.hugeSize == hugePageBytes && m.hugeFree > m.hugeReserved {
		mem.HugeFree = (m.hugeFree - m.hugeReserved) * hugePageBytes
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return mem, nil // a kernel without cgroups has no limit there
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			mem.bound(root, "sys/fs/cgroup", parts[2], "memory.max", "memory.current", "inactive_file")
		case parts[1] == "memory":
			mem.bound(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
		}
	}
	return mem, nil
}

// bound lowers Available by each limit from the group up to the mount's root.
// In a container the path of /proc/self/cgroup may not exist below the mount;
// the walk then still meets the root, which is the container's own group.
func (m *Memory) bound(root fs.FS, mount, group, limitFile, usageFile, inactive string) {
	for dir := path.Join("/", group); ; dir = path.Dir(dir) {
		at := path.Join(mount, dir)
		limit, ok1 := readUint(root, path.Join(at, limitFile))
		usage, ok2 := readUint(root, path.Join(at, usageFile))
		if ok1 && ok2 {
			used := usage - min(usage, statValue(root, path.Join(at, "memory.stat"), inactive))
			if left := limit - min(limit, used); left < m.Available {
				m.Available, m.Limit = left, "/"+path.Join(at, limitFile)
			}
		}
		if dir == "/" {
			return
		}
	}
}

// readUint reads a file of one number; "max" and absence are no limit.
func readUint(root fs.FS, name string) (uint64, bool) {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return v, err == nil
}

// statValue finds "key value" in a memory.stat file, 0 when absent.
func statValue(root fs.FS, name, key string) uint64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseUint(v, 10, 64)
			return n
		}
	}
	return 0
}
