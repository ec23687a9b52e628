package main

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// stdinLook is how often a wait for input looks for Ctrl-C.
const stdinLook = 200 // milliseconds

// pollReader reads a file only when it has something, so that waiting for a
// terminal or a pipe ends with the context. A goroutine that reads could not be
// waited for: closing a blocking descriptor does not wake its reader.
type pollReader struct {
	ctx  context.Context
	file *os.File
}

// interruptible makes a wait for stdin end with ctx.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	if file, ok := in.(*os.File); ok {
		return &pollReader{ctx, file}
	}
	return in
}

// Read waits for input, its end, or the context's.
func (r *pollReader) Read(p []byte) (int, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		fds := []unix.PollFd{{Fd: int32(r.file.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, stdinLook)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, os.NewSyscallError("poll", err)
		}
		if n > 0 {
			return r.file.Read(p) // data, the end, or the error poll saw
		}
	}
}
