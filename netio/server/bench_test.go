package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

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
	tasks  int
	closed int
}

func (l *stubLoop) Execute(context.Context, gnet.Runnable) error { l.tasks++; return nil }

// instant judges on the submitting thread and costs next to nothing.
type instant struct{}

func (instant) Submit(s *verify.Task) {
	s.Verdict = validator.Accepted
	s.Sink.Judged(s)
}

// noBooks have every credit at once: the path is measured, not the books.
type noBooks struct{}

func (noBooks) Admit() bool                              { return true }
func (noBooks) Credit(s *pool.Share)                     { s.Committed(nil) }
func (noBooks) Reject(string, string, validator.Verdict) {}
func (noBooks) Found(pool.Block, []byte)                 {}
func (noBooks) Settle(pool.Block, pool.Fate)             {}

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
	jobAt   int
}

func newBare(t testing.TB, shares int) *bare {
	t.Helper()
	return newBareOn(t, shares, noBooks{})
}

func newBareOn(t testing.TB, shares int, books pool.Books) *bare {
	t.Helper()
	rec, err := readRecorded()
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(t, "bench", instant{}, books, 0)
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
	b.jobAt = strings.Index(head, string(b.loop.jobID))
	b.line = []byte(head + `00000000","result":"` + claimHex(10_000) + `","algo":"rx/0"}}` + "\n")
}

func (b *bare) submit(nonce uint32) {
	const digits = "0123456789abcdef"
	for i := range 8 {
		b.line[b.nonceAt+i] = digits[nonce>>(28-4*i)&15]
	}
	b.feed(b.line)
}

// nextJob cuts another job and names it in the line, without memory of its own.
func (b *bare) nextJob() {
	b.loop.cut(b.session, b.pool.Board().Current())
	copy(b.line[b.jobAt:], b.loop.jobID)
}

// TestSubmitAllocatesNothing covers read, parse, checks, pool, reply and
// answer, as miners send: at 30 s a share most jobs of a session get one, and
// then there is another job.
func TestSubmitAllocatesNothing(t *testing.T) {
	b := newBare(t, DefaultJobShares)
	for range 10 {
		b.nextJob() // the window is full
	}
	written, n := b.conn.written, uint32(0)
	if allocs := testing.AllocsPerRun(1000, func() { b.nextJob(); b.submit(n); n++ }); allocs != 0 {
		t.Fatalf("%v allocations for the one share of a job", allocs)
	}
	if got := testing.AllocsPerRun(200, func() { b.submit(n - 1) }); got != 0 {
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
	// Of which some 600 are the work: the input of the longest hashing blob there is.
	if size := unsafe.Sizeof(submission{}); size > 960 {
		t.Errorf("a submission is %d bytes", size)
	}
}

// BenchmarkSubmit is one share from the read buffer to the written answer:
// everything but the socket, the books and the hash. In one-a-job each share is
// the first of its job, which is what miners send, and cutting the job is part
// of it; in the others a new job is cut every DefaultJobShares shares, as its
// limit asks.
func BenchmarkSubmit(b *testing.B) {
	b.Run("one-a-job", func(b *testing.B) {
		s := newBare(b, DefaultJobShares)
		nonce := uint32(0)
		b.ReportAllocs()
		for b.Loop() {
			s.nextJob()
			s.submit(nonce)
			nonce++
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "shares/s")
	})
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("lines-%d", batch), func(b *testing.B) {
			s := newBare(b, DefaultJobShares)
			s.server.cfg.InflightSession = batch
			s.submit(1<<32 - 1) // proven, so that a whole batch may be in flight
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

// BenchmarkPush is one job cut, encoded and handed to the socket, without the
// socket.
func BenchmarkPush(b *testing.B) {
	s := newBare(b, DefaultJobShares)
	template := s.pool.Board().Current()
	b.ReportAllocs()
	for b.Loop() {
		s.loop.push(s.session, template)
	}
}

// swarmSize is how many miners a benchmark simulates: 2,000, or what
// ASSAY_BENCH_CONNS says. The miners are a process of their own, so up to
// 18,000 fit into a limit of 20,000 descriptors.
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

// BenchmarkIdleSession measures the Go heap a connection costs after login,
// eight jobs and a keepalive.
func BenchmarkIdleSession(b *testing.B) {
	n := swarmSize(b)
	for b.Loop() {
		r := newRig(b, func(c *Config) { c.Loops = 1 })
		r.offer(false)
		before := heapNow()
		stop := startSwarm(b, r, n)
		for range 8 {
			r.fanned()
		}
		b.ReportMetric(float64(heapNow()-before)/float64(n), "heap-B/conn")
		stop()
		r.server.Stop()
	}
}

func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fanned publishes a template and waits until the last job is written.
func (r *rig) fanned() {
	r.t.Helper()
	r.offer(false)
	for _, l := range r.server.allLoops() {
		r.eventually("the fan-out is done", func() bool {
			f := l.fan.wanted[0].Load()
			return f != nil && f.left.Load() == 0
		})
	}
}

// BenchmarkFanout is one template to every miner, over real loopback sockets:
// the time from publishing to the last job written, as the server's own metric
// has it, and this process's CPU time meanwhile, which includes the kernel's
// work of delivering to the other ends.
func BenchmarkFanout(b *testing.B) {
	n := swarmSize(b)
	r := newRig(b, func(c *Config) { c.Loops = 1 })
	r.offer(false)
	defer startSwarm(b, r, n)()
	var cpu time.Duration
	before := r.fanoutSeconds()
	for b.Loop() {
		began := cpuTime(b)
		r.fanned()
		cpu += cpuTime(b) - began
	}
	took := (r.fanoutSeconds() - before) / float64(b.N)
	b.ReportMetric(took*1e6/float64(n), "µs/conn")
	b.ReportMetric(took*1e3, "ms/fanout")
	b.ReportMetric(float64(cpu.Nanoseconds())/1e3/float64(b.N)/float64(n), "cpu-µs/conn")
}

// BenchmarkFanoutFloor is what the same machine takes for the bare system calls
// of a fan-out: a job's length written to each of as many loopback sockets.
func BenchmarkFanoutFloor(b *testing.B) {
	n := swarmSize(b)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	clients, fds := make([]net.Conn, n), make([]int, n)
	for i := range n {
		if clients[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			b.Fatal(err)
		}
		defer clients[i].Close()
		c, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		f, err := c.(*net.TCPConn).File()
		_ = c.Close()
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		fds[i] = int(f.Fd())
	}
	job := append(bytes.Repeat([]byte{'x'}, 450), '\n')
	buf := make([]byte, 4096)
	var took time.Duration
	for b.Loop() {
		start := time.Now()
		for _, fd := range fds {
			if _, err := unix.Write(fd, job); err != nil {
				b.Fatal(err)
			}
		}
		took += time.Since(start)
		for _, c := range clients {
			if err := readLine(c, buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(took.Nanoseconds())/1e3/float64(b.N)/float64(n), "µs/conn")
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

// fanoutSeconds is the sum of all fan-outs measured.
func (r *rig) fanoutSeconds() float64 {
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "assay_fanout_seconds" {
			return f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	return 0
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
