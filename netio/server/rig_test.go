package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/coin"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// patience is how long a test waits for what must happen: the machine may be
// busy with anything else.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(exhaustChild) != "" {
		os.Exit(exhaustDescriptors())
	}
	if order := os.Getenv(swarmChild); order != "" {
		os.Exit(runSwarm(order))
	}
	goleak.VerifyTestMain(m,
		// gnet's shared worker pool lives as long as the process.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}

// recorded is testdata/template.json: a public template, and addresses.
type recorded struct {
	Template       string
	Height         uint64
	ReservedOffset int `json:"reserved_offset"`
	Addresses      []struct{ Address, Kind string }
}

func readRecorded() (recorded, error) {
	var r recorded
	data, err := os.ReadFile("testdata/template.json")
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

// verifier judges by what a test says instead of hashing. Shares go to judge on
// the submitting thread; while held they wait for release, which judges them on
// a thread of its own.
type verifier struct {
	mu      sync.Mutex
	verdict validator.Verdict
	held    []*verify.Share
	hold    bool
	seen    int
}

func (v *verifier) Submit(s *verify.Share) {
	v.mu.Lock()
	v.seen++
	if v.hold {
		v.held = append(v.held, s)
		v.mu.Unlock()
		return
	}
	verdict := v.verdict
	v.mu.Unlock()
	judge(s, verdict)
}

func judge(s *verify.Share, verdict validator.Verdict) {
	s.Verdict = verdict
	if verdict == validator.Accepted {
		s.Hash = s.Claim
		s.Block = s.Template.Difficulty.Meets(&s.Claim)
	}
	s.Sink.Judged(s)
}

func (v *verifier) set(verdict validator.Verdict, hold bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.verdict, v.hold = verdict, hold
}

// release judges what is held, on another thread, and returns how many.
func (v *verifier) release(verdict validator.Verdict) int {
	v.mu.Lock()
	held := v.held
	v.held, v.hold = nil, false
	v.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, s := range held {
			judge(s, verdict)
		}
	}()
	<-done
	return len(held)
}

func (v *verifier) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen
}

// ledger counts what it is told.
type ledger struct {
	mu       sync.Mutex
	credited map[string]uint64 // by wallet.worker
	rejected map[validator.Verdict]int
	found    int
}

func (l *ledger) Credit(wallet, worker string, difficulty uint64, _ time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.credited[wallet+"."+worker] += difficulty
	return true
}

func (l *ledger) Reject(_, _ string, v validator.Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rejected[v]++
}

func (l *ledger) Found(pool.Block) pool.Pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found++
	return pending{}
}

type pending struct{}

func (pending) Accepted(string) {}
func (pending) Rejected(string) {}

type blocks struct{}

func (blocks) Submit(context.Context, [32]byte, []byte) (string, error) { return "test", nil }

// seeds has every seed at once, and knows the seed block of the test's chain.
type seeds struct{}

func (seeds) Announce(string, [32]byte, [32]byte)               {}
func (seeds) Wait(context.Context, [32]byte) error              { return nil }
func (seeds) BlockID(context.Context, uint64) ([32]byte, error) { return testSeed(), nil }

func testSeed() [32]byte { return [32]byte{0x5e, 0xed} }

// rig is a server with one pool behind it.
type rig struct {
	t        testing.TB
	server   *Server
	pool     *pool.Pool
	verifier *verifier
	ledger   *ledger
	registry *prometheus.Registry
	recorded recorded
	offers   byte
}

// networkDifficulty is high, so that a share is no block unless a test wants it.
const networkDifficulty = 1 << 40

func newPool(t testing.TB, name string, v pool.Verifier, l pool.Ledger, grace time.Duration) *pool.Pool {
	t.Helper()
	profile, err := coin.Lookup("monero")
	if err != nil {
		t.Fatal(err)
	}
	p, err := pool.New(pool.Config{
		Name: name, Coin: profile, Prefix: 7, Ledger: l, Blocks: blocks{}, Seeds: seeds{}, Chain: seeds{}, Verifier: v,
		JobsPerSession: 8, Templates: 4, StaleGrace: grace, TemplateMaxAge: time.Hour,
		SeedWait: time.Minute, SubmitTimeout: time.Minute, Submissions: 4, Addresses: 1024,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.Close(ctx)
	})
	return p
}

// newRig starts a server. change may alter the configuration first; its ports'
// pools are filled in.
func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{
		t: t, registry: prometheus.NewRegistry(),
		verifier: &verifier{verdict: validator.Accepted},
		ledger:   &ledger{credited: map[string]uint64{}, rejected: map[validator.Verdict]int{}},
	}
	var err error
	if r.recorded, err = readRecorded(); err != nil {
		t.Fatal(err)
	}
	r.pool = newPool(t, "test", r.verifier, r.ledger, 0)
	cfg := Config{Registerer: r.registry, Loops: 2, Ports: []Port{{Addr: "127.0.0.1:0", StartDifficulty: 10_000, FixedDifficulty: true}}}
	if change != nil {
		change(&cfg)
	}
	for i := range cfg.Ports {
		if cfg.Ports[i].Pool == nil {
			cfg.Ports[i].Pool = r.pool
		}
	}
	if r.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := r.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.server.Stop()
		if err := r.server.Err(); err != nil {
			t.Errorf("server ended with %v", err)
		}
	})
	return r
}

// offer publishes a template. Each has another parent unless refresh is set.
func (r *rig) offer(refresh bool) {
	r.t.Helper()
	if err := offerTo(r.pool, &r.recorded, &r.offers, refresh, networkDifficulty); err != nil {
		r.t.Fatal(err)
	}
}

func offerTo(p *pool.Pool, rec *recorded, n *byte, refresh bool, difficulty uint64) error {
	data, err := hex.DecodeString(rec.Template)
	if err != nil {
		return err
	}
	if !refresh {
		*n++
	}
	const prevAt = 7 // behind two versions and five bytes of timestamp
	data[prevAt] = *n
	return p.Accept(context.Background(), &job.Offer{
		Blob: data, Height: rec.Height, Difficulty: blob.FromUint64(difficulty),
		Prev: [32]byte(data[prevAt:]), Seed: testSeed(), SeedHeight: p.Coin().SeedHeight(rec.Height),
		ReservedOffset: rec.ReservedOffset, Daemon: "test",
	})
}

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

// metric sums a metric's series whose labels contain all of the given values.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := ""
			for _, l := range m.GetLabel() {
				have += "," + l.GetName() + "=" + l.GetValue() + ","
			}
			match := true
			for _, l := range labels {
				match = match && strings.Contains(have, ","+l+",")
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

// eventually waits until a condition holds.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// balanced asserts invariant I1 at rest.
func (r *rig) balanced() {
	r.t.Helper()
	r.eventually("received = accepted + rejected + shed", func() bool {
		return r.metric("assay_shares_received_total") == r.metric("assay_shares_total")
	})
}
