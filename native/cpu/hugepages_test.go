package cpu

import (
	"strings"
	"testing"
	"testing/fstest"
)

const meminfoFixture = `MemTotal:       24684092 kB
MemFree:         1825896 kB
MemAvailable:    2803692 kB
HugePages_Total:    1200
HugePages_Free:     1100
HugePages_Rsvd:       40
HugePages_Surp:        0
Hugepagesize:       2048 kB
Hugetlb:         2457600 kB
`

func TestParseMeminfo(t *testing.T) {
	tests := []struct {
		name, in, err string
		want          meminfo
	}{
		{"a server", meminfoFixture, "", meminfo{available: 2803692 << 10, hugeSize: 2 << 20, hugeTotal: 1200, hugeFree: 1100, hugeReserved: 40}},
		{"no huge pages in the kernel", "MemAvailable: 5 kB\n", "", meminfo{available: 5120}},
		{"empty", "", "no MemAvailable", meminfo{}},
		{"no value", "MemAvailable:\n", "MemAvailable has no value", meminfo{}},
		{"not a number", "MemAvailable: many kB\n", `bad value "many"`, meminfo{}},
		{"negative", "MemAvailable: 1 kB\nHugePages_Free: -3\n", `bad value "-3"`, meminfo{}},
		{"overflow after scaling", "MemAvailable: 18446744073709551615 kB\n", "bad value", meminfo{}},
		{"unknown and odd lines skipped", "what\nX: y\nMemAvailable: 1 kB\n", "", meminfo{available: 1024}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseMeminfo(strings.NewReader(tt.in))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add(meminfoFixture)
	f.Add("MemAvailable: 1")
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := parseMeminfo(strings.NewReader(s)); err == nil && m.hugeSize > 1<<60 {
			t.Errorf("scaled value overflows: %+v", m)
		}
	})
}

func TestParseTHP(t *testing.T) {
	for in, want := range map[string]string{
		"always [madvise] never\n": "madvise", "[always] madvise never": "always", "always madvise [never]": "never",
		"": "", "always": "", "[": "", "] [": "", "[odd]": "",
	} {
		if got := parseTHP(in); got != want {
			t.Errorf("parseTHP(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHugePagesFromFiles(t *testing.T) {
	root := fstest.MapFS{
		"proc/meminfo": {Data: []byte(meminfoFixture)},
		"sys/kernel/mm/transparent_hugepage/enabled": {Data: []byte("always madvise [never]")},
	}
	got := hugePages(root)
	if want := (HugePageState{Total: 1200, Free: 1060, PageSize: 2 << 20, THP: "never"}); got != want {
		t.Errorf("got %+v, want %+v (reserved pages are not free)", got, want)
	}
	if got.THPUsable() {
		t.Error("THP never is not usable")
	}
	if got := hugePages(fstest.MapFS{}); got != (HugePageState{}) {
		t.Errorf("without files: %+v", got)
	}
}

func TestHint(t *testing.T) {
	tests := []struct {
		name  string
		s     HugePageState
		need  int
		parts []string // none: no hint
	}{
		{"enough", HugePageState{Total: 10, Free: 10, PageSize: 2 << 20}, 10, nil},
		{"none reserved", HugePageState{PageSize: 2 << 20}, 1170, []string{"vm.nr_hugepages=1170", "now 0"}},
		{"some in use by others", HugePageState{Total: 100, Free: 20, PageSize: 2 << 20}, 50, []string{"vm.nr_hugepages=130", "now 100", "20 free"}},
		{"a cgroup's limit", HugePageState{Total: 100, Free: 20, PageSize: 2 << 20, Limit: "/sys/fs/cgroup/hugetlb.2MB.max"}, 50, []string{"20 allowed by /sys/fs/cgroup/hugetlb.2MB.max"}},
		{"1 GiB default", HugePageState{Total: 3, Free: 3, PageSize: 1 << 30}, 4, []string{"default_hugepagesz=2M", "1048576 KiB"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.s.Hint(tt.need)
			if len(tt.parts) == 0 && got != "" {
				t.Errorf("hint %q, want none", got)
			}
			for _, p := range tt.parts {
				if !strings.Contains(got, p) {
					t.Errorf("hint %q lacks %q", got, p)
				}
			}
		})
	}
}
