package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/panjf2000/gnet/v2"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// stubConn is a connection without a socket: reads come from in, writes are
// counted. Methods that are not used here panic.
type stubConn struct {
	gnet.Conn
	in      []byte
	context any
	loop    gnet.EventLoop
	written int
}

func (c *stubConn) Context() any                { return c.context }
func (c *stubConn) Peek(int) ([]byte, error)    { return c.in, nil }
func (c *stubConn) Discard(n int) (int, error)  { c.in = c.in[n:]; return n, nil }
func (c *stubConn) Write(b []byte) (int, error) { c.written += len(b); return len(b), nil }
func (c *stubConn) OutboundBuffered() int       { return 0 }
func (c *stubConn) EventLoop() gnet.EventLoop   { return c.loop }

// stubLoop keeps the tasks it is given.
type stubLoop struct {
	gnet.EventLoop
	tasks int
}

func (l *stubLoop) Execute(context.Context, gnet.Runnable) error { l.tasks++; return nil }

// instant judges on the submitting thread and costs next to nothing.
type instant struct{}

func (instant) Submit(s *verify.Share) {
	s.Verdict = validator.Accepted
	s.Sink.Judged(s)
}

// noLedger books nothing: the path is measured, not the books.
type noLedger struct{}

func (noLedger) Credit(string, string, uint64, time.Time) bool { return true }
func (noLedger) Reject(string, string, validator.Verdict)      {}
func (noLedger) Found(pool.Block) pool.Pending                 { return pending{} }

// bare is a session on a stub connection, logged in.
type bare struct {
	server  *Server
	loop    *loop
	conn    *stubConn
	session *session
	pool    *pool.Pool
	rec     recorded
	offers  byte
	line    []byte // a submit; its nonce is at nonceAt
	nonceAt int
}

func newBare(t testing.TB, shares int) *bare {
	t.Helper()
	rec, err := readRecorded()
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(t, "bench", instant{}, noLedger{}, 0)
	s, err := New(Config{JobShares: shares, Ports: []Port{{Addr: "127.0.0.1:0", Pool: p, StartDifficulty: 10_000, FixedDifficulty: true}}})
	if err != nil {
		t.Fatal(err)
	}
	s.ports[0].metrics = s.metrics.port("0")
	b := &bare{server: s, pool: p, rec: rec}
	el := &stubLoop{}
	b.loop = s.loopOf(el)
	b.conn = &stubConn{loop: el}
	b.session = &session{loop: b.loop, port: s.ports[0], conn: b.conn}
	b.conn.context = b.session
	b.loop.add(b.session)
	b.offer(t)
	b.feed([]byte(fmt.Sprintf(`{"id":1,"method":"login","params":{"login":"%s"}}`+"\n", rec.Addresses[0].Address)))
	if !b.session.authorised {
		t.Fatal("not logged in")
	}
	b.newJob()
	return b
}

func (b *bare) offer(t testing.TB) {
	if err := offerTo(b.pool, &b.rec, &b.offers, false, networkDifficulty); err != nil {
		t.Fatal(err)
	}
}

func (b *bare) feed(lines []byte) {
	b.conn.in = lines
	if (*handler)(b.server).OnTraffic(b.conn) != gnet.None {
		panic("the session was ended")
	}
}

// newJob makes the session's latest job the one that is submitted for.
func (b *bare) newJob() {
	b.loop.cut(b.session, b.pool.Board().Current())
	head := fmt.Sprintf(`{"id":123,"jsonrpc":"2.0","method":"submit","params":{"id":"%s","job_id":"%s","nonce":"`, b.session.id[:], b.loop.jobID)
	b.nonceAt = len(head)
	b.line = []byte(head + `00000000","result":"` + claimHex(10_000) + `","algo":"rx/0"}}` + "\n")
}

func (b *bare) submit(nonce uint32) {
	const digits = "0123456789abcdef"
	for i := range 8 {
		b.line[b.nonceAt+i] = digits[nonce>>(28-4*i)&15]
	}
	b.feed(b.line)
}

// TestSubmitAllocatesNothing covers read, parse, checks, pool, reply and
// answer. The set of a job's nonces is the one thing that grows, and it is
// measured apart: shares that are shed leave it as it was.
func TestSubmitAllocatesNothing(t *testing.T) {
	b := newBare(t, 1<<20)
	for n := range uint32(20_000) {
		b.submit(n)
	}
	written := b.conn.written
	n := uint32(20_000)
	// 20,000 nonces leave the set room for 1,000 more before it grows.
	if allocs := testing.AllocsPerRun(1000, func() { b.submit(n); n++ }); allocs != 0 {
		t.Fatalf("%v allocations a share", allocs)
	}
	if got := testing.AllocsPerRun(200, func() { b.submit(5) }); got != 0 {
		t.Fatalf("%v allocations a duplicate", got)
	}
	if b.conn.written == written {
		t.Fatal("nothing was answered")
	}
}

func TestPushAllocatesLittle(t *testing.T) {
	b := newBare(t, 100)
	for range 10 {
		b.newJob() // the window is full
	}
	template := b.pool.Board().Current()
	if allocs := testing.AllocsPerRun(200, func() { b.loop.push(b.session, template) }); allocs != 0 {
		t.Fatalf("%v allocations a job", allocs)
	}
}

func TestSessionIsCompact(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size > 400 {
		t.Errorf("a session is %d bytes", size)
	}
	if size := unsafe.Sizeof(submission{}); size > 400 {
		t.Errorf("a submission is %d bytes", size)
	}
}

// BenchmarkSubmit is one share from the read buffer to the written answer:
// everything but the socket, the ledger and the hash. A new job is cut every
// DefaultJobShares shares, as its limit asks.
func BenchmarkSubmit(b *testing.B) {
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("lines-%d", batch), func(b *testing.B) {
			s := newBare(b, DefaultJobShares)
			s.server.cfg.InflightSession = batch
			nonce := uint32(0)
			lines := make([]byte, 0, batch*len(s.line))
			b.ReportAllocs()
			for b.Loop() {
				if nonce >= DefaultJobShares-uint32(batch) {
					s.newJob()
					nonce = 0
				}
				lines = lines[:0]
				for range batch {
					copy(s.line[s.nonceAt:], fmt8(nonce))
					lines = append(lines, s.line...)
					nonce++
				}
				s.feed(lines)
			}
			perShare := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(batch)
			b.ReportMetric(perShare, "ns/share")
			b.ReportMetric(1e9/perShare, "shares/s")
		})
	}
}

func fmt8(n uint32) []byte {
	var hex [8]byte
	for i := range hex {
		hex[i] = "0123456789abcdef"[n>>(28-4*i)&15]
	}
	return hex[:]
}

// swarm is many real loopback connections that are logged in.
func swarm(b testing.TB, r *rig, n int) []net.Conn {
	conns := make([]net.Conn, n)
	login := []byte(fmt.Sprintf(`{"id":1,"method":"login","params":{"login":"%s.rig","pass":"x"}}`+"\n", r.recorded.Addresses[0].Address))
	buf := make([]byte, 4096)
	for i := range conns {
		c, err := net.Dial("tcp", r.server.Addrs()[0].Addr.String())
		if err != nil {
			b.Fatal(err)
		}
		conns[i] = c
		_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
		if _, err := c.Write(login); err != nil {
			b.Fatal(err)
		}
		if err := readLine(c, buf); err != nil {
			b.Fatal(err)
		}
	}
	return conns
}

// readLine reads up to a line feed; the sender writes one line at a time.
func readLine(c net.Conn, buf []byte) error {
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		if bytes.IndexByte(buf[:n], '\n') >= 0 {
			return nil
		}
	}
}

// swarmSize is how many miners a benchmark simulates: 2,000, or what
// ASSAY_BENCH_CONNS says. Both ends are in this process, so half the
// descriptors are the miners'.
func swarmSize(b *testing.B) int {
	if text := os.Getenv("ASSAY_BENCH_CONNS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 2000
}

// BenchmarkIdleSession measures the Go heap a connection costs the server, after
// login and eight jobs, by closing the clients' half out of the account: their
// own connections are made before.
func BenchmarkIdleSession(b *testing.B) {
	n := swarmSize(b)
	for b.Loop() {
		r := newRig(b, func(c *Config) { c.Loops = 1 })
		r.offer(false)
		clients := clientHeap(b, n)
		before := heapNow()
		conns := swarm(b, r, n)
		for range 8 {
			sent := r.metric("assay_jobs_sent_total")
			r.offer(false)
			r.eventually("everybody has the job", func() bool { return r.metric("assay_jobs_sent_total") >= sent+float64(n) })
		}
		after := heapNow()
		b.ReportMetric(float64(after-before-clients)/float64(n), "heap-B/conn")
		b.ReportMetric(float64(clients)/float64(n), "client-B/conn")
		for _, c := range conns {
			_ = c.Close()
		}
		r.server.Stop()
	}
}

// clientHeap is what n client connections alone cost: to a listener whose ends
// are raw descriptors in the kernel's backlog, never accepted.
func clientHeap(b *testing.B, n int) int64 {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	n = min(n, 1000) // the backlog holds no more
	before := heapNow()
	conns := make([]net.Conn, n)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			b.Fatal(err)
		}
	}
	per := float64(heapNow()-before) / float64(n)
	for _, c := range conns {
		_ = c.Close()
	}
	return int64(per * float64(swarmSize(b)))
}

func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkFanout is one template to every miner: time until the server has
// written the last job, over real loopback sockets. The miners read afterwards.
func BenchmarkFanout(b *testing.B) {
	n := swarmSize(b)
	r := newRig(b, func(c *Config) { c.Loops = 1 })
	r.offer(false)
	conns := swarm(b, r, n)
	buf := make([]byte, 4096)
	var spent time.Duration
	for b.Loop() {
		done := r.metric("assay_fanout_seconds")
		start := time.Now()
		r.offer(false)
		for r.metric("assay_fanout_seconds") == done {
			runtime.Gosched()
		}
		spent += time.Since(start)
		for _, c := range conns {
			if err := readLine(c, buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N)/float64(n), "µs/conn")
	b.ReportMetric(float64(spent.Milliseconds())/float64(b.N), "ms/fanout")
}
