package cpu

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// virtualBytes reads the size of the process's address space.
func virtualBytes(t *testing.T) int { return statm(t, 0) }

// residentBytes reads the memory the process has.
func residentBytes(t *testing.T) int { return statm(t, 1) }

func statm(t *testing.T, field int) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[field])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestPin pins a thread of its own, which ends with its goroutine, and checks
// that the process's mask is not changed by it.
func TestPin(t *testing.T) {
	cpus, err := Affinity()
	if err != nil || len(cpus) == 0 {
		t.Fatalf("Affinity: %v %v", cpus, err)
	}
	last := cpus[len(cpus)-1]
	type result struct {
		set  unix.CPUSet
		errs [2]error
		bad  [3]error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the pinned thread must not be reused
		var r result
		r.errs[0] = Pin(last)
		r.errs[1] = unix.SchedGetaffinity(0, &r.set)
		r.bad = [3]error{Pin(-1), Pin(maxCPUs), Pin(maxCPUs - 1)}
		done <- r
	}()
	r := <-done
	if r.errs[0] != nil || r.errs[1] != nil {
		t.Fatal(r.errs)
	}
	if r.set.Count() != 1 || !r.set.IsSet(last) {
		t.Errorf("thread may run on %d CPUs, want only %d", r.set.Count(), last)
	}
	for i, err := range r.bad[:2] {
		if err == nil {
			t.Errorf("bad CPU %d accepted", i)
		}
	}
	if len(cpus) < maxCPUs && r.bad[2] == nil {
		t.Error("absent CPU accepted")
	}
	if again, err := Affinity(); err != nil || len(again) != len(cpus) {
		t.Errorf("Affinity changed from %v to %v, %v", cpus, again, err)
	}
}
