package cpu

import (
	"fmt"
	"strings"
)

// Banner returns the start lines about the machine, in XMRig's order and
// manner: huge pages, CPU with its features, limits, caches.
func (i *Info) Banner() []string {
	mem, err := AvailableMemory()
	if err != nil {
		mem = Memory{} // the mode's line has the reason
	}
	return i.banner(HugePages(), mem)
}

func (i *Info) banner(hp HugePageState, mem Memory) []string {
	var have []string
	for _, f := range features() {
		if *f.field(i) {
			have = append(have, strings.ToUpper(f.name))
		}
	}
	if !i.AES {
		have = append([]string{"-AES"}, have...)
	}
	model := i.Model
	if i.VM {
		model += " VM"
	}
	lines := []string{
		line("HUGE PAGES", hp.String()),
		line("CPU", fmt.Sprintf("%s (%d of %d usable CPUs) %s", model, i.Cores, len(i.CPUs), strings.Join(have, " "))),
		line("LIMITS", i.limits(mem)),
		line("CACHE", fmt.Sprintf("L1D %s  L2 %s  L3 %s in %d group(s)", size(i.L1D), size(i.L2), size(i.L3), i.L3Groups)),
	}
	if len(i.Disabled) > 0 {
		lines = append(lines, line("DISABLED", strings.Join(i.Disabled, " ")))
	}
	return lines
}

// limits tells what a container allows the process, and where that is written.
func (i *Info) limits(mem Memory) string {
	quota, memory := "no CPU quota", "no memory limit"
	if i.Quota.CPUs > 0 {
		quota = fmt.Sprintf("%.4g CPUs of time by %s", i.Quota.CPUs, i.Quota.File)
	}
	if mem.Cgroup > 0 {
		memory = fmt.Sprintf("%d MiB of memory by %s", mem.Cgroup>>20, mem.CgroupFile)
	}
	return quota + ", " + memory
}

// line lays out one banner line: XMRig's 13 columns for the title.
func line(title, text string) string { return fmt.Sprintf(" * %-12s %s", title, text) }

// size prints a cache size the way data sheets do.
func size(bytes int) string {
	switch {
	case bytes <= 0:
		return "unknown"
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20))
	default:
		return fmt.Sprintf("%d KB", bytes>>10)
	}
}
