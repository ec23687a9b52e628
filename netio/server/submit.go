package server

import (
	"bytes"
	"time"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// submission is a share on its way, with what its answer needs. It belongs to
// its loop, which reuses it, and fills it where it lies: it is about a kilobyte, by
// the input that it carries to the hash worker.
type submission struct {
	share     pool.Share
	session   *session
	id        stratum.ID
	next      *submission // in the reply stack
	candidate bool        // counted in session.candidates
}

// unknownJobLimit is how many job ids never issued a session may name; an
// honest miner names none, but for a moment after a reconnect.
const unknownJobLimit = 4

// submit judges what can be judged without hashing, in the order of the
// package's drawing, and sends the rest to the pool. It allocates nothing once
// the loop's free list is warm.
func (s *session) submit(r *stratum.Request) {
	s.port.metrics.received.Inc()
	verdict := s.judge(r)
	if verdict == validator.Pending {
		return
	}
	l := s.loop
	s.port.metrics.verdicts[verdict].Inc()
	if s.authorised {
		s.port.Pool.Reject(s.wallet, s.worker, verdict)
	}
	l.out = stratum.AppendVerdict(l.out, &r.ID, verdict)
	switch verdict {
	case validator.RejectUnauthenticated, validator.RejectMalformed:
		l.server.metrics.faults.Inc()
		s.blame()
	case validator.RejectUnknownJob:
		if s.unknownJobs++; s.unknownJobs > unknownJobLimit {
			s.reason = closedUnknownJobs
		}
	}
}

// judge returns the verdict, or Pending once the share is the pool's.
func (s *session) judge(r *stratum.Request) validator.Verdict {
	if !s.authorised {
		return validator.RejectUnauthenticated
	}
	if r.Malformed {
		return validator.RejectMalformed
	}
	if r.Session != nil && !bytes.Equal(r.Session, s.id[:]) {
		return validator.RejectUnauthenticated
	}
	j, issued := s.window.Find(r.JobID)
	switch {
	case !issued:
		return validator.RejectUnknownJob
	case j == nil:
		return validator.RejectStale
	}
	nonce, ok := stratum.ParseNonce(r.Nonce)
	if !ok {
		return validator.RejectNonce
	}
	var claim [32]byte
	if !stratum.ParseResult(r.Result, &claim) {
		return validator.RejectResult
	}
	// A share that may be a block is worth its hash as long as the block can
	// still be submitted: whether the chain wants it, the daemon knows (I6).
	board := s.port.Pool.Board()
	candidate := s.candidate(j, &claim)
	if !board.Live(j.Template) && !(candidate && board.Kept(j.Template)) {
		return validator.RejectStale
	}
	places := s.loop.server.cfg.JobShares
	if candidate {
		places += candidateRoom
	}
	switch j.Use(nonce, places) {
	case job.Duplicate:
		return validator.RejectDuplicate
	case job.Full:
		return validator.ShedJobFull
	}
	verdict := s.budget(j, &claim, candidate)
	if verdict != validator.Pending {
		// Nothing was hashed, so the nonce is as good as new; remembering it
		// would let shares that cost nothing fill the set.
		s.window.Forget(j.Number, nonce)
		return verdict
	}
	s.send(r, j, nonce, &claim, candidate)
	return validator.Pending
}

// candidate reports whether a share is served as a likely block: with priority,
// and past the limits that end others. A claim costs nothing, so a session has
// the right only for the first few at once (see standing.go), and has lost it for good when one
// of them turned out not to be the share's hash. Shares past that are as good
// as any others: they are hashed, and if one is a block it is found.
func (s *session) candidate(j *job.Job, claim *[32]byte) bool {
	_, room := s.inflightRoom()
	return j.Template.Difficulty.Meets(claim) && !s.forged && int(s.candidates) < room &&
		(s.lateCandidates < candidateRoom || !s.loop.server.draining.Load())
}

// budget holds a fresh share against the job's target and the limits of what
// may be in flight.
func (s *session) budget(j *job.Job, claim *[32]byte, candidate bool) validator.Verdict {
	l := s.loop
	room, _ := s.inflightRoom()
	if candidate {
		room += candidateRoom
	}
	switch {
	case !j.Target.Meets(claim) && !j.Template.Difficulty.Meets(claim):
		return validator.RejectLowDifficulty
	case l.server.draining.Load() && !candidate:
		return validator.ShedShutdown
	case int(s.inflight) >= room:
		return validator.ShedSession
	case l.inflight >= l.server.cfg.InflightLoop && !candidate:
		return validator.ShedQueueFull
	}
	return validator.Pending
}

// send hands a share to the pool.
func (s *session) send(r *stratum.Request, j *job.Job, nonce uint32, claim *[32]byte, candidate bool) {
	l := s.loop
	sub := l.take()
	sub.session, sub.candidate = s, candidate
	sub.id = r.ID
	share := &sub.share
	share.For(j, s.window.Extra(j.Number), nonce, claim)
	share.Class = s.class(candidate)
	share.From, share.Wallet, share.Worker = s.remote.Addr(), s.wallet, s.worker
	share.Received = time.Now()
	share.Origin, share.Owner = l, sub
	s.inflight++
	l.inflight++
	if candidate {
		s.candidates++
		if l.server.draining.Load() {
			s.lateCandidates++
		}
	}
	s.port.Pool.Submit(share)
}

// class is how a share of the session is served.
func (s *session) class(candidate bool) verify.Class {
	switch {
	case candidate && s.proven:
		return verify.ClassCandidate
	case candidate:
		return verify.ClassUnprovenCandidate
	case s.proven:
		return verify.ClassShare
	}
	return verify.ClassUnproven
}

// take gets a submission from the free list.
func (l *loop) take() *submission {
	if n := len(l.free); n > 0 {
		sub := l.free[n-1]
		l.free[n-1] = nil
		l.free = l.free[:n-1]
		return sub
	}
	return new(submission)
}

// freeLimit is how many unused submissions a loop keeps: what a full verify
// queue holds, some 4 MB. More are garbage.
const freeLimit = 4096

// put gives a submission back. It keeps no session, no template and no miner's
// name alive; its bytes are written over by the next one.
func (l *loop) put(sub *submission) {
	sub.session, sub.next = nil, nil
	sub.share.Release()
	if len(l.free) < freeLimit {
		l.free = append(l.free, sub)
	}
}
