//go:build !linux

package kernels

import (
	"errors"
	"time"
)

// threadClock has no clock to read; nothing can be hashed in this build either.
func threadClock() (time.Duration, error) {
	return 0, errors.New("no thread clock on this system")
}
