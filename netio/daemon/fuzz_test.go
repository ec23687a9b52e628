package daemon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":"0","result":{"a":1}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"0","error":{"code":-9,"message":"busy"}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","result":null,"error":null}`))
	f.Add([]byte(strings.Repeat(`{"result":`, 100)))
	f.Fuzz(func(t *testing.T, b []byte) {
		result, err := decodeEnvelope(b)
		if (result == nil) == (err == nil) {
			t.Fatal("neither or both of result and error")
		}
		if err == nil && (!json.Valid(result) || len(result) > len(b)) {
			t.Fatalf("result %q", result)
		}
		if err != nil && (err.Kind == KindNone || len(err.Error()) > 2000) {
			t.Fatalf("error of kind %s, %d bytes", err.Kind, len(err.Error()))
		}
	})
}

func FuzzDecodeInfo(f *testing.F) {
	f.Add([]byte(`{"status":"OK","height":5,"top_block_hash":"` + strings.Repeat("ab", 32) + `","synchronized":true,"tx_pool_size":2}`))
	f.Add([]byte(`{"status":"BUSY"}`))
	f.Add([]byte(`{"status":"OK","height":1e3,"top_block_hash":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ci, err := decodeInfo(b)
		if err == nil && (ci.height == 0 || ci.height >= maxHeight) {
			t.Fatalf("absurd height let through: %+v", ci)
		}
		if err != nil && (ci.height != 0 || ci.txs != 0) {
			t.Fatalf("part of a bad answer: %+v, %v", ci, err)
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add([]byte(`{"status":"OK","block_header":{"hash":"` + strings.Repeat("ab", 32) + `","prev_hash":"` +
		strings.Repeat("cd", 32) + `","height":7,"reward":600000000000,"orphan_status":true}}`))
	f.Add([]byte(`{"status":"OK","block_header":null}`))
	f.Add([]byte(`{"status":"OK","block_header":{"hash":"","height":-1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err == nil && h.Height >= maxHeight {
			t.Fatalf("absurd height let through: %+v", h)
		}
		if err != nil && (h.Height != 0 || h.Reward != 0 || h.Orphan) {
			t.Fatalf("part of a bad answer: %+v, %v", h, err)
		}
	})
}

// Whatever a challenge holds, what goes back is one header line whose quoted strings are closed.
func FuzzDigestChallenge(f *testing.F) {
	f.Add(`Digest qop="auth",algorithm=MD5,realm="monero-rpc",nonce="pVeoF4qzo5LwIjmxCnZFCQ==",stale=false`)
	f.Add(`Digest nonce="a\b", qop=auth`)
	f.Add("Digest nonce=\"a\x00\x7f\", qop=auth")
	f.Add(`digest ,,nonce=x,=,qop="auth-int, AUTH",opaque=""`)
	f.Fuzz(func(t *testing.T, header string) {
		var d digest
		if !d.challenge([]string{header}) {
			if d.ready() {
				t.Fatal("a challenge that was not taken left its nonce")
			}
			return
		}
		line := d.authorize("user", "password", http.MethodPost, "/json_rpc")
		if !d.ready() || strings.Count(line, `"`)%2 != 0 || strings.Contains(line, "password") {
			t.Fatalf("answer %q", line)
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }); i >= 0 {
			t.Fatalf("byte %#x goes into the header", line[i])
		}
		p := digestParams(strings.TrimPrefix(line, "Digest "))
		if p["nonce"] != d.nonce || p["realm"] != d.realm || p["opaque"] != d.opaque || p["nc"] != "00000001" {
			t.Fatalf("answer %q of challenge %q", line, header)
		}
	})
}

// recorded is a publisher that sends what it has and hangs up.
type recorded struct {
	net.Conn // nil: what is not below is not called
	io.Reader
}

func (recorded) Write(b []byte) (int, error)  { return len(b), nil }
func (recorded) SetDeadline(time.Time) error  { return nil }
func (r recorded) Read(b []byte) (int, error) { return r.Reader.Read(b) }
func publisher(r io.Reader) *zmtpConn {
	return &zmtpConn{Conn: recorded{Reader: r}, r: bufio.NewReaderSize(r, 4096)}
}

const (
	fuzzGreeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x00NULL" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	fuzzReady = "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"
)

func FuzzZMTP(f *testing.F) {
	f.Add([]byte(fuzzGreeting + fuzzReady + "\x00\x05hello"))
	f.Add([]byte(fuzzGreeting + fuzzReady + "\x01\x05hello\x02\x00\x00\x00\x00\x00\x00\x00\x03abc\x04\x05\x04PING\x00\x00"))
	f.Add([]byte(fuzzGreeting + fuzzReady + "\x02\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte(fuzzGreeting + "\x06\x00\x00\x00\x00\x00\x00\x04\x00"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(z *zmtpConn) {
			for n := 0; ; n++ {
				msg, err := z.next()
				if err != nil {
					return
				}
				// A message is two bytes at least.
				if len(msg) > maxTopic || n > len(b)/2 {
					t.Fatalf("message %d has %d bytes", n, len(msg))
				}
			}
		}
		if z := publisher(bytes.NewReader(b)); z.handshake([]string{topicBlock}) == nil {
			read(z)
		}
		read(publisher(bytes.NewReader(b))) // and as what comes after a good handshake
	})
}

// endless gives frames of the greatest size for ever.
type endless struct{ left int }

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(b) && e.left > 0 {
		if e.left%(9+maxFrame) == 0 {
			if len(b)-n < 9 {
				break
			}
			copy(b[n:], []byte{flagLong, 0, 0, 0, 0, 0, maxFrame >> 16, 0, 0})
			n += 9
			e.left -= 9
			continue
		}
		k := min(len(b)-n, e.left%(9+maxFrame))
		clear(b[n : n+k])
		n += k
		e.left -= k
	}
	return n, nil
}

// What a publisher sends costs no memory, however much it is.
func TestZMTPMemory(t *testing.T) {
	const frames = 64
	z := publisher(&endless{left: frames * (9 + maxFrame)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	for ; ; n++ {
		if _, err := z.next(); err != nil {
			break
		}
	}
	runtime.ReadMemStats(&after)
	if n != frames {
		t.Fatalf("%d messages, sent were %d", n, frames)
	}
	// One message kept would be 4 MiB.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > maxFrame/2 {
		t.Errorf("%d bytes allocated for %d messages of %d", grown, frames, maxFrame)
	}
}

// An answer is read up to the limit and not further, whether or not its length is announced.
func TestReadLimit(t *testing.T) {
	const limit = 1000
	c, err := newCaller(Endpoint{URL: "http://127.0.0.1:1"}, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		announced int64
		size      int
		want      Kind
		most      int // bytes read
	}{
		{"at the limit", limit, limit, KindNone, limit},
		{"at the limit, chunked", -1, limit, KindNone, limit},
		{"announced beyond", limit + 1, limit + 1, KindTooLarge, 0},
		{"beyond, chunked", -1, 10 * limit, KindTooLarge, limit + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := bytes.NewReader(make([]byte, tt.size))
			b, ferr := c.read(&http.Response{ContentLength: tt.announced, Body: io.NopCloser(body)})
			if tt.want == KindNone && (ferr != nil || len(b) != tt.size) || tt.want != KindNone && (ferr == nil || ferr.Kind != tt.want) {
				t.Errorf("%d bytes, error %v; want %s", len(b), ferr, tt.want)
			}
			if read := tt.size - body.Len(); read > tt.most {
				t.Errorf("%d bytes were read", read)
			}
		})
	}
}
