package server

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"testing"
	"time"

	"github.com/assay-pool/assay/validator/blob"
)

// client is one miner's end of a connection.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	job  wireJob
	id   string
}

type wireJob struct {
	Blob   string `json:"blob"`
	JobID  string `json:"job_id"`
	Target string `json:"target"`
	Algo   string `json:"algo"`
	Height uint64 `json:"height"`
	Seed   string `json:"seed_hash"`
	ID     string `json:"id"`
}

type reply struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params wireJob         `json:"params"`
	Result *struct {
		wireJob
		Status     string   `json:"status"`
		Job        wireJob  `json:"job"`
		Extensions []string `json:"extensions"`
	} `json:"result"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	line string
}

func (r *rig) dial() *client { return r.dialPort(0) }

func (r *rig) dialPort(i int) *client {
	r.t.Helper()
	conn, err := net.DialTimeout("tcp", r.server.Addrs()[i].Addr.String(), patience)
	if err != nil {
		r.t.Fatal(err)
	}
	c := &client{t: r.t, conn: conn, in: bufio.NewReader(conn)}
	r.t.Cleanup(func() { _ = conn.Close() })
	return c
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	c.write([]byte(fmt.Sprintf(format, args...) + "\n"))
}

func (c *client) write(b []byte) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *client) read() (reply, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := c.in.ReadString('\n')
	if err != nil {
		return reply{line: line}, err
	}
	r := reply{line: line}
	return r, json.Unmarshal([]byte(line), &r)
}

// next reads the next line; a pushed job is remembered.
func (c *client) next() reply {
	c.t.Helper()
	r, err := c.read()
	if err != nil {
		c.t.Fatalf("read %q: %v", r.line, err)
	}
	if r.Method == "job" {
		c.job = r.Params
	}
	return r
}

// answer reads up to the answer, passing by pushed jobs.
func (c *client) answer() reply {
	c.t.Helper()
	for {
		if r := c.next(); r.Method == "" {
			return r
		}
	}
}

// refused reads an answer that must be this error.
func (c *client) refused(text string) reply {
	c.t.Helper()
	r := c.answer()
	if r.Error == nil || r.Error.Message != text || r.Error.Code != -1 {
		c.t.Fatalf("answer %s, want the error %q", r.line, text)
	}
	return r
}

func (c *client) accepted() {
	c.t.Helper()
	if r := c.answer(); r.Result == nil || r.Result.Status != "OK" {
		c.t.Fatalf("answer %s, want OK", r.line)
	}
}

// closed reads on until the server has closed the connection.
func (c *client) closed() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		_, err := c.in.ReadByte()
		var timeout net.Error
		switch {
		case err == nil:
		case errors.As(err, &timeout) && timeout.Timeout():
			c.t.Fatal("the connection is still open")
		default:
			return
		}
	}
}

func (c *client) login(r *rig, more string) {
	c.t.Helper()
	c.send(`{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"%s%s","pass":"x","agent":"test"}}`, r.recorded.Addresses[0].Address, more)
	a := c.answer()
	if a.Result == nil || a.Result.Status != "OK" {
		c.t.Fatalf("login: %s", a.line)
	}
	c.job, c.id = a.Result.Job, a.Result.wireJob.ID
}

// prove has one share accepted, with which a session may have more in flight.
// The verifier must be holding none.
func (c *client) prove() {
	c.t.Helper()
	c.submit(math.MaxUint32, 10_000)
	c.accepted()
}

// submit sends a share of the client's job whose claim meets the difficulty.
func (c *client) submit(nonce uint32, difficulty uint64) {
	c.t.Helper()
	c.submitJob(c.job.JobID, fmt.Sprintf("%08x", nonce), claimHex(difficulty))
}

func (c *client) submitJob(job, nonce, result string) {
	c.t.Helper()
	c.send(`{"id":"s","jsonrpc":"2.0","method":"submit","params":{"id":"%s","job_id":"%s","nonce":"%s","result":"%s"}}`, c.id, job, nonce, result)
}

// claimHex is a hash that just meets a share's target, and nothing harder.
func claimHex(difficulty uint64) string {
	h := claimOf(difficulty)
	return hex.EncodeToString(h[:])
}

func claimOf(difficulty uint64) [32]byte {
	h := [32]byte(bytes.Repeat([]byte{0xff}, 32))
	top := blob.TargetFor(difficulty).Expanded() - 1
	if difficulty == 0 {
		top = math.MaxUint64
	}
	for i := range 8 {
		h[24+i] = byte(top >> (8 * i))
	}
	return h
}
