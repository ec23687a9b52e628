package cpu

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/klauspost/cpuid/v2/topology"
)

// Info is what was found at start, less what the operator disabled.
// Immutable after Detect.
type Info struct {
	Vendor string // "AuthenticAMD", "GenuineIntel", …
	Model  string // brand string, spaces trimmed
	VM     bool   // under a hypervisor: cache sizes may describe the host

	AES    bool // AES-NI
	SSSE3  bool
	SSE41  bool
	BMI2   bool
	AVX2   bool // CPU and operating system
	AVX512 bool // F, VL, BW and DQ together: what a kernel needs for mixed widths
	VAES   bool // 256-bit AES rounds; implies AVX2. 512-bit ones need AVX512 too

	L1D      int // bytes per core, 0 when unknown
	L2       int // bytes per core, 0 when unknown
	L3       int // bytes in all L3 groups together, 0 when unknown
	L3Groups int // groups of cores with an L3 of their own; at least 1

	CPUs     []int    // ids this process may run on, by its inherited affinity mask
	Quota    Quota    // of CPU time, by the process's cgroups
	Cores    int      // usable at once: min(len(CPUs), GOMAXPROCS, whole CPUs of Quota), at least 1
	Disabled []string // features that exist but were disabled, dependants included; sorted
}

// feature is one switchable instruction set.
type feature struct {
	name  string
	ids   []cpuid.FeatureID
	needs []string // features without which this one must not be used
	field func(*Info) *bool
}

// features lists what Detect knows, a feature after those it needs.
//
//	ssse3 ─▶ sse4.1 ─▶ avx2 ─▶ avx512
//	                     └──▶ vaes ◀─ aes
func features() []feature {
	return []feature{
		{"aes", []cpuid.FeatureID{cpuid.AESNI}, nil, func(i *Info) *bool { return &i.AES }},
		{"ssse3", []cpuid.FeatureID{cpuid.SSSE3}, nil, func(i *Info) *bool { return &i.SSSE3 }},
		{"sse4.1", []cpuid.FeatureID{cpuid.SSE4}, []string{"ssse3"}, func(i *Info) *bool { return &i.SSE41 }},
		{"bmi2", []cpuid.FeatureID{cpuid.BMI2}, nil, func(i *Info) *bool { return &i.BMI2 }},
		{"avx2", []cpuid.FeatureID{cpuid.AVX2}, []string{"sse4.1"}, func(i *Info) *bool { return &i.AVX2 }},
		{"avx512", []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512VL, cpuid.AVX512BW, cpuid.AVX512DQ}, []string{"avx2"},
			func(i *Info) *bool { return &i.AVX512 }},
		{"vaes", []cpuid.FeatureID{cpuid.VAES}, []string{"aes", "avx2"}, func(i *Info) *bool { return &i.VAES }},
	}
}

// FeatureNames lists the names Detect accepts in disable.
func FeatureNames() []string {
	var names []string
	for _, f := range features() {
		names = append(names, f.name)
	}
	return names
}

// Detect reads CPUID, the affinity mask, GOMAXPROCS and the CPU quota. disable names features
// to treat as absent, in any case; what depends on a disabled feature goes with
// it. An unknown name is an error that lists the valid ones.
func Detect(disable []string) (*Info, error) {
	off, err := parseDisable(disable)
	if err != nil {
		return nil, err
	}
	c := cpuid.CPU // a copy: cpuid.CPU.Disable would change every user in the process
	info := &Info{
		Vendor: c.VendorString,
		Model:  strings.Join(strings.Fields(c.BrandName), " "),
		VM:     c.VM(),
		L1D:    max(c.Cache.L1D, 0),
		L2:     max(c.Cache.L2, 0),
	}
	if info.Model == "" {
		info.Model = "unknown CPU"
	}
	info.apply(off, func(id cpuid.FeatureID) bool { return c.Has(id) })
	info.L3, info.L3Groups = l3(c)
	if info.CPUs, err = Affinity(); err != nil {
		return nil, err
	}
	info.Quota = readCgroups(os.DirFS("/")).cpuQuota()
	info.Cores = cores(len(info.CPUs), runtime.GOMAXPROCS(0), info.Quota)
	return info, nil
}

// cores rounds the quota down: a thread more than it allows gets the whole
// process, event loops too, stopped for the rest of each period, while what is
// left of a CPU goes to Redis and the garbage collector.
func cores(cpus, procs int, q Quota) int {
	n := min(cpus, procs)
	if q.Below(n) {
		n = int(q.CPUs)
	}
	return max(1, n)
}

// parseDisable turns names into a set, or says which name is wrong.
func parseDisable(disable []string) (map[string]bool, error) {
	off := map[string]bool{}
	for _, name := range disable {
		n := strings.ToLower(strings.TrimSpace(name))
		if n == "" {
			continue
		}
		if !slices.Contains(FeatureNames(), n) {
			return nil, fmt.Errorf("unknown CPU feature %q; can be disabled: %s", name, strings.Join(FeatureNames(), ", "))
		}
		off[n] = true
	}
	return off, nil
}

// apply sets the feature fields from what the CPU has and what is switched off.
func (i *Info) apply(off map[string]bool, has func(cpuid.FeatureID) bool) {
	usable := map[string]bool{}
	for _, f := range features() {
		there := true
		for _, id := range f.ids {
			there = there && has(id)
		}
		ok := there && !off[f.name]
		for _, need := range f.needs {
			ok = ok && usable[need]
		}
		usable[f.name] = ok
		*f.field(i) = ok
		if there && !ok {
			i.Disabled = append(i.Disabled, f.name)
		}
	}
	slices.Sort(i.Disabled)
}

// l3 sums the last-level caches. A CryptoNight worker wants 2 MiB of it per
// running hash, RandomX 2 MiB per VM, so the number of groups matters too.
func l3(c cpuid.CPUInfo) (bytes, groups int) {
	sys := c.Topology()
	for _, p := range sys.Packages {
		groups += len(p.Groups)
	}
	bytes = sys.TotalCache(3, topology.Unified)
	if bytes <= 0 {
		bytes = max(c.Cache.L3, 0)
	}
	return bytes, max(groups, 1)
}
