package cryptonight

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the CPU time f takes on its thread: what others run on the
// machine meanwhile does not count, save for the cache they use.
func threadTime(f func() error) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var begin, end unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &begin); err != nil {
		return 0, fmt.Errorf("read thread clock: %w", err)
	}
	if err := f(); err != nil {
		return 0, err
	}
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &end); err != nil {
		return 0, fmt.Errorf("read thread clock: %w", err)
	}
	return time.Duration(end.Nano() - begin.Nano()), nil
}
