package cpu

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Pages is the kind of memory pages an allocation got.
type Pages uint8

// The page kinds, slowest first.
const (
	Plain Pages = iota // 4 KiB
	THP                // 4 KiB that the kernel may merge to 2 MiB (MADV_HUGEPAGE)
	Huge               // reserved 2 MiB pages (hugetlbfs)
)

// String is the name shown in the banner and used as a metric label.
func (p Pages) String() string {
	switch p {
	case THP:
		return "THP"
	case Huge:
		return "2 MiB"
	default:
		return "4 KiB"
	}
}

// HugePageState is the machine's huge page situation at one moment.
type HugePageState struct {
	Total    int    // vm.nr_hugepages of the default size
	Free     int    // neither used nor reserved, and allowed to this process
	PageSize int    // bytes of a default huge page; 0 when the kernel has none
	THP      string // "always", "madvise", "never"; "" when unknown
	Limit    string // the cgroup file that allows no more than Free; "" when none does
}

// HugePages reads /proc/meminfo and the THP mode. What cannot be read counts
// as absent: huge pages are a matter of speed, never of correctness.
func HugePages() HugePageState { return hugePages(os.DirFS("/")) }

func hugePages(root fs.FS) HugePageState {
	var s HugePageState
	if f, err := root.Open("proc/meminfo"); err == nil {
		defer f.Close()
		if m, err := parseMeminfo(f); err == nil {
			s.Total = int(m.hugeTotal)
			s.PageSize = int(m.hugeSize)
			free, limit := m.freeHuge(readCgroups(root))
			s.Free, s.Limit = int(free), limit
		}
	}
	if b, err := fs.ReadFile(root, "sys/kernel/mm/transparent_hugepage/enabled"); err == nil {
		s.THP = parseTHP(string(b))
	}
	return s
}

// String describes the state in one banner line.
func (s HugePageState) String() string {
	thp := s.THP
	if thp == "" {
		thp = "unknown"
	}
	if s.PageSize == 0 {
		return "unavailable, THP " + thp
	}
	by := ""
	if s.Limit != "" {
		by = " by " + s.Limit
	}
	return fmt.Sprintf("%d free of %d (%d MiB each)%s, THP %s", s.Free, s.Total, s.PageSize>>20, by, thp)
}

// THPUsable tells whether madvise(MADV_HUGEPAGE) has an effect.
func (s HugePageState) THPUsable() bool { return s.THP == "always" || s.THP == "madvise" }

// Hint tells the operator how to get needPages more huge pages of 2 MiB: the
// exact sysctl, which counts what is in use already, and the present value.
// It is empty when enough are free.
func (s HugePageState) Hint(needPages int) string {
	if needPages <= s.Free {
		return ""
	}
	if s.PageSize != hugePageBytes {
		return fmt.Sprintf("%d huge pages of 2 MiB wanted, but the kernel's default huge page is %d KiB; boot with default_hugepagesz=2M",
			needPages, s.PageSize>>10)
	}
	if s.Limit != "" {
		return fmt.Sprintf("%d huge pages wanted, %d allowed by %s; raise that limit", needPages, s.Free, s.Limit)
	}
	want := s.Total - s.Free + needPages
	return fmt.Sprintf("%d huge pages wanted, %d free; as root: sysctl -w vm.nr_hugepages=%d (now %d)", needPages, s.Free, want, s.Total)
}

// meminfo holds the /proc/meminfo values used here: bytes, or counts of pages.
type meminfo struct {
	available, hugeSize               uint64 // bytes
	hugeTotal, hugeFree, hugeReserved uint64 // pages
}

// parseMeminfo reads "Name:   value [kB]" lines. Unknown names are skipped; a
// known name with a bad value is an error; MemAvailable must be there.
func parseMeminfo(r io.Reader) (meminfo, error) {
	var m meminfo
	fields := map[string]struct {
		to    *uint64
		scale uint64
	}{
		"MemAvailable":    {&m.available, 1 << 10},
		"Hugepagesize":    {&m.hugeSize, 1 << 10},
		"HugePages_Total": {&m.hugeTotal, 1},
		"HugePages_Free":  {&m.hugeFree, 1},
		"HugePages_Rsvd":  {&m.hugeReserved, 1},
	}
	seen := false
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		name, rest, ok := strings.Cut(sc.Text(), ":")
		field, known := fields[name]
		if !ok || !known {
			continue
		}
		words := strings.Fields(rest)
		if len(words) == 0 {
			return meminfo{}, fmt.Errorf("meminfo: %s has no value", name)
		}
		v, err := strconv.ParseUint(words[0], 10, 64)
		if err != nil || v > 1<<50 {
			return meminfo{}, fmt.Errorf("meminfo: %s has bad value %q", name, words[0])
		}
		*field.to = v * field.scale
		seen = seen || name == "MemAvailable"
	}
	if err := sc.Err(); err != nil {
		return meminfo{}, fmt.Errorf("meminfo: %w", err)
	}
	if !seen {
		return meminfo{}, fmt.Errorf("meminfo: no MemAvailable")
	}
	return m, nil
}

// parseTHP finds the bracketed word in "always [madvise] never".
func parseTHP(s string) string {
	_, rest, ok := strings.Cut(s, "[")
	word, _, ok2 := strings.Cut(rest, "]")
	if !ok || !ok2 {
		return ""
	}
	switch word {
	case "always", "madvise", "never":
		return word
	}
	return ""
}
