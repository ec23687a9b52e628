package server

import (
	"bytes"
	"net/netip"

	"github.com/panjf2000/gnet/v2"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator/job"
)

// sessionIDDigits is the length of a session's id: its number in hex. The id is
// bound to the connection, so it need not be a secret.
const sessionIDDigits = 8

// session is one miner's connection. Owned by its event loop; compact, because
// there are tens of thousands.
type session struct {
	loop       *loop
	port       *port
	conn       gnet.Conn
	prev, next *session
	remote     netip.AddrPort

	wallet, worker string // empty until the login
	window         job.Window
	id             [sessionIDDigits]byte

	difficulty uint64 // of the next job
	tuner      tuner

	// Clock readings, in nanoseconds since the server was made.
	opened  int64 // then, of the login; restarted while there is no work
	seen    int64 // latest valid request
	jobAt   int64 // latest job
	stalled int64 // since when answers wait unread; 0 = none do

	inflight       uint16
	candidates     uint8 // candidates among them; see candidate
	lateCandidates uint8 // candidates taken since draining began
	faults         uint8
	unknownJobs    uint8
	reason         closeReason
	authorised     bool
	fixed          bool // difficulty asked for by +N, or a port without vardiff
	proven         bool // had an accepted share
	credit         int8 // accepted shares against wrong hashes; see standing.go
	forged         bool // claimed a block that was none
	owed           bool // a job was not pushed because answers wait unread
	spoken         bool // its first bytes have been looked at
	closed         bool
}

// release drops what a closed session would keep alive as long as shares of it
// are in flight: templates, above all.
func (s *session) release() {
	if s.authorised {
		s.port.metrics.sessions.Dec()
	}
	s.window = job.Window{}
}

// close ends the session from a task. A read ends its session by its action.
func (s *session) close(reason closeReason) {
	if s.closed {
		return
	}
	s.reason = reason
	_ = s.loop.engine.Close(s.conn)
}

// ending reports whether nothing more is to be read from the session.
func (s *session) ending() bool { return s.closed || s.reason != closedByPeer }

// write sends b, or queues what the socket does not take. gnet's queue has no
// limit, so ours is held here. It may close the session.
func (s *session) write(b []byte) {
	if s.closed || len(b) == 0 {
		return
	}
	n, err := s.conn.Write(b)
	if err != nil || s.closed {
		return // gnet has closed it
	}
	s.loop.server.metrics.bytesOut.Add(float64(n))
	waiting := s.conn.OutboundBuffered()
	switch {
	case waiting > s.loop.server.cfg.OutboundLimit:
		s.reason = closedSlowReader
	case waiting > 0 && s.stalled == 0:
		s.stalled = s.loop.server.clock()
	}
}

// flushAt is how many bytes of answers are collected before a write: a read of
// 64 KiB can hold thousands of requests.
const flushAt = 16 << 10

// traffic serves every full line that has arrived.
func (s *session) traffic() {
	l := s.loop
	limit := l.server.cfg.MaxLine
	buf, err := s.conn.Peek(-1)
	if err != nil || s.ending() {
		return
	}
	used := 0
	l.out = l.out[:0]
	for !s.ending() && used < len(buf) {
		rest := buf[used:]
		if !s.spoken {
			// Blank lines before the first request are taken at once: foreign looks
			// past all of them, and line by line that is quadratic in a read. Blanks
			// that end no line are the beginning of one, and bounded as it is.
			blank := rest[:len(rest)-len(stratum.TrimLeft(rest))]
			lines := bytes.LastIndexByte(blank, '\n') + 1
			used += lines
			if rest = rest[lines:]; len(rest) == 0 || s.foreign(rest) {
				break
			}
		}
		end := bytes.IndexByte(rest, '\n')
		if end > limit || end < 0 && len(rest) > limit {
			s.fault(&stratum.ID{}, stratum.TextLineTooLong)
			s.reason = closedLineTooLong
			break
		}
		if end < 0 {
			break
		}
		used += end + 1
		if line := stratum.Trim(rest[:end]); len(line) > 0 {
			s.spoken = true
			s.handle(line)
		}
		if len(l.out) > flushAt {
			s.write(l.out)
			l.out = l.out[:0]
		}
	}
	s.write(l.out)
	l.server.metrics.bytesIn.Add(float64(used))
	if used > 0 && !s.closed {
		_, _ = s.conn.Discard(used)
	}
}

// handle serves one line; its answer is appended to the loop's out.
func (s *session) handle(line []byte) {
	l := s.loop
	r := &l.req
	if err := l.parser.Parse(line, r); err != nil {
		s.fault(&r.ID, err.Error())
		if !s.authorised && (err == stratum.ErrSyntax || err == stratum.ErrNesting) {
			// Noise from somebody who has never said a sensible word.
			s.reason = closedProtocol
		}
		return
	}
	l.server.metrics.requests[r.Method].Inc()
	if r.Method != stratum.Submit || !r.Malformed {
		s.seen = l.server.clock()
	}
	switch r.Method {
	case stratum.Submit:
		s.submit(r)
	case stratum.Login:
		s.login(r)
	case stratum.GetJob:
		s.getJob(r)
	case stratum.Keepalive:
		if s.entitled(r) {
			l.out = stratum.AppendKeepalive(l.out, &r.ID)
		}
	case stratum.Bitcoin:
		s.fault(&r.ID, stratum.TextBitcoin)
	default:
		s.fault(&r.ID, stratum.TextInvalidMethod)
	}
}

// entitled answers for a request that only a session of its own id may make.
// An absent id is forgiven: some miners send none.
func (s *session) entitled(r *stratum.Request) bool {
	if s.authorised && (r.Session == nil || bytes.Equal(r.Session, s.id[:])) {
		return true
	}
	s.fault(&r.ID, stratum.TextUnauthenticated)
	return false
}

// fault answers a request that is no valid stratum, and ends a session that has
// made too many of them.
func (s *session) fault(id *stratum.ID, text string) {
	s.loop.server.metrics.faults.Inc()
	s.loop.out = stratum.AppendError(s.loop.out, id, text)
	s.blame()
}

func (s *session) blame() {
	if s.faults++; int(s.faults) >= min(s.loop.server.cfg.MaxFaults, 255) {
		s.reason = closedProtocol
	}
}
