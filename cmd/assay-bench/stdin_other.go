//go:build !linux

package main

import (
	"context"
	"io"
)

// interruptible leaves stdin as it is where there is no poll: Ctrl-C ends the
// program at its second time.
func interruptible(_ context.Context, in io.Reader) io.Reader { return in }
