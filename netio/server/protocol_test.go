package server

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/stratum"
)

func TestLoginAndShares(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, ".rig1")
	if c.id == "" || c.job.ID != c.id || c.job.JobID == "" || c.job.Algo != "rx/0" || c.job.Height != r.recorded.Height || c.job.Target != "b88d0600" {
		t.Fatalf("job %+v of session %q", c.job, c.id)
	}
	if len(c.job.Seed) != 64 || !strings.HasPrefix(c.job.Seed, "5eed") {
		t.Fatalf("seed %q", c.job.Seed)
	}
	if nonce := c.job.Blob[78:86]; nonce != "00000000" {
		t.Fatalf("nonce %s in the blob would be NiceHash mode", nonce)
	}
	for nonce := range uint32(20) {
		c.submit(nonce, 10_000)
		c.accepted()
	}
	key := r.recorded.Addresses[0].Address + ".rig1"
	r.books.mu.Lock()
	if got := r.books.credited[key]; got != 200_000 {
		t.Errorf("credited %d", got)
	}
	r.books.mu.Unlock()
	c.send(`{"id":7,"method":"keepalived","params":{"id":"%s"}}`, c.id)
	if a := c.answer(); a.Result == nil || a.Result.Status != "KEEPALIVED" || string(a.ID) != "7" {
		t.Fatalf("keepalive: %s", a.line)
	}
	r.balanced()
}

func TestGetJob(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	c.send(`{"id":2,"method":"getjob","params":{"id":"%s"}}`, c.id)
	first := c.answer()
	if first.Result == nil || first.Result.JobID != c.job.JobID {
		t.Fatalf("asked at once: %s", first.line)
	}
	c.send(`{"id":2,"method":"getjob","params":{"id":"ffffffff"}}`)
	c.refused("Unauthenticated")
}

func TestTwoSessionsNeverShareABlob(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	blobs := map[string]bool{}
	for range 20 {
		c := r.dial()
		c.login(r, "")
		if blobs[c.job.Blob] {
			t.Fatal("two sessions have one blob")
		}
		blobs[c.job.Blob] = true
	}
}

func TestLoginRefused(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxFaults = 100 })
	c := r.dial()
	address := r.recorded.Addresses[0].Address
	login := func(login, more string) {
		c.send(`{"id":1,"method":"login","params":{"login":"%s"%s}}`, login, more)
	}
	login(address, "")
	c.refused(stratum.TextNoWork)
	r.offer(false)
	bad := map[string]string{
		"mistyped":          address[:40] + "x" + address[41:],
		"cut":               address[:90],
		"not base58":        "0OIl" + address[4:],
		"short":             "4",
		"long":              strings.Repeat("4", 250),
		"other coin":        "Q010500bc576efa69fd6cbc854f2224f149f0b0a4d18fcb30c1feab64781245f4f27a61874227f3",
		"testnet":           "9wviCeWe2D8XS82k2ovp5EUYLzBt9pYNW2LXUFsZiv8S3Mt21FZ5qQaAroko1enzw3eGr9qC7X1D7Geoo2RrAotYPwq9Gm8",
		"only a worker":     ".rig",
		"html":              "<script>",
		"unicode":           "\u00e9\u4e2d",
		"only spaces":       "   ",
		"null byte":         `4\u0000`,
		"address in quotes": `\"` + address,
	}
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			c.t = t
			login(text, "")
			c.refused("Invalid address used for login")
		})
	}
	c.t = t
	login(address+"+NaN", "")
	c.refused(stratum.ErrDifficulty.Error())
	login(address+"+0", "")
	c.refused(stratum.ErrDifficulty.Error())
	login(address, `,"algo":["cn/r","cn/1"]`)
	c.refused(stratum.TextAlgoPrefix + "rx/0")
	login(address, `,"algo":["cn/r","rx/0"]`)
	if a := c.answer(); a.Result == nil {
		t.Fatalf("login: %s", a.line)
	}
	login(address, "")
	c.refused(stratum.TextLoggedIn)
	for i := range r.recorded.Addresses {
		other := r.dial()
		other.send(`{"id":1,"method":"login","params":{"login":"%s"}}`, r.recorded.Addresses[i].Address)
		if a := other.answer(); a.Result == nil {
			t.Errorf("%s: %s", r.recorded.Addresses[i].Kind, a.line)
		}
	}
}

func TestFixedDifficulty(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Ports = []Port{{Addr: "127.0.0.1:0", StartDifficulty: 2000, MinDifficulty: 1000, MaxDifficulty: 1 << 50}}
	})
	r.offer(false)
	for asked, want := range map[string]string{
		"+5000": "711b0d00", "+1": "37894100", "+18446744073709551615": "ffffff0000000000", "": "9bc42000", "+5000.rig": "711b0d00",
	} {
		t.Run("asked "+asked, func(t *testing.T) {
			c := r.dial()
			c.login(r, asked)
			if c.job.Target != want {
				t.Fatalf("target %s, want %s", c.job.Target, want)
			}
		})
	}
}

// TestBadInput sends what miners never send, each over its own socket, and
// wants the documented answer, then that the connection ends or goes on.
func TestBadInput(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	tests := []struct {
		name, send, want string
		closes           bool
	}{
		{"binary noise", "\x00\xff\x13\x37\n", "Parse error", true},
		{"noise without a line", "\x00\x01\x02", "Parse error", true},
		{"other first bytes", "SSH-2.0-OpenSSH_9.2\r\n", "Parse error", true},
		{"half json", "{\"id\":1,\n", "Parse error", true},
		{"list", "[]\n", "Parse error", true},
		{"nested", `{"id":1,"method":"login","params":` + strings.Repeat("[", 1500) + strings.Repeat("]", 1500) + "}\n", "nested too deeply", true},
		{"nested objects", strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500) + "\n", "nested too deeply", true},
		{"a line of 1 MB", `{"id":1,"method":"login","params":{"login":"` + strings.Repeat("4", 1<<20) + "\"}}\n", "line too long", true},
		{"1 MB without end", `{` + strings.Repeat(" ", 1<<20), "line too long", true},
		{"no method", "{\"id\":1}\n", "no method", false},
		{"wrong types", "{\"id\":1,\"method\":{}}\n", "no method", false},
		{"login of wrong type", "{\"id\":1,\"method\":\"login\",\"params\":{\"login\":{}}}\n", "wrong type", false},
		{"params list", "{\"id\":1,\"method\":\"login\",\"params\":[]}\n", "params must be an object", false},
		{"unknown method", "{\"id\":1,\"method\":\"eth_getWork\"}\n", "Invalid method", false},
		{"bitcoin", "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n", "CryptoNote pool", false},
		{"submit before login", "{\"id\":1,\"method\":\"submit\",\"params\":{\"id\":\"1\",\"job_id\":\"1\",\"nonce\":\"00000000\",\"result\":\"00\"}}\n", "Unauthenticated", false},
		{"getjob before login", "{\"id\":1,\"method\":\"getjob\"}\n", "Unauthenticated", false},
		{"keepalived before login", "{\"id\":1,\"method\":\"keepalived\"}\n", "Unauthenticated", false},
		{"get", "GET / HTTP/1.1\r\nHost: pool\r\n\r\n", "HTTP/1.1 200 OK", true},
		{"head", "HEAD / HTTP/1.1\r\nHost: pool\r\n\r\n", "HTTP/1.1 200 OK", true},
		{"tls", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", "\x15\x03\x01\x00\x02\x02\x28", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := r.dial()
			c.t = t
			// The server may close before it has taken all of a megabyte.
			_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
			_, _ = c.conn.Write([]byte(tt.send))
			_ = c.conn.SetReadDeadline(time.Now().Add(patience))
			if !tt.closes {
				line, err := c.in.ReadString('\n')
				if err != nil || !strings.Contains(line, tt.want) {
					t.Fatalf("answer %q %v, want %q", line, err, tt.want)
				}
				c.login(r, "")
				return
			}
			all, err := io.ReadAll(c.in)
			reset := err != nil && strings.Contains(err.Error(), "reset")
			if err != nil && !reset {
				t.Fatalf("the connection is still open: %v", err)
			}
			// Closing with a megabyte unread resets the connection, which may
			// overtake the answer.
			if !bytes.Contains(all, []byte(tt.want)) && !(reset && len(tt.send) > 1<<16) {
				t.Fatalf("answer %q, want %q", all, tt.want)
			}
			if tt.name == "get" && !bytes.Contains(all, []byte("mining port")) || tt.name == "head" && bytes.Contains(all, []byte("mining port")) {
				t.Fatalf("body of %s: %q", tt.name, all)
			}
		})
	}
	t.Run("too many faults", func(t *testing.T) {
		c := r.dial()
		c.t = t
		for range DefaultMaxFaults {
			c.send(`{"id":9,"method":"nonsense"}`)
			c.refused("Invalid method")
		}
		c.closed()
	})
	t.Run("and the server lives", func(t *testing.T) {
		c := r.dial()
		c.login(r, "")
		c.submit(1, 10_000)
		c.accepted()
	})
	if n := r.metric("assay_handler_panics_total"); n != 0 {
		t.Fatalf("%v panics", n)
	}
	r.balanced()
}

// TestNoiseLeavesNoMemory sends a lot of everything and wants the heap back.
func TestNoiseLeavesNoMemory(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	rng := rand.New(rand.NewPCG(1, 2))
	round := func() {
		for range 40 {
			c := r.dial()
			noise := make([]byte, 1<<16)
			for i := range noise {
				noise[i] = byte(rng.Uint32())
			}
			noise[0] = '{'
			_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
			_, _ = c.conn.Write(noise)
			c.closed()
			_ = c.conn.Close()
		}
		r.eventually("all connections gone", func() bool { return r.metric("assay_connections") == 0 })
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	round()
	before := heap()
	for range 5 {
		round()
	}
	if grown := heap() - before; grown > 2<<20 {
		t.Fatalf("heap grew by %d bytes", grown)
	}
}

// TestSplitLines sends requests in pieces of every size: framing must not care.
func TestSplitLines(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 30 {
		var lines strings.Builder
		n := 1 + rng.IntN(20)
		for i := range n {
			end := []string{"\n", "\r\n", "\n\n"}[rng.IntN(3)]
			lines.WriteString(`{"id":"` + strings.Repeat("x", i) + `","method":"keepalived"}` + end)
		}
		all := lines.String()
		go func() {
			for len(all) > 0 {
				k := 1 + rng.IntN(min(len(all), 200))
				_, _ = c.conn.Write([]byte(all[:k]))
				all = all[k:]
			}
		}()
		for i := range n {
			if a := c.answer(); string(a.ID) != `"`+strings.Repeat("x", i)+`"` {
				t.Fatalf("round %d: answer %d is to %s", round, i, a.ID)
			}
		}
	}
}

func TestLineLimitIsExact(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxLine = 1024 })
	r.offer(false)
	frame := `{"id":1,"method":"keepalived","x":""}`
	line := func(n int) string {
		return strings.Replace(frame, `""`, `"`+strings.Repeat("a", n-len(frame))+`"`, 1)
	}
	c := r.dial()
	c.login(r, "")
	c.send("%s", line(1024))
	if a := c.answer(); a.Result == nil || a.Result.Status != "KEEPALIVED" {
		t.Fatalf("1024 bytes: %s", a.line)
	}
	c.send("%s", line(1025))
	c.refused(stratum.TextLineTooLong)
	c.closed()
}
