package sink

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// stream is a reader that can hang, fail and come back.
type stream struct {
	entered chan struct{} // one for each Write that has begun

	mu   sync.Mutex
	hold chan struct{} // not nil: Write waits until it is closed
	err  error
	got  bytes.Buffer
}

func newStream() *stream { return &stream{entered: make(chan struct{}, 1000)} }

func (s *stream) Write(p []byte) (int, error) {
	s.entered <- struct{}{}
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	return s.got.Write(p)
}

func (s *stream) set(hold chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold, s.err = hold, err
}

func (s *stream) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

func (s *stream) await(t *testing.T) {
	t.Helper()
	select {
	case <-s.entered:
	case <-time.After(patience):
		t.Fatal("nothing is written")
	}
}

func notice(n uint64) []byte { return fmt.Appendf(nil, "%d log lines dropped\n", n) }

func closeAll(t *testing.T, s *Sink) {
	t.Helper()
	if !s.Close(patience) {
		t.Error("not everything was written")
	}
}

// TestAllInOrder: what a reader takes at its ease arrives whole.
func TestAllInOrder(t *testing.T) {
	to := newStream()
	s := New(to, Config{Notice: notice})
	var want strings.Builder
	for i := range 500 {
		fmt.Fprintf(s, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	closeAll(t, s)
	if to.text() != want.String() || s.Dropped() != 0 {
		t.Errorf("%d dropped, got %q", s.Dropped(), to.text())
	}
}

// TestReaderHangs: writers go on, memory is bounded, what has no room is
// counted, and the reader is told how much once it reads again.
func TestReaderHangs(t *testing.T) {
	to := newStream()
	hold := make(chan struct{})
	to.set(hold, nil)
	s := New(to, Config{Buffer: 30, Notice: notice})
	fmt.Fprint(s, "first\n")
	to.await(t) // the goroutine hangs in it
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 25 {
				fmt.Fprint(s, "123456789\n")
			}
		})
	}
	writers.Wait() // returns at all: nothing waits for the reader
	if s.Dropped() != 97 || cap(s.waiting) > 64 {
		t.Errorf("%d lines dropped, want 97 of 100; %d bytes held", s.Dropped(), cap(s.waiting))
	}
	to.set(nil, nil)
	close(hold)
	to.await(t)
	fmt.Fprint(s, "later\n")
	closeAll(t, s)
	want := "first\n" + strings.Repeat("123456789\n", 3) + "97 log lines dropped\n" + "later\n"
	if to.text() != want {
		t.Errorf("got %q, want %q", to.text(), want)
	}
}

// TestReaderGone: a stream that refuses costs its lines, not the writers', and
// one that takes lines again is told how many it missed.
func TestReaderGone(t *testing.T) {
	to := newStream()
	to.set(nil, errors.New("broken pipe"))
	s := New(to, Config{Notice: notice})
	for range 3 {
		fmt.Fprint(s, "lost\n")
		to.await(t)
	}
	deadline := time.Now().Add(patience)
	for s.Dropped() != 3 {
		if time.Now().After(deadline) {
			t.Fatalf("%d lines dropped, want 3", s.Dropped())
		}
		time.Sleep(time.Millisecond)
	}
	to.set(nil, nil)
	fmt.Fprint(s, "back\n")
	closeAll(t, s)
	if got := to.text(); got != "back\n3 log lines dropped\n" || s.Dropped() != 3 {
		t.Errorf("got %q, %d dropped", got, s.Dropped())
	}
}

// TestCloseIsBounded: a reader that never reads delays the end by the time
// given and no more; what is printed after Close is counted.
func TestCloseIsBounded(t *testing.T) {
	to := newStream()
	hold := make(chan struct{})
	to.set(hold, nil)
	s := New(to, Config{})
	fmt.Fprint(s, "stuck\n")
	to.await(t)
	if s.Close(time.Millisecond) {
		t.Error("Close says that all was written")
	}
	fmt.Fprint(s, "after\n")
	if s.Dropped() != 1 {
		t.Errorf("%d lines dropped, want 1", s.Dropped())
	}
	close(hold)
	closeAll(t, s)
}

// TestLineLongerThanTheBuffer is dropped, and the next one is not.
func TestLineLongerThanTheBuffer(t *testing.T) {
	to := newStream()
	s := New(to, Config{Buffer: 10, Notice: notice})
	fmt.Fprint(s, strings.Repeat("x", 20)+"\n")
	fmt.Fprint(s, "short\n")
	closeAll(t, s)
	if got := to.text(); got != "short\n1 log lines dropped\n" {
		t.Errorf("got %q", got)
	}
}

// TestWriteAllocatesNothing once both buffers have grown.
func TestWriteAllocatesNothing(t *testing.T) {
	s := New(discard{}, Config{})
	line := []byte(strings.Repeat("x", 150) + "\n")
	for range DefaultBuffer / len(line) * 2 {
		s.Write(line)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Write(line) }); n > 0.1 {
		t.Errorf("%v allocations a line", n)
	}
	closeAll(t, s)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
