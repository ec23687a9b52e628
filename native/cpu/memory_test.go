package cpu

import (
	"testing"
	"testing/fstest"
)

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func TestAvailableMemory(t *testing.T) {
	const avail = 2803692 << 10
	const huge = (1100 - 40) * (2 << 20)
	free := Memory{avail, huge, "MemAvailable", 0, ""}
	tests := []struct {
		name  string
		files fstest.MapFS
		want  Memory
	}{
		{"no cgroups", fstest.MapFS{}, free},
		{"v2, no limit", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"),
			"sys/fs/cgroup/a/b/memory.current": file("5\n")}, free},
		{"v2, limit of the parent", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/memory.max": file("1000000\n"), "sys/fs/cgroup/a/memory.current": file("400000\n"),
			"sys/fs/cgroup/a/memory.stat": file("anon 300000\ninactive_file 100000\n")},
			Memory{700000, huge, "/sys/fs/cgroup/a/memory.max", 1000000, "/sys/fs/cgroup/a/memory.max"}},
		{"v2, tightest of three", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/memory.max": file("900000\n"), "sys/fs/cgroup/a/b/memory.current": file("100000\n"),
			"sys/fs/cgroup/a/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.high": file("800000\n"), "sys/fs/cgroup/a/memory.current": file("100000\n"),
			"sys/fs/cgroup/memory.max": file("1000000\n"), "sys/fs/cgroup/memory.current": file("950000\n")},
			Memory{50000, huge, "/sys/fs/cgroup/memory.max", 800000, "/sys/fs/cgroup/a/memory.high"}},
		{"v2, file pages are not used up", fstest.MapFS{"proc/self/cgroup": file("0::/\n"),
			"sys/fs/cgroup/memory.max": file("1000000\n"), "sys/fs/cgroup/memory.current": file("900000\n"),
			"sys/fs/cgroup/memory.stat": file("active_file 300000\ninactive_file 200000\n")},
			Memory{600000, huge, "/sys/fs/cgroup/memory.max", 1000000, "/sys/fs/cgroup/memory.max"}},
		{"v1, no limit", fstest.MapFS{"proc/self/cgroup": file("4:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("5\n")}, free},
		{"v1, a group below the container's own", fstest.MapFS{"proc/self/cgroup": file("4:memory:/docker/x/sub\n"),
			"proc/self/mountinfo":                            file("41 40 0:32 /docker/x /sys/fs/cgroup/memory ro,nosuid shared:3 - cgroup cgroup rw,memory\n"),
			"sys/fs/cgroup/memory/sub/memory.limit_in_bytes": file("3000\n"), "sys/fs/cgroup/memory/sub/memory.usage_in_bytes": file("1000\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("5000\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("1000\n")},
			Memory{2000, huge, "/sys/fs/cgroup/memory/sub/memory.limit_in_bytes", 3000, "/sys/fs/cgroup/memory/sub/memory.limit_in_bytes"}},
		{"hybrid: v2 mounted elsewhere", fstest.MapFS{"proc/self/cgroup": file("4:memory:/\n0::/u\n"),
			"proc/self/mountinfo":                file("41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"),
			"sys/fs/cgroup/unified/u/memory.max": file("7000\n"), "sys/fs/cgroup/unified/u/memory.current": file("0\n")},
			Memory{7000, huge, "/sys/fs/cgroup/unified/u/memory.max", 7000, "/sys/fs/cgroup/unified/u/memory.max"}},
		{"v2, huge pages of the group", fstest.MapFS{"proc/self/cgroup": file("0::/\n"),
			"sys/fs/cgroup/hugetlb.2MB.max": file("20971520\n"), "sys/fs/cgroup/hugetlb.2MB.current": file("4194304\n")},
			Memory{avail, 8 * (2 << 20), "MemAvailable", 0, ""}},
		{"v1, no huge pages for the group", fstest.MapFS{"proc/self/cgroup": file("5:hugetlb:/x\n"),
			"sys/fs/cgroup/hugetlb/x/hugetlb.2MB.limit_in_bytes": file("0\n"), "sys/fs/cgroup/hugetlb/x/hugetlb.2MB.usage_in_bytes": file("0\n")},
			Memory{avail, 0, "MemAvailable", 0, ""}},
		{"v1 in a container: path not below the mount", fstest.MapFS{"proc/self/cgroup": file("4:memory:/docker/x\n0::/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("5000\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("1000\n"),
			"sys/fs/cgroup/memory/memory.stat": file("total_inactive_file 9000\n")},
			Memory{5000, huge, "/sys/fs/cgroup/memory/memory.limit_in_bytes", 5000, "/sys/fs/cgroup/memory/memory.limit_in_bytes"}},
		{"over its limit", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("5\n"),
			"sys/fs/cgroup/memory.current": file("9\n")}, Memory{0, huge, "/sys/fs/cgroup/memory.max", 5, "/sys/fs/cgroup/memory.max"}},
		{"garbage", fstest.MapFS{"proc/self/cgroup": file("x\n::\n0::/../..\n"), "sys/fs/cgroup/memory.max": file("-1"),
			"sys/fs/cgroup/memory.current": file("y")}, free},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.files["proc/meminfo"] = file(meminfoFixture)
			got, err := availableMemory(tt.files)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	if _, err := availableMemory(fstest.MapFS{}); err == nil {
		t.Error("no meminfo, no error")
	}
}
