package server

import (
	"bytes"
	"strconv"

	"github.com/assay-pool/assay/netio/stratum"
)

// tlsHandshake is the first byte of a TLS ClientHello record.
const tlsHandshake = 0x16

// tlsAlert is what a TLS client understands: a record of type alert (21), TLS
// 1.0 in its header as every version sends it, fatal (2) handshake_failure
// (40). RFC 8446 §5.1, §6.2.
const tlsAlert = "\x15\x03\x01\x00\x02\x02\x28"

const healthText = "Assay: this is a mining port and it is up. Connect a miner by stratum+tcp.\n"

// foreign looks at the first bytes of a connection for other protocols, answers
// in their language and ends the session. false means it may be stratum.
func (s *session) foreign(first []byte) bool {
	l := s.loop
	first = stratum.TrimLeft(first)
	switch {
	case len(first) == 0:
		return false
	case first[0] == tlsHandshake:
		l.out = append(l.out, tlsAlert...)
		s.reason = closedTLS
		return true
	case isHTTP(first):
		if bytes.IndexByte(first, '\n') < 0 && len(first) <= l.server.cfg.MaxLine {
			return false // the request line is not complete yet
		}
		l.out = appendHealth(l.out, first[0] == 'H')
		s.reason = closedHTTP
		return true
	case first[0] != '{' && !maybeBOM(first) && !maybeHTTP(first):
		s.fault(&stratum.ID{}, stratum.ErrSyntax.Error())
		s.reason = closedProtocol
		return true
	}
	return false
}

func isHTTP(first []byte) bool {
	return bytes.HasPrefix(first, []byte("GET ")) || bytes.HasPrefix(first, []byte("HEAD "))
}

// maybeHTTP reports whether too few bytes have come to tell.
func maybeHTTP(first []byte) bool {
	return bytes.HasPrefix([]byte("GET "), first) || bytes.HasPrefix([]byte("HEAD "), first)
}

// maybeBOM is the same for a byte order mark.
func maybeBOM(first []byte) bool { return bytes.HasPrefix([]byte("\xef\xbb\xbf"), first) }

func appendHealth(dst []byte, head bool) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(healthText)), 10)
	dst = append(dst, "\r\n\r\n"...)
	if head {
		return dst
	}
	return append(dst, healthText...)
}
