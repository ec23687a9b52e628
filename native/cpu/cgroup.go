package cpu

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cgroups are the control groups this process is in, as far as they can be
// seen: for each controller the folders from its own group up to the top of the
// mount. Each of them may have a limit, and the tightest one counts.
//
//	/proc/self/cgroup      "0::/a/b" (v2)   "4:memory:/docker/x" (v1)
//	/proc/self/mountinfo   where each hierarchy is mounted, and which of its
//	                       groups the top of the mount shows: in a container
//	                       often the container's own, "/docker/x"
//
// Without a readable mountinfo the usual places are tried.
type cgroups struct {
	root fs.FS
	v2   []string            // folders without the leading slash
	v1   map[string][]string // by controller
}

// cgroupMount is one mount of a hierarchy.
type cgroupMount struct {
	at          string   // mount point, without the leading slash
	top         string   // the group it shows there
	controllers []string // v1; none for v2
}

func readCgroups(root fs.FS) cgroups {
	c := cgroups{root: root, v1: map[string][]string{}}
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return c // a kernel without cgroups has no limit there
	}
	mounts := cgroupMounts(root)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if parts[0] == "0" && parts[1] == "" {
			c.v2 = append(c.v2, groupDirs(mounts, "", parts[2])...)
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller != "" {
				c.v1[controller] = append(c.v1[controller], groupDirs(mounts, controller, parts[2])...)
			}
		}
	}
	return c
}

// cgroupMounts reads the mounts of all hierarchies. A line is
//
//	31 23 0:28 TOP MOUNTPOINT options [tags] - TYPE source super,options
func cgroupMounts(root fs.FS) []cgroupMount {
	text, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var mounts []cgroupMount
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(kind) < 3 {
			continue
		}
		m := cgroupMount{at: strings.TrimPrefix(path.Clean(mount[4]), "/"), top: path.Clean(mount[3])}
		switch kind[0] {
		case "cgroup":
			m.controllers = strings.Split(kind[2], ",")
		case "cgroup2":
		default:
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// groupDirs lists where a group and its parents are, the group first. A path
// that is not below the mount is walked all the same: what is not there has no
// limit, and the last folder is the mount's own top.
func groupDirs(mounts []cgroupMount, controller, group string) []string {
	var dirs []string
	for _, m := range mounts {
		if (controller == "") != (m.controllers == nil) || controller != "" && !slices.Contains(m.controllers, controller) {
			continue
		}
		dirs = append(dirs, parents(m.at, below(group, m.top))...)
	}
	if dirs == nil {
		dirs = parents(path.Join("sys/fs/cgroup", controller), group)
	}
	return dirs
}

// below is the part of group below top, or group when it is not below it.
func below(group, top string) string {
	group = path.Join("/", group)
	if top == "/" || group != top && !strings.HasPrefix(group, top+"/") {
		return group
	}
	return strings.TrimPrefix(group, top)
}

func parents(mount, group string) (dirs []string) {
	for dir := path.Join("/", group); ; dir = path.Dir(dir) {
		dirs = append(dirs, path.Join(mount, dir))
		if dir == "/" {
			return dirs
		}
	}
}

// Quota is a limit of CPU time; the zero value is none.
type Quota struct {
	CPUs float64 // CPU seconds a second for all threads together
	File string  // that says so
}

// Below tells whether the quota is less than that many CPUs can give.
func (q Quota) Below(cpus int) bool { return q.CPUs > 0 && q.CPUs < float64(cpus) }

// cpuQuota is the tightest quota of the process's groups: cpu.max of v2
// ("QUOTA PERIOD" or "max PERIOD"), cpu.cfs_quota_us of v1 (-1: none).
func (c cgroups) cpuQuota() (q Quota) {
	tighten := func(quota, period uint64, file string) {
		if quota == 0 || period == 0 {
			return
		}
		if cpus := float64(quota) / float64(period); q.CPUs == 0 || cpus < q.CPUs {
			q = Quota{CPUs: cpus, File: "/" + file}
		}
	}
	for _, dir := range c.v2 {
		file := path.Join(dir, "cpu.max")
		text, err := fs.ReadFile(c.root, file)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text))
		if len(fields) != 2 {
			continue
		}
		quota, err1 := strconv.ParseUint(fields[0], 10, 63) // "max" is none
		period, err2 := strconv.ParseUint(fields[1], 10, 63)
		if err1 == nil && err2 == nil {
			tighten(quota, period, file)
		}
	}
	for _, dir := range c.v1["cpu"] {
		file := path.Join(dir, "cpu.cfs_quota_us")
		quota, ok1 := readUint(c.root, file)
		period, ok2 := readUint(c.root, path.Join(dir, "cpu.cfs_period_us"))
		if ok1 && ok2 {
			tighten(quota, period, file)
		}
	}
	return q
}

// limit is one limit of memory, with what is used under it.
type limit struct {
	bytes, used uint64
	file        string
}

func (l limit) left() uint64 { return l.bytes - min(l.bytes, l.used) }

// unlimited: v1 writes "no limit" as the largest number of whole pages.
const unlimited = 1 << 62

// memoryLimits are all limits of ordinary memory. memory.high counts: beyond it
// the kernel slows the process down until it is of no use to a miner. File
// pages do not count as used, as the kernel drops them before it kills anyone.
func (c cgroups) memoryLimits() (limits []limit) {
	add := func(dir, limitFile, usageFile, stat string) {
		file := path.Join(dir, limitFile)
		bytes, ok1 := readUint(c.root, file)
		used, ok2 := readUint(c.root, path.Join(dir, usageFile))
		if !ok1 || !ok2 || bytes >= unlimited {
			return
		}
		stats := path.Join(dir, "memory.stat")
		cached := statValue(c.root, stats, stat+"inactive_file") + statValue(c.root, stats, stat+"active_file")
		limits = append(limits, limit{bytes, used - min(used, cached), "/" + file})
	}
	for _, dir := range c.v2 {
		add(dir, "memory.max", "memory.current", "")
		add(dir, "memory.high", "memory.current", "")
	}
	for _, dir := range c.v1["memory"] {
		add(dir, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
	}
	return limits
}

// hugeLimits are all limits of reserved 2 MiB pages. A page beyond one of them
// can be mapped and is a SIGBUS when it is touched; of those that are reserved
// when they are mapped (rsvd) the mapping fails.
func (c cgroups) hugeLimits() (limits []limit) {
	add := func(dir, limitFile, usageFile string) {
		file := path.Join(dir, limitFile)
		bytes, ok1 := readUint(c.root, file)
		used, ok2 := readUint(c.root, path.Join(dir, usageFile))
		if ok1 && ok2 && bytes < unlimited {
			limits = append(limits, limit{bytes, used, "/" + file})
		}
	}
	for _, dir := range c.v2 {
		add(dir, "hugetlb.2MB.max", "hugetlb.2MB.current")
		add(dir, "hugetlb.2MB.rsvd.max", "hugetlb.2MB.rsvd.current")
	}
	for _, dir := range c.v1["hugetlb"] {
		add(dir, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.usage_in_bytes")
		add(dir, "hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.usage_in_bytes")
	}
	return limits
}

// readUint reads a file of one number; "max", "-1" and absence are no limit.
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
