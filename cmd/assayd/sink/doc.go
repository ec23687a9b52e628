// Package sink writes what the node prints without waiting for who reads it.
//
//	loops, workers, lock holders ─Write─▶ waiting (bounded) ─take─▶ one goroutine ─▶ standard error
//	                                        │ full, or the write failed
//	                                        └▶ dropped, counted; "N log lines dropped" when it flows again
//
// A log collector that hangs, a full disk behind a redirection or a pipe whose
// reader is gone costs log lines, never a share: Write only copies into memory.
// What a runtime crash prints (a panic that nothing recovers) goes past this
// package, straight from the Go runtime to the file descriptor.
package sink
