//go:build !linux

package cryptonight

import "time"

// threadTime measures wall time where there is no thread clock.
func threadTime(f func() error) (time.Duration, error) {
	begin := time.Now()
	err := f()
	return time.Since(begin), err
}
