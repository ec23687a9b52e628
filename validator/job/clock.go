package job

import "time"

// clock measures ages. Its readings are nanoseconds since the clock was made,
// of the monotonic clock that time.Now carries along, so that they fit an atomic
// integer and no age changes when the machine's wall clock is set. Never keep a
// moment as UnixNano to compare it: it is the wall clock's.
type clock struct {
	now  func() time.Time
	base time.Time
}

func newClock(now func() time.Time) clock { return clock{now: now, base: now()} }

// read gives the present moment. It is never 0, which stands for "not yet".
func (c *clock) read() int64 { return c.of(c.now()) }

// of is the reading at t, a moment that came from time.Now.
func (c *clock) of(t time.Time) int64 { return int64(t.Sub(c.base)) + 1 }
