package cpu

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxCPUs is the width of unix.CPUSet, the kernel's classic cpu_set_t.
const maxCPUs = 1024

// Affinity lists the CPUs the process may run on, ascending. It is the union
// over all threads: any one of them, the main thread too, may have been pinned
// by a worker, but the Go runtime's own threads keep the inherited mask.
func Affinity() ([]int, error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, fmt.Errorf("read CPU affinity: %w", err)
	}
	var union unix.CPUSet
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &set); err != nil {
			continue // the thread has ended since
		}
		for i := range union {
			union[i] |= set[i]
		}
	}
	if union.Count() == 0 {
		return nil, errors.New("read CPU affinity: no thread has a readable mask")
	}
	cpus := make([]int, 0, union.Count())
	for c := range maxCPUs {
		if union.IsSet(c) {
			cpus = append(cpus, c)
		}
	}
	return cpus, nil
}

// Pin binds the calling OS thread to one CPU. The caller has locked its
// goroutine to the thread (runtime.LockOSThread) and never unlocks it, so the
// thread ends with the goroutine instead of going back to the scheduler.
// Errors: cpu out of range; EINVAL when the cpuset does not hold that CPU.
func Pin(cpu int) error {
	if cpu < 0 || cpu >= maxCPUs {
		return fmt.Errorf("pin to CPU %d: out of range 0…%d", cpu, maxCPUs-1)
	}
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return nil
}
