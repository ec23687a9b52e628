package sink

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultBuffer of bytes is some 6,000 lines: a collector's restart at info
// level fits, and two of them are nothing beside a RandomX cache.
const DefaultBuffer = 1 << 20

// Config of a Sink.
type Config struct {
	// Buffer is how many bytes may wait for the reader; default DefaultBuffer.
	// One write that is under way may have as many again.
	Buffer int
	// Notice makes the line that tells how many lines were dropped, once the
	// reader takes lines again. nil: they are only counted.
	Notice func(lines uint64) []byte
}

// Sink is an [io.Writer] whose Write never waits. Safe for concurrent use.
type Sink struct {
	to      io.Writer
	cfg     Config
	dropped atomic.Uint64 // lines, in all

	wake chan struct{} // capacity 1: something waits, or Close was called
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex // never held over a call of to
	waiting []byte     // guarded by mu; whole writes, at most cfg.Buffer bytes
	untold  uint64     // guarded by mu; lines dropped since the last notice
	closed  bool       // guarded by mu
}

// New starts the goroutine that writes to the stream. Close ends it.
func New(to io.Writer, cfg Config) *Sink {
	if cfg.Buffer <= 0 {
		cfg.Buffer = DefaultBuffer
	}
	s := &Sink{to: to, cfg: cfg, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

// Write takes p whole or drops it whole; it never waits and never fails.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.closed || len(s.waiting)+len(p) > s.cfg.Buffer {
		s.drop(lines(p))
		s.mu.Unlock()
		return len(p), nil
	}
	s.waiting = append(s.waiting, p...)
	s.mu.Unlock()
	s.poke()
	return len(p), nil
}

// Dropped is the number of lines that were not written, for want of room or
// because the stream refused them.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Close lets what waits be written, for that long at most, and takes nothing
// more. It reports whether all of it was. With a reader that does not read, the
// goroutine stays in its write until the process ends.
func (s *Sink) Close(within time.Duration) bool {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.poke()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-s.done:
		return true
	case <-timer.C:
		return false
	}
}

func (s *Sink) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drop counts lines that are gone. mu held.
func (s *Sink) drop(n uint64) {
	s.untold += n
	s.dropped.Add(n)
}

// run writes what waits until Close. Two buffers change places, so that a
// steady log allocates nothing.
func (s *Sink) run() {
	defer close(s.done)
	var spare []byte
	for range s.wake {
		for {
			chunk, told, closed := s.take(spare)
			if len(chunk) > 0 {
				s.write(chunk, told)
				spare = chunk[:0]
				continue
			}
			if closed {
				return
			}
			spare = chunk
			break
		}
	}
}

// take hands out all that waits, and behind it the notice of what was dropped
// for want of room after it.
func (s *Sink) take(spare []byte) (chunk []byte, told uint64, closed bool) {
	s.mu.Lock()
	chunk, s.waiting = s.waiting, spare
	// Only behind lines: a stream that refuses everything is not asked to take
	// a notice over and over.
	if s.cfg.Notice != nil && len(chunk) > 0 {
		told, s.untold = s.untold, 0
	}
	closed = s.closed
	s.mu.Unlock()
	if told > 0 {
		chunk = append(chunk, s.cfg.Notice(told)...)
	}
	return chunk, told, closed
}

// write writes a chunk; lines that the stream does not take are dropped, since
// to keep them for a reader that is gone would cost the newer ones their room.
func (s *Sink) write(chunk []byte, told uint64) {
	n, err := s.to.Write(chunk)
	if err == nil {
		return
	}
	lost := lines(chunk[n:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if told > 0 && lost > 0 { // the notice is the last of them: it is still to be given
		lost--
		s.untold += told
	}
	s.drop(lost)
}

// lines in p; an unfinished one counts.
func lines(p []byte) uint64 {
	n := bytes.Count(p, []byte{'\n'})
	if len(p) > 0 && p[len(p)-1] != '\n' {
		n++
	}
	return uint64(n)
}
