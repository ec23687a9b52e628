package cpu

import (
	"testing"
	"testing/fstest"
)

func TestAvailableMemory(t *testing.T) {
	const avail = 2803692 << 10
	const huge = (1100 - 40) * (2 << 20)
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	tests := []struct {
		name  string
		files fstest.MapFS
		want  Memory
	}{
		{"no cgroups", fstest.MapFS{}, Memory{avail, huge, "MemAvailable"}},
		{"v2, no limit", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"),
			"sys/fs/cgroup/a/b/memory.current": file("5\n")}, Memory{avail, huge, "MemAvailable"}},
		{"v2, limit of the parent", fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/memory.max": file("1000000\n"), "sys/fs/cgroup/a/memory.current": file("400000\n"),
			"sys/fs/cgroup/a/memory.stat": file("anon 300000\ninactive_file 100000\n")},
			Memory{700000, huge, "/sys/fs/cgroup/a/memory.max"}},
		{"v1 in a container: path not below the mount", fstest.MapFS{"proc/self/cgroup": file("4:memory:/docker/x\n0::/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("5000\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("1000\n"),
			"sys/fs/cgroup/memory/memory.stat": file("total_inactive_file 9000\n")},
			Memory{5000, huge, "/sys/fs/cgroup/memory/memory.limit_in_bytes"}},
		{"over its limit", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("5\n"),
			"sys/fs/cgroup/memory.current": file("9\n")}, Memory{0, huge, "/sys/fs/cgroup/memory.max"}},
		{"garbage", fstest.MapFS{"proc/self/cgroup": file("x\n::\n0::/../..\n"), "sys/fs/cgroup/memory.max": file("-1"),
			"sys/fs/cgroup/memory.current": file("y")}, Memory{avail, huge, "MemAvailable"}},
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
