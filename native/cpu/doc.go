// Package cpu tells what the machine can do for a hash: instruction sets,
// caches, usable CPUs, huge pages and free memory.
//
//	CPUID ── Detect(disable) ──▶ Info ──▶ kernel choice in native/cryptonight,
//	affinity, GOMAXPROCS ──────▶  │       library flags in native/randomx
//	cgroup CPU quota ──────────▶  └─────▶ Banner lines, worker count, Pin
//	/proc/meminfo, THP mode ─ HugePages ─▶ HugePageState ─ Hint ─▶ operator
//	/proc, cgroup limits ── AvailableMemory ─▶ RandomX mode "auto", batch widths
//	mmap ── AllocArena: MAP_HUGETLB, if allowed ▶ MADV_HUGEPAGE ▶ plain ─▶ scratchpads
//	                     └ Populate: memory behind them before they are needed
//
// Nothing here is global: Info is a copy, so two callers may disable different
// features in one process, and a test reaches every lower code path.
package cpu
