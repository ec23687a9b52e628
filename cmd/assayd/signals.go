package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// stackBytes bounds a dump of all goroutines: some 500 of them, half of the
// log's default buffer.
const stackBytes = 512 << 10

// watchSignals takes every signal that would end the process by Go's default
// and would leave credits unwritten:
//
//	SIGTERM, SIGINT  the context ends: the node stops in order
//	SIGQUIT          all stacks go to the log, then as SIGTERM; a second one ends
//	                 the process at once, with the runtime's own dump: the way out
//	                 of a stop that hangs
//	SIGHUP           is noted and has no effect: settings are read at start only,
//	                 and neither a closed terminal nor a log rotation may stop a pool
//	SIGPIPE          no effect; the sinks count what a closed stream does not take
//
// They are caught rather than ignored: an ignored signal stays ignored in the
// redis-server this process starts.
func watchSignals(log *slog.Logger, dump io.Writer) (ctx context.Context, stop func()) {
	ctx, stopTerm := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	ctx, cancel := context.WithCancel(ctx)
	pipes := make(chan os.Signal, 1) // never read
	signal.Notify(pipes, syscall.SIGPIPE)
	other := make(chan os.Signal, 1)
	signal.Notify(other, syscall.SIGHUP, syscall.SIGQUIT)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-ended:
				return
			case s := <-other:
				if s == syscall.SIGHUP {
					log.Info("SIGHUP has no effect: the settings are read at start; SIGTERM stops the node")
					continue
				}
				signal.Reset(syscall.SIGQUIT)
				for line := range bytes.Lines(stacks()) {
					dump.Write(line) // a sink: as many as there is room for
				}
				log.Warn("SIGQUIT: stopping as by SIGTERM, the stacks are above; another SIGQUIT ends the process at once")
				cancel()
			}
		}
	}()
	return ctx, func() {
		close(ended)
		cancel()
		stopTerm()
	}
}

// stacks of all goroutines, cut at stackBytes.
func stacks() []byte {
	buf := make([]byte, stackBytes)
	buf = buf[:runtime.Stack(buf, true)]
	if len(buf) > 0 && buf[len(buf)-1] != '\n' {
		buf = append(buf, '\n')
	}
	return buf
}
