//go:build !linux

package cpu

import (
	"errors"
	"runtime"
)

// Affinity lists all CPUs: this system gives no mask.
func Affinity() ([]int, error) {
	cpus := make([]int, runtime.NumCPU())
	for i := range cpus {
		cpus[i] = i
	}
	return cpus, nil
}

// Pin is an error: this system cannot bind a thread to a CPU.
func Pin(int) error { return errors.New("pin to CPU: needs Linux") }
