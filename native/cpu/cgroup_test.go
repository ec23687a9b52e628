package cpu

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestCPUQuota(t *testing.T) {
	tests := []struct {
		name  string
		files fstest.MapFS
		want  Quota
	}{
		{"no cgroups", fstest.MapFS{}, Quota{}},
		{"v2", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/cpu.max": file("250000 100000\n")},
			Quota{2.5, "/sys/fs/cgroup/cpu.max"}},
		{"v2, none", fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("max 100000\n")}, Quota{}},
		{"v2, the parent is tighter", fstest.MapFS{"proc/self/cgroup": file("0::/pod/box\n"),
			"sys/fs/cgroup/pod/box/cpu.max": file("400000 100000\n"), "sys/fs/cgroup/pod/cpu.max": file("50000 100000\n")},
			Quota{0.5, "/sys/fs/cgroup/pod/cpu.max"}},
		{"v2, the group is tighter, by another period", fstest.MapFS{"proc/self/cgroup": file("0::/pod/box\n"),
			"sys/fs/cgroup/pod/box/cpu.max": file("15000 10000\n"), "sys/fs/cgroup/pod/cpu.max": file("200000 100000\n")},
			Quota{1.5, "/sys/fs/cgroup/pod/box/cpu.max"}},
		{"v1", fstest.MapFS{"proc/self/cgroup": file("1:cpu:/x\n"),
			"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": file("300000\n"), "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": file("100000\n")},
			Quota{3, "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us"}},
		{"v1, none below a parent's", fstest.MapFS{"proc/self/cgroup": file("1:cpu:/x/y\n"),
			"sys/fs/cgroup/cpu/x/y/cpu.cfs_quota_us": file("-1\n"), "sys/fs/cgroup/cpu/x/y/cpu.cfs_period_us": file("100000\n"),
			"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": file("150000\n"), "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": file("100000\n")},
			Quota{1.5, "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us"}},
		{"v1, two controllers in one place, in a container", fstest.MapFS{"proc/self/cgroup": file("3:cpu,cpuacct:/docker/x\n"),
			"proc/self/mountinfo":                        file("41 40 0:32 /docker/x /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"),
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": file("200000\n"), "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": file("100000\n")},
			Quota{2, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"}},
		{"v1 and v2 at once", fstest.MapFS{"proc/self/cgroup": file("1:cpu:/\n0::/\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": file("300000\n"), "sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
			"sys/fs/cgroup/cpu.max": file("100000 100000\n")},
			Quota{1, "/sys/fs/cgroup/cpu.max"}},
		{"garbage", fstest.MapFS{"proc/self/cgroup": file("0::/a/b/c/d\n1:cpu:/\n:::\n\n"),
			"proc/self/mountinfo":           file("x\n - \n1 2 3 - cgroup2\n1 2 3 / /nowhere rw - cgroup2 c rw\n1 2 3 / /sys/fs/cgroup rw - cgroup2 c rw\n"),
			"sys/fs/cgroup/a/b/c/d/cpu.max": file("-1 100000\n"), "sys/fs/cgroup/a/b/c/cpu.max": file("100000\n"),
			"sys/fs/cgroup/a/b/cpu.max": file("100000 0\n"), "sys/fs/cgroup/a/cpu.max": file("99999999999999999999 100000\n"),
			"sys/fs/cgroup/cpu.max":              file("0 100000\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": file("100000\n"), "sys/fs/cgroup/cpu/cpu.cfs_period_us": file("\n")}, Quota{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := readCgroups(tt.files).cpuQuota(); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestCores(t *testing.T) {
	for _, tt := range []struct {
		cpus, procs int
		quota       float64
		want        int
	}{
		{8, 8, 0, 8}, {8, 4, 0, 4}, {8, 8, 2.5, 2}, {8, 8, 0.3, 1}, {8, 8, 8, 8}, {8, 8, 16, 8}, {2, 2, 1.99, 1}, {8, 2, 4, 2}, {0, 0, 0, 1},
	} {
		if got := cores(tt.cpus, tt.procs, Quota{CPUs: tt.quota}); got != tt.want {
			t.Errorf("%d CPUs, GOMAXPROCS %d, quota %v: %d cores, want %d", tt.cpus, tt.procs, tt.quota, got, tt.want)
		}
	}
}

// TestLimitsInTheBanner: limit, quota, and where each is written.
func TestLimitsInTheBanner(t *testing.T) {
	for _, tt := range []struct {
		quota Quota
		mem   Memory
		want  string
	}{
		{Quota{}, Memory{}, "no CPU quota, no memory limit"},
		{Quota{2.5, "/sys/fs/cgroup/cpu.max"}, Memory{Cgroup: 3 << 30, CgroupFile: "/sys/fs/cgroup/memory.max"},
			"2.5 CPUs of time by /sys/fs/cgroup/cpu.max, 3072 MiB of memory by /sys/fs/cgroup/memory.max"},
	} {
		info := Info{Quota: tt.quota}
		if got := strings.Join(info.banner(HugePageState{}, tt.mem), "\n"); !strings.Contains(got, " * LIMITS       "+tt.want+"\n") {
			t.Errorf("banner lacks %q:\n%s", tt.want, got)
		}
	}
}
