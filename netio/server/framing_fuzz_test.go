package server

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/panjf2000/gnet/v2"
)

// FuzzFraming feeds the same bytes whole and in random pieces: what a session
// answers, and whether it is ended, must not depend on how TCP cut them.
func FuzzFraming(f *testing.F) {
	b := newBare(f, DefaultJobShares)
	login := `{"id":1,"method":"login","params":{"login":"` + b.rec.Addresses[0].Address + `"}}`
	f.Add([]byte(login+"\n"+`{"id":"x","method":"keepalived"}`+"\r\n\n"), uint64(1))
	f.Add([]byte(login+"\n"+`{"method":"submit","params":{"job_id":"0","nonce":"00000000","result":"00"}}`+"\n"), uint64(2))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint64(3))
	f.Add([]byte("\n\n\x16\x03\x01"), uint64(4))
	f.Add([]byte("{"+strings.Repeat("a", 5000)+"\n"), uint64(5))
	f.Add([]byte("{}\n{}\n{}\n{}\n{}\n"), uint64(6))
	f.Add([]byte("GETTING nowhere\nHE"), uint64(7))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		whole, wholeEnd := b.play(data, nil)
		pieces, piecesEnd := b.play(data, rand.New(rand.NewPCG(seed, 1)))
		// Ids differ from session to session, but not in length.
		if whole != pieces || wholeEnd != piecesEnd {
			t.Fatalf("whole: %d bytes, reason %d; in pieces: %d bytes, reason %d", whole, wholeEnd, pieces, piecesEnd)
		}
	})
}

// play serves data to a fresh session, in random pieces if rng is given, and
// tells how much it answered and why it ended the session.
func (b *bare) play(data []byte, rng *rand.Rand) (written int, reason closeReason) {
	conn := &stubConn{loop: b.conn.loop}
	s := &session{loop: b.loop, port: b.session.port, conn: conn}
	conn.context = s
	b.loop.add(s)
	defer b.loop.remove(s)
	for len(data) > 0 {
		n := len(data)
		if rng != nil {
			n = 1 + rng.IntN(n)
		}
		conn.in = append(conn.in, data[:n]...)
		data = data[n:]
		if (*handler)(b.server).OnTraffic(conn) == gnet.Close {
			break
		}
	}
	return conn.written, s.reason
}
