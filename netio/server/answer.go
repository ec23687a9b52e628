package server

import (
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/pool"
)

// Reply implements [pool.Origin]. It takes a share back whose answer is known, on
// any thread, and also on the loop's own while it is still inside Submit. The
// verdict is counted here, so that I1 holds for miners that have gone too. The
// stack needs no limit of its own: it can hold only what is in flight, and that
// is limited.
func (l *loop) Reply(share *pool.Share) {
	sub := share.Owner.(*submission)
	sub.session.port.metrics.verdicts[share.Verdict].Inc()
	for {
		top := l.replied.Load()
		sub.next = top
		if l.replied.CompareAndSwap(top, sub) {
			break
		}
	}
	// One task for all replies until it runs. While the loop serves a read the
	// flag is set too, and the read's end takes the replies along.
	l.request(&l.drainQueued, l.drainTask)
}

// enter keeps replies from sending tasks while a read is served, because the
// read's end looks at them anyway. It tells whether a task is on its way.
func (l *loop) enter() (queued bool) { return l.drainQueued.Swap(true) }

// leave answers what has come back meanwhile.
func (l *loop) leave(queued bool) {
	if queued {
		l.answerAll() // the task will find what comes later
		return
	}
	l.drainReplies()
}

// drainReplies answers until there is nothing left and the flag is down.
func (l *loop) drainReplies() {
	for {
		l.answerAll()
		l.drainQueued.Store(false)
		if l.replied.Load() == nil || !l.drainQueued.CompareAndSwap(false, true) {
			return
		}
	}
}

// answerAll answers every share in the reply stack, oldest first; answers to
// one session that follow each other go out in one write.
func (l *loop) answerAll() {
	var oldest *submission
	for sub := l.replied.Swap(nil); sub != nil; {
		sub.next, oldest, sub = oldest, sub, sub.next
	}
	for oldest != nil {
		session := oldest.session
		l.out = l.out[:0]
		for oldest != nil && oldest.session == session && len(l.out) < flushAt {
			sub := oldest
			oldest = sub.next
			l.finish(sub)
		}
		session.write(l.out)
		if !session.closed {
			l.retarget(session)
		}
		session.settle()
	}
}

// finish appends the answer to one share and frees it. A panic costs that
// answer only.
func (l *loop) finish(sub *submission) {
	defer func() { l.server.caught(recover()) }()
	s, share := sub.session, &sub.share
	s.inflight--
	l.inflight--
	if sub.candidate {
		s.candidates--
		s.forged = s.forged || share.Verdict == validator.RejectBadHash
	}
	if !s.closed {
		switch {
		case share.Verdict == validator.Accepted:
			s.tuner.accepted(share.Difficulty)
		case share.Verdict.Shed() && !share.Block():
			// The nonce of a proven block is never forgotten: it was submitted,
			// whatever became of its credit, and would be again each time.
			s.window.Forget(share.Job, share.Nonce)
		}
		l.answerShare(sub)
	}
	l.put(sub)
}

// retarget changes a session's difficulty if its shares say so, and tells it by
// a new job. Shares of earlier jobs keep their jobs' difficulty (I5).
func (l *loop) retarget(s *session) {
	if s.fixed || !s.authorised || s.ending() {
		return
	}
	template := s.port.Pool.Board().Current()
	if template == nil {
		return
	}
	high := s.port.MaxDifficulty
	if template.Difficulty.Hi == 0 {
		high = min(high, template.Difficulty.Lo)
	}
	next, changed := s.tuner.retarget(&s.port.Vardiff, s.difficulty, s.port.MinDifficulty, high, l.server.clock())
	if !changed {
		return
	}
	if next > s.difficulty {
		l.server.metrics.up.Inc()
	} else {
		l.server.metrics.down.Inc()
	}
	s.difficulty = next
	l.push(s, template)
}
