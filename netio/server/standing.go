package server

import (
	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/pool"
)

// A session has to earn what it may ask of the hash threads, because a forged
// share costs its sender nothing and the node one hash.
const (
	// unprovenInflight is how many shares a session may have in flight until one
	// of them was accepted. An honest miner has one; more only if its start
	// difficulty is seconds too low, and then for the time of one hash.
	unprovenInflight = 4
	// unprovenCandidates is how many of its claims to be a block are believed at a
	// time until then, beside those four. Two real blocks before a first verdict
	// do not happen; where every share is a block (a private chain) the second
	// waits with the plain shares and is found there.
	unprovenCandidates = 1

	// A wrong hash costs a session wrongHashCost of its credit, an accepted
	// share earns it one, and at −creditLimit it is closed: three wrong ones in
	// a row end a new session, six one that is well trusted. In the long run one
	// share in five may be wrong, which is a farm of five rigs with one broken;
	// a forger who pays for that with four good ones forges little.
	wrongHashCost = 4
	creditLimit   = 12
)

// inflightRoom is how many shares the session may have in flight, and
// candidates how many of its claims to be a block are believed at a time.
func (s *session) inflightRoom() (shares, candidates int) {
	limit := min(s.loop.server.cfg.InflightSession, 1<<16-1-candidateRoom)
	if !s.proven {
		return min(limit, unprovenInflight), unprovenCandidates
	}
	return limit, candidateRoom
}

// weigh books a verdict in the session's credit. Only a hash that was computed
// and is another one counts against it: what was shed, late or too easy does
// not. It reports whether the session is to be closed.
func (s *session) weigh(share *pool.Share) (over bool) {
	switch share.Verdict {
	case validator.Accepted:
		s.proven = true
		s.credit = min(s.credit+1, creditLimit)
	case validator.RejectBadHash:
		s.credit = max(s.credit-wrongHashCost, -creditLimit)
		return s.credit == -creditLimit
	}
	return false
}

// answerShare appends the answer to a judged share; the last wrong hash of a
// session is answered with what its owner should look at, and closes it.
func (l *loop) answerShare(sub *submission) {
	s, share := sub.session, &sub.share
	if s.weigh(share) && s.reason == closedByPeer {
		s.reason = closedWrongHashes
		l.out = stratum.AppendError(l.out, &sub.id, stratum.TextWrongHashes)
		return
	}
	l.out = stratum.AppendVerdict(l.out, &sub.id, share.Verdict)
}
