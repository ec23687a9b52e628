package server

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator/job"
)

// login makes a connection a session. XMRig closes on any error here and tries
// again after its pause, so a refusal needs no closing from us; a client that
// insists runs into the limit of faults or the login timeout.
func (s *session) login(r *stratum.Request) {
	result, text := s.admit(r)
	s.loop.server.metrics.logins[result].Inc()
	if result != loginOK {
		s.fault(&r.ID, text)
	}
}

func (s *session) admit(r *stratum.Request) (loginResult, string) {
	l := s.loop
	if s.authorised {
		return loginRepeated, stratum.TextLoggedIn
	}
	if l.server.draining.Load() {
		return loginDraining, stratum.TextShutdown
	}
	login, err := stratum.ParseLogin(r.Login, r.Pass, r.RigID)
	if err != nil {
		if err == stratum.ErrDifficulty {
			return loginDifficulty, err.Error()
		}
		return loginAddress, err.Error()
	}
	address, err := s.port.Pool.ParseAddress(string(login.Address))
	if err != nil {
		return loginAddress, stratum.TextInvalidAddress
	}
	template := s.port.Pool.Board().Current()
	if template == nil {
		if l.server.work[s.port.pool].gone.Load() {
			s.reason = closedNoWork
			return loginNoWork, stratum.TextNoWorkLeave
		}
		return loginNoWork, stratum.TextNoWork
	}
	if r.HasAlgos && !r.Algos.Has(template.Algo) {
		return loginAlgo, stratum.TextAlgoPrefix + template.Algo.String()
	}
	s.difficulty, s.fixed = s.port.StartDifficulty, s.port.FixedDifficulty
	if login.Difficulty != 0 {
		// What is out of the port's bounds is brought within them: the miner
		// meant "as low", or "as high, as you allow".
		s.difficulty, s.fixed = min(max(login.Difficulty, s.port.MinDifficulty), s.port.MaxDifficulty), true
	}
	s.authorised = true
	s.faults = 0
	s.wallet, s.worker = address.String(), login.Worker
	s.window = s.port.Pool.NewWindow()
	var number [sessionIDDigits / 2]byte
	binary.BigEndian.PutUint32(number[:], s.window.Session())
	hex.Encode(s.id[:], number[:])
	s.opened = l.server.clock()
	s.tuner.restart(s.opened)
	s.port.metrics.sessions.Inc()
	l.out = stratum.AppendLogin(l.out, &r.ID, s.id[:], l.cut(s, template))
	return loginOK, ""
}

// jobPace is how often a session gets a new job by asking. A job costs a tree
// hash, and asking twice within it is answered with the same job.
const jobPace = time.Second

// getJob answers with a fresh job: a miner that asks will begin again at nonce
// zero, and on the old job that would be duplicates.
func (s *session) getJob(r *stratum.Request) {
	l := s.loop
	if !s.entitled(r) {
		return
	}
	template := s.port.Pool.Board().Current()
	if template == nil {
		l.out = stratum.AppendError(l.out, &r.ID, stratum.TextNoWork)
		return
	}
	latest := s.window.Latest()
	var wire *stratum.Job
	if latest.Template == template && l.server.clock()-s.jobAt < int64(jobPace) {
		wire = l.encode(s, latest)
	} else {
		wire = l.cut(s, template)
	}
	l.out = stratum.AppendJobResult(l.out, &r.ID, s.id[:], wire)
}

// jobDifficulty is that of a job on the template. It is never above the
// network's: between the two a miner would throw blocks away.
func (s *session) jobDifficulty(t *job.Template) uint64 {
	if t.Difficulty.Hi == 0 {
		return min(s.difficulty, t.Difficulty.Lo)
	}
	return s.difficulty
}

// cut makes the session's next job.
func (l *loop) cut(s *session, t *job.Template) *stratum.Job {
	s.jobAt = l.server.clock()
	s.owed = false
	l.server.metrics.jobs.Inc()
	return l.encode(s, s.window.Cut(t, s.jobDifficulty(t)))
}

// encode lays a job out for the wire, in the loop's own buffers: it is to be
// appended somewhere before the next.
func (l *loop) encode(s *session, j *job.Job) *stratum.Job {
	l.blob = j.AppendHashing(l.blob[:0])
	l.jobID = s.window.AppendID(l.jobID[:0], j.Number)
	l.wire = stratum.Job{
		Blob: l.blob, ID: l.jobID, Target: j.Target, Algo: j.Template.Algo, Height: j.Template.Height,
		Seed: &j.Template.Seed, NextSeed: &j.Template.NextSeed,
	}
	return &l.wire
}

// push sends the session a new job on its own. A session whose earlier answers
// are still unread is owed it instead: a queue of old jobs helps nobody.
func (l *loop) push(s *session, t *job.Template) {
	if s.conn.OutboundBuffered() > 0 {
		s.owed = true
		l.server.metrics.deferred.Inc()
		return
	}
	l.out = stratum.AppendJobPush(l.out[:0], s.id[:], l.cut(s, t))
	s.write(l.out)
	s.settle()
}

// settle ends a session that a write from a task found too slow.
func (s *session) settle() {
	if s.reason != closedByPeer {
		s.close(s.reason)
	}
}
