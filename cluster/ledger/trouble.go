package ledger

import "time"

const (
	// StallAfter is how long nothing may have been written to Redis before the
	// node says so by a note of /readyz and in words: longer than a restart of Redis
	// or a failover take.
	StallAfter = 10 * time.Second
	// sayGap is the shortest time between two lines about different errors. In an
	// outage they alternate, and each connection's has other ports in its text.
	sayGap = 10 * time.Second
	// warnMax is the longest time between two warnings of one outage; the first
	// come after StallAfter, twice that, and so on.
	warnMax = 10 * time.Minute
)

// said is what the log has been told of an outage. The flusher's alone.
type said struct {
	text string        // the last error logged
	at   time.Time     // when
	warn time.Duration // how long the outage may be before the next warning
}

// trouble notes that an attempt to write has failed, and says it: a new error at
// once, and that nothing is written at growing intervals.
func (f *flusher) trouble(err error) {
	now := time.Now()
	f.l.mu.Lock()
	first := f.l.lastErr == nil
	if first {
		f.l.failing = now
	}
	f.l.lastErr = err
	f.l.stuck = stuck(err)
	if f.tool && f.l.stuck {
		f.over = err
	}
	since := f.l.failing
	f.l.mu.Unlock()
	s := &f.said
	if first {
		*s = said{warn: StallAfter}
	}
	if text := err.Error(); first || text != s.text && now.Sub(s.at) >= sayGap {
		s.text, s.at = text, now
		f.l.cfg.Log.Error("ledger write is tried again", "pool", f.l.cfg.Pool, "error", err)
	}
	if out := now.Sub(since); out >= s.warn {
		for s.warn <= out {
			s.warn = min(2*s.warn, s.warn+warnMax)
		}
		st := f.l.Status()
		f.l.cfg.Log.Warn("nothing is being written to redis, credits wait in the journal", "pool", f.l.cfg.Pool,
			"since", since.Format(time.RFC3339), "for", out.Round(time.Second), "bytes", st.Pending,
			"oldest", st.Age.Round(time.Second), "error", err)
	}
}

// wrote notes that Redis took a write.
func (f *flusher) wrote() {
	f.l.mu.Lock()
	was, since := f.l.lastErr, f.l.failing
	f.l.lastErr, f.l.failing, f.l.stuck = nil, time.Time{}, false
	f.l.mu.Unlock()
	if was != nil {
		f.l.cfg.Log.Info("ledger writes again", "pool", f.l.cfg.Pool, "journal", f.id, "after", time.Since(since).Round(time.Millisecond))
	}
}
