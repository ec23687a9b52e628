package job_test

import (
	"testing"
	"time"
	"unsafe"

	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
)

// setClock is what time.Now would have said at t on a machine whose wall clock
// was set by d before: the wall clock has moved, the monotonic one has not. The
// standard library offers no way to say so. A Time with a monotonic reading has
// the wall clock's seconds from bit 30 on in its first word; that this is so is
// checked here.
func setClock(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	moved := at
	words := (*[2]uint64)(unsafe.Pointer(&moved))
	words[0] += uint64(int64(d/time.Second)) << 30
	if moved.Sub(at) != 0 || moved.Unix()-at.Unix() != int64(d/time.Second) {
		t.Fatalf("the wall clock moved by %d s, the monotonic one by %v", moved.Unix()-at.Unix(), moved.Sub(at))
	}
	return moved
}

// TestBoardWithAClockSet: a wall clock that is set, back or ahead, makes no share
// stale and keeps none alive.
func TestBoardWithAClockSet(t *testing.T) {
	for name, set := range map[string]time.Duration{"back": -time.Hour, "ahead": time.Hour} {
		t.Run(name, func(t *testing.T) {
			c := &clock{at: time.Now()}
			board := job.NewBoard(job.BoardConfig{Keep: 3, Grace: 4 * time.Second, MaxAge: time.Minute, Now: c.now})
			publish := func(prev byte) *job.Template {
				tmpl, err := job.NewTemplate(jobtest.Profile(t), jobtest.WithPrev(t, jobtest.Offer(t, 1), prev), c.at)
				if err != nil {
					t.Fatal(err)
				}
				board.Publish(tmpl)
				return tmpl
			}
			first := publish(1)
			second := publish(2)
			c.at = setClock(t, c.at, set)
			if !board.Live(first) || !board.Live(second) || board.Current() != second {
				t.Errorf("live at once: %v, %v", board.Live(first), board.Live(second))
			}
			if age, _ := board.Age(); age != 0 {
				t.Errorf("%v old at once", age)
			}
			c.at = c.at.Add(4 * time.Second)
			if !board.Live(first) {
				t.Error("stale within the grace time")
			}
			c.at = c.at.Add(time.Second)
			if board.Live(first) || !board.Live(second) {
				t.Errorf("after the grace time: %v, %v", board.Live(first), board.Live(second))
			}
			c.at = c.at.Add(time.Minute)
			if board.Live(second) || board.Current() != nil {
				t.Error("a template past the maximum age is still work")
			}
			if age, any := board.Age(); !any || age != time.Minute+5*time.Second {
				t.Errorf("%v old, %v; it is 65 s", age, any)
			}
			board.Confirm()
			if age, _ := board.Age(); age != 0 || board.Current() != second {
				t.Errorf("%v old, just confirmed", age)
			}
		})
	}
}
