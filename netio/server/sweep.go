package server

import (
	"time"

	"github.com/assay-pool/assay/validator/job"
)

// sweepWalk is a loop's regular look at all its sessions.
type sweepWalk struct {
	cursor  *session
	running bool
	leave   int // sessions without work that may still be sent away in this tick
}

// sweepStart is the ticker's task. A walk goes on where its slice ended the
// last time; a loop with so many sessions that a tick is not enough takes two.
func (l *loop) sweepStart() {
	l.sweepQueued.Store(false)
	w := &l.sweep
	if !w.running {
		w.running, w.cursor = true, l.head
	}
	w.leave = max(int(leavePace*l.server.cfg.SweepInterval.Seconds()), 1)
	until := time.Now().Add(sweepSlice)
	now := l.server.clock()
	for n := 1; w.cursor != nil; n++ {
		s := w.cursor
		w.cursor = s.next
		l.sweepOne(s, now)
		if sliceOver(n, until) {
			return
		}
	}
	w.running = false
}

// sweepSlice is how long a sweep may keep a loop: a look costs some 100 ns, so
// that 18,000 sessions are seen within one slice.
const sweepSlice = 5 * time.Millisecond

// sweepOne applies the timeouts, brings late jobs and lowers the difficulty of
// silent miners.
func (l *loop) sweepOne(s *session, now int64) {
	defer func() { l.server.caught(recover()) }()
	cfg := &l.server.cfg
	age := time.Duration(now - s.opened)
	if !s.authorised {
		if age > cfg.LoginTimeout {
			s.close(closedLoginTimeout)
		}
		return
	}
	template := s.port.Pool.Board().Current()
	if template == nil {
		// Nobody can find a share without work.
		s.opened = now
		s.tuner.restart(now)
		if l.sendAway(s) {
			return
		}
	}
	waiting := s.conn.OutboundBuffered()
	if waiting == 0 {
		s.stalled = 0
	} else if s.stalled == 0 {
		s.stalled = now
	}
	switch {
	case s.stalled != 0 && time.Duration(now-s.stalled) > cfg.StallTimeout:
		s.close(closedSlowReader)
	case !s.proven && age > cfg.FirstShareTimeout:
		s.close(closedFirstShareTimeout)
	case time.Duration(now-s.seen) > cfg.IdleTimeout:
		s.close(closedIdle)
	case template == nil || waiting > 0:
	case s.owed && s.outdated(template):
		l.push(s, template)
	default:
		l.retarget(s)
	}
}

// outdated reports whether a new job would differ from the session's latest by
// more than its number: by its template, or by a difficulty that was changed
// while the job to tell it could not be sent.
func (s *session) outdated(t *job.Template) bool {
	latest := s.window.Latest()
	return latest.Template != t || latest.Difficulty != s.jobDifficulty(t)
}
