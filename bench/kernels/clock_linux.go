package kernels

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// threadClock is the CPU time of the calling thread so far.
func threadClock() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read thread clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
