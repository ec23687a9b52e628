package miner

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/native/algo"
)

// deadline is how long a test waits for what must happen; generous, since the
// machine may be busy.
const deadline = 60 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sum is a cheap proof of work for tests of everything but hashing. It covers
// algorithm, seed and height, so a share of the wrong job does not verify.
func sum(a algo.ID, seed [32]byte, height uint64, blob []byte) [32]byte {
	text := fmt.Appendf(nil, "%s %x %d %x", a, seed, height, blob)
	return sha256.Sum256(text)
}

type fakeHashers struct {
	mu       sync.Mutex
	prepared [][32]byte // guarded by mu
	made     int        // guarded by mu
	closed   int        // guarded by mu
	hold     chan struct{}
	fail     error
}

func (f *fakeHashers) Prepare(ctx context.Context, _ string, job *xmrig.Job) error {
	f.mu.Lock()
	f.prepared = append(f.prepared, job.Seed)
	f.mu.Unlock()
	if f.hold == nil {
		return nil
	}
	select {
	case <-f.hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeHashers) NewHasher() (Hasher, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	return &fakeHasher{f}, nil
}

type fakeHasher struct{ f *fakeHashers }

func (h *fakeHasher) Hash(a algo.ID, seed [32]byte, height uint64, in []byte, lens []uint32, out []byte) error {
	if h.f.fail != nil {
		return h.f.fail
	}
	for i, n := range lens {
		digest := sum(a, seed, height, in[:n])
		copy(out[32*i:], digest[:])
		in = in[n:]
	}
	return nil
}

func (h *fakeHasher) Close() {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	h.f.closed++
}

// pool is a tiny pool that verifies every share with sum.
type pool struct {
	t        *testing.T
	listener net.Listener
	wg       sync.WaitGroup
	target   string
	nonce    string // of the blobs, 8 digits
	ext      string
	judgeBy  func(seed [32]byte, blob []byte) [32]byte
	reply    func(n int) string // error text of the nth submit, "" accepts; nil accepts all

	mu       sync.Mutex
	conns    []net.Conn          // guarded by mu
	jobs     map[string][]byte   // guarded by mu; blob by job id
	seeds    map[string][32]byte // guarded by mu
	logins   int                 // guarded by mu
	submits  int                 // guarded by mu
	accepted int                 // guarded by mu
	bad      []string            // guarded by mu
	seen     map[string]bool     // guarded by mu
	keeps    int                 // guarded by mu
	byJob    map[string]int      // guarded by mu
}

func newPool(t *testing.T) *pool {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pool{t: t, listener: listener, target: "37894100", nonce: "00000000", ext: `["algo","keepalive"]`,
		jobs: map[string][]byte{}, seeds: map[string][32]byte{}, seen: map[string]bool{}, byJob: map[string]int{}}
	p.judgeBy = func(seed [32]byte, blob []byte) [32]byte { return sum(algo.RX0, seed, 7, blob) }
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.drop()
		p.wg.Wait()
	})
	return p
}

func (p *pool) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, conn)
		p.mu.Unlock()
		p.wg.Go(func() { p.serve(conn) })
	}
}

// drop closes every connection.
func (p *pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}

// job makes a job whose id, blob and seed all derive from n.
func (p *pool) job(n int, seed byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := fmt.Sprintf("job%d", n)
	digits := strings.Repeat(fmt.Sprintf("%02x", n%250+1), 39) + p.nonce + strings.Repeat("cc", 33)
	blob, err := hex.DecodeString(digits)
	if err != nil {
		p.t.Error(err)
	}
	p.jobs[id], p.seeds[id] = blob, [32]byte{seed}
	return fmt.Sprintf(`{"blob":"%s","job_id":"%s","target":"%s","algo":"rx/0","height":7,"seed_hash":"%x","next_seed_hash":""}`,
		digits, id, p.target, p.seeds[id])
}

func (p *pool) push(job string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		fmt.Fprintf(conn, `{"jsonrpc":"2.0","method":"job","params":%s}`+"\n", job)
	}
}

func (p *pool) serve(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Job_ID, Nonce, Result string }
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			p.t.Errorf("the miner sent %q: %v", lines.Bytes(), err)
			return
		}
		answer := ""
		switch m.Method {
		case "login":
			p.mu.Lock()
			p.logins++
			n := p.logins
			p.mu.Unlock()
			answer = fmt.Sprintf(`"error":null,"result":{"id":"s","status":"OK","extensions":%s,"job":%s}`, p.ext, p.job(n*100, 1))
		case "submit":
			answer = `"error":null,"result":{"status":"OK"}`
			if text := p.judge(m.Params.Job_ID, m.Params.Nonce, m.Params.Result); text != "" {
				answer = fmt.Sprintf(`"result":null,"error":{"code":-1,"message":%q}`, text)
			}
		case "keepalived":
			p.mu.Lock()
			p.keeps++
			p.mu.Unlock()
			answer = `"error":null,"result":{"status":"KEEPALIVED"}`
		}
		fmt.Fprintf(conn, `{"id":%s,"jsonrpc":"2.0",%s}`+"\n", m.ID, answer)
	}
}

// judge verifies a share as a pool would.
func (p *pool) judge(id, nonce, result string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.submits++
	p.byJob[id]++
	blob := append([]byte(nil), p.jobs[id]...)
	raw, err := hex.DecodeString(nonce)
	if len(blob) == 0 || err != nil || len(raw) != 4 || p.seen[id+nonce] {
		p.bad = append(p.bad, "bad or duplicate "+id+" "+nonce)
		return "bad"
	}
	p.seen[id+nonce] = true
	copy(blob[39:], raw)
	digest := p.judgeBy(p.seeds[id], blob)
	target, _ := xmrig.ExpandTarget(p.target)
	if hex.EncodeToString(digest[:]) != result || binary.LittleEndian.Uint64(digest[24:]) >= target {
		p.bad = append(p.bad, "wrong work "+id+" "+nonce)
		return "wrong"
	}
	if p.reply != nil {
		if text := p.reply(p.submits); text != "" {
			return text
		}
	}
	p.accepted++
	return ""
}

func (p *pool) count(of *int) func() int {
	return func() int { p.mu.Lock(); defer p.mu.Unlock(); return *of }
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, deadline)
		}
	}
}

func (p *pool) config(h Hashers) Config {
	return Config{Hashers: h, Threads: 2, BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond, KeepShares: 1000,
		Pool: xmrig.Config{Addr: p.listener.Addr().String(), Login: "wallet.rig"}}
}

// start runs a miner until the test ends it.
func start(t *testing.T, cfg Config) (m *Miner, stop func() error) {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return m, stop
}

func TestMinesExactly(t *testing.T) {
	for name, tc := range map[string]struct {
		target, nonce, ext string
		difficulty         uint64
	}{
		"8 digits":             {"37894100", "00000000", `["algo"]`, 1000},
		"16 digits":            {"54e3a59bc4204100", "00000000", `[]`, 1006},
		"nicehash":             {"37894100", "000000ab", `["nicehash"]`, 1000},
		"nicehash, zero nonce": {"37894100", "00000000", `["nicehash"]`, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t)
			p.target, p.nonce, p.ext = tc.target, tc.nonce, tc.ext
			hashers := &fakeHashers{}
			cfg := p.config(hashers)
			cfg.Accepted = 9
			m, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			if err := m.Run(ctx); err != nil || ctx.Err() != nil {
				t.Fatal(err, ctx.Err(), m.Stats())
			}
			s := m.Stats()
			target, _ := xmrig.ExpandTarget(tc.target)
			if s.Accepted != 9 || s.Submitted != 9 || s.Rejected+s.Unanswered != 0 || s.AcceptedBy[target] != 9 {
				t.Errorf("stats %+v", s)
			}
			if want := 9 * ((1<<64 - 1) / target); s.Difficulty != want || s.Difficulty != 9*tc.difficulty {
				t.Errorf("difficulty %d, want %d (%d each)", s.Difficulty, want, tc.difficulty)
			}
			if got := p.count(&p.accepted)(); got != 9 || len(p.bad) != 0 {
				t.Errorf("the pool accepted %d; %v", got, p.bad)
			}
			if hashers.made != 2 || hashers.closed != 2 {
				t.Errorf("%d hashers made, %d closed", hashers.made, hashers.closed)
			}
			for _, share := range m.Shares() {
				if share.Err != "" || share.Target != target || share.Height != 7 || share.Seed != [32]byte{1} {
					t.Errorf("share %+v", share)
				}
				if tc.ext == `["nicehash"]` && hex.EncodeToString(share.Nonce[3:]) != tc.nonce[6:] {
					t.Errorf("nonce %x does not keep the top byte %s", share.Nonce, tc.nonce)
				}
			}
			if len(m.Shares()) != 9 {
				t.Errorf("%d shares kept", len(m.Shares()))
			}
		})
	}
}

func TestCountsRejections(t *testing.T) {
	p := newPool(t)
	p.reply = func(n int) string { return map[int]string{2: "Block expired", 4: "Block expired", 5: "Throttled"}[n] }
	cfg := p.config(&fakeHashers{})
	cfg.Accepted = 5
	m, stop := start(t, cfg)
	until(t, "5 accepted", func() bool { return m.Stats().Accepted == 5 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s := m.Stats()
	if s.Accepted != 5 || s.Rejected != 3 || s.ErrorTexts["Block expired"] != 2 || s.ErrorTexts["Throttled"] != 1 || s.Submitted != 8 {
		t.Errorf("stats %+v", s)
	}
}

// A text that makes XMRig disconnect is a rejection, and a reconnect.
func TestCriticalRejection(t *testing.T) {
	p := newPool(t)
	p.reply = func(n int) string { return map[int]string{1: "Unauthenticated"}[n] }
	cfg := p.config(&fakeHashers{})
	cfg.Accepted = 2
	m, stop := start(t, cfg)
	until(t, "2 accepted", func() bool { return m.Stats().Accepted == 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := m.Stats(); s.ErrorTexts["Unauthenticated"] == 0 || s.Connects < 2 || !strings.Contains(s.LastError, "critical") {
		t.Errorf("stats %+v", s)
	}
}

// After a new job, and the batches in hand, no share is for the old one.
func TestObeysNewJobs(t *testing.T) {
	p := newPool(t)
	m, _ := start(t, p.config(&fakeHashers{}))
	until(t, "a share", func() bool { return m.Stats().Accepted > 0 })
	for n := 1; n <= 3; n++ {
		p.push(p.job(n, byte(n)))
		id := fmt.Sprintf("job%d", n)
		until(t, "shares of "+id, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.byJob[id] > 5 })
	}
	p.mu.Lock()
	before := p.byJob["job1"]
	p.mu.Unlock()
	from := m.Stats().Accepted
	until(t, "more shares", func() bool { return m.Stats().Accepted > from+20 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byJob["job1"] != before || len(p.bad) > 0 {
		t.Errorf("shares of job1 went from %d to %d; bad %v", before, p.byJob["job1"], p.bad)
	}
}

func TestReconnects(t *testing.T) {
	p := newPool(t)
	m, stop := start(t, p.config(&fakeHashers{}))
	for n := 1; n <= 3; n++ {
		until(t, "login", func() bool { return p.count(&p.logins)() == n })
		accepted := p.count(&p.accepted)()
		until(t, "a share", func() bool { return p.count(&p.accepted)() > accepted })
		p.drop()
	}
	until(t, "another login", func() bool { return m.Stats().Connects == 4 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := m.Stats(); s.Failures != 3 || s.Accepted+s.Rejected+s.Unanswered != s.Submitted || !strings.Contains(s.LastError, "connection closed") {
		t.Errorf("stats %+v", s)
	}
}

// A job that XMRig would not take makes the miner reconnect and say why.
func TestBadJobReconnects(t *testing.T) {
	p := newPool(t)
	m, _ := start(t, p.config(&fakeHashers{}))
	until(t, "login", func() bool { return m.Stats().Connects == 1 })
	p.push(strings.Replace(p.job(1, 1), "37894100", "00000000", 1))
	until(t, "a second login", func() bool { return m.Stats().Connects == 2 })
	if s := m.Stats(); !strings.Contains(s.LastError, `rule "target"`) {
		t.Errorf("last error %q", s.LastError)
	}
}

func TestKeepAlive(t *testing.T) {
	p := newPool(t)
	cfg := p.config(&fakeHashers{})
	cfg.KeepAlive = time.Millisecond
	m, _ := start(t, cfg)
	until(t, "keepalives", func() bool { return m.Stats().KeepAlives >= 3 && p.count(&p.keeps)() >= 3 })
}

func TestGivesUp(t *testing.T) {
	p := newPool(t)
	p.listener.Close()
	cfg := p.config(&fakeHashers{})
	cfg.Failures = 3
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "3 failed connections in a row") {
		t.Errorf("err %v", err)
	}
}

// A seed in preparation must not keep a miner from stopping, nor a dead
// connection from being noticed.
func TestPrepareIsCancelled(t *testing.T) {
	p := newPool(t)
	hashers := &fakeHashers{hold: make(chan struct{})}
	m, stop := start(t, p.config(hashers))
	until(t, "login", func() bool { return m.Stats().Connects == 1 })
	p.drop()
	until(t, "a second login", func() bool { return m.Stats().Connects >= 2 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if m.Stats().Hashes != 0 {
		t.Error("hashed before the seed was ready")
	}
}

func TestHashErrorsDoNotSpin(t *testing.T) {
	p := newPool(t)
	m, stop := start(t, p.config(&fakeHashers{fail: errors.New("no such seed")}))
	until(t, "an error per thread", func() bool { return m.Stats().HashErrors == 2 })
	p.push(p.job(1, 1))
	until(t, "another per thread", func() bool { return m.Stats().HashErrors == 4 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := m.Stats(); s.HashErrors != 4 || s.LastError != "no such seed" {
		t.Errorf("stats %+v", s)
	}
}

func TestNonces(t *testing.T) {
	w := &work{job: &xmrig.Job{NiceHash: true, Blob: make([]byte, 76)}}
	w.next.Store(1<<24 - 3)
	for _, want := range [][2]int{{1<<24 - 3, 2}, {1<<24 - 1, 1}, {0, 0}, {0, 0}} {
		if first, got := w.reserve(2); int(first) != want[0] || got != want[1] {
			t.Errorf("reserve = %d, %d; want %v", first, got, want)
		}
	}
	w = &work{job: &xmrig.Job{}}
	w.next.Store(1<<32 - 1)
	if first, got := w.reserve(4); first != 1<<32-1 || got != 1 {
		t.Errorf("reserve = %d, %d", first, got)
	}
}

func TestNewRefuses(t *testing.T) {
	ok := Config{Hashers: &fakeHashers{}, Pool: xmrig.Config{Addr: "a:1", Login: "w"}}
	if _, err := New(ok); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no hashers": func(c *Config) { c.Hashers = nil },
		"no address": func(c *Config) { c.Pool.Addr = "" },
		"no login":   func(c *Config) { c.Pool.Login = "" },
		"negative":   func(c *Config) { c.Threads = -1 },
	} {
		cfg := ok
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
