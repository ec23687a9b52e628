package verify_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/verify"
)

// sha is a hasher whose hash is SHA-256, fast and easy to foretell. It holds
// each call until the gate lets one through, and notes what it was given.
type sha struct {
	width int
	gate  chan struct{} // nil = open
	fail  error

	mu      sync.Mutex
	batches [][]pow.Key
	hashed  map[string]int // blobs, and how often
}

func (h *sha) Batch(pow.Key) (int, bool) { return h.width, false }

func (h *sha) Hash(key pow.Key, in []byte, lens []uint32, out []byte) error {
	if h.gate != nil {
		<-h.gate
	}
	if h.fail != nil {
		return h.fail
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var keys []pow.Key
	for i, n := range lens {
		sum := sha256.Sum256(in[:n])
		copy(out[32*i:], sum[:])
		if h.hashed == nil {
			h.hashed = make(map[string]int)
		}
		h.hashed[string(in[:n])]++
		in, keys = in[n:], append(keys, key)
	}
	h.batches = append(h.batches, keys)
	return nil
}

func (h *sha) Close() {}

// judge is a sink that remembers every verdict, and how often each share got one.
type judge struct {
	mu   sync.Mutex
	seen map[*verify.Task]int
	all  chan *verify.Task
}

func newJudge(room int) *judge {
	return &judge{seen: make(map[*verify.Task]int), all: make(chan *verify.Task, room)}
}

func (j *judge) Judged(s *verify.Task) {
	j.mu.Lock()
	j.seen[s]++
	j.mu.Unlock()
	j.all <- s
}

func (j *judge) next(t *testing.T) *verify.Task {
	t.Helper()
	select {
	case s := <-j.all:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("no verdict within 20 s")
		return nil
	}
}

func start(t *testing.T, h verify.Hasher, cfg verify.Config) *verify.Verifier {
	t.Helper()
	cfg.NewHasher = func(int) (verify.Hasher, error) { return h, nil }
	p, err := verify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func seeded(seed byte) pow.Key { return pow.Key{Algo: algo.RX0, Seed: [32]byte{seed}} }

// hard is a network difficulty that no hash here meets.
var hard = blob.FromUint64(1 << 62)

// honest makes a plain share's task whose claim is its hash.
func honest(key pow.Key, j *judge, nonce uint32) *verify.Task {
	t := &verify.Task{Class: verify.ClassShare, Received: time.Now(), Sink: j}
	t.Key = key
	t.Goals = verify.Goals{Job: blob.TargetFor(1), Chain: [verify.MaxChains]blob.Difficulty{hard}}
	t.SetInput(binary.LittleEndian.AppendUint32(key.Seed[:], nonce))
	t.Claim = sha256.Sum256(t.Input())
	return t
}

func TestVerdicts(t *testing.T) {
	defer goleak.VerifyNone(t)
	key := seeded(1)
	j := newJudge(16)
	// block is one of an easy chain: every hash meets it.
	block := func(nonce uint32) *verify.Task {
		t := honest(key, j, nonce)
		t.Goals.Chain[0], t.Class = blob.FromUint64(1), verify.ClassCandidate
		return t
	}
	lie := honest(key, j, 2)
	lie.Claim[0]++
	liedBlock := block(3)
	liedBlock.Claim = [32]byte{} // "all zeros": better than any block
	late := honest(key, j, 5)
	late.Received = time.Now().Add(-time.Minute)
	lateBlock := block(6)
	lateBlock.Received = late.Received
	aside := honest(key, j, 7)
	aside.Goals.Chain[2] = blob.FromUint64(1)
	nothing := honest(key, j, 8)
	nothing.Goals = verify.Goals{}
	const share, own = verify.MetJob, verify.Met(2)
	tests := []struct {
		name string
		task *verify.Task
		want validator.Verdict
		met  verify.Met
	}{
		{"honest", honest(key, j, 1), validator.Accepted, share},
		{"wrong hash", lie, validator.RejectBadHash, 0},
		{"forged block", liedBlock, validator.RejectBadHash, 0},
		{"block", block(4), validator.Accepted, share | own},
		{"too late", late, validator.ShedDeadline, 0},
		{"a block is never too late", lateBlock, validator.Accepted, share | own},
		{"block of another chain", aside, validator.Accepted, share | verify.MetChain(2)},
		{"of no goal", nothing, validator.Accepted, 0},
	}
	p := start(t, &sha{width: 4}, verify.Config{Deadline: 30 * time.Second})
	defer p.Close(context.Background())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.Submit(tt.task)
			got := j.next(t)
			if got != tt.task || got.Verdict != tt.want || got.Met != tt.met {
				t.Errorf("verdict %v, met %05b; want %v, %05b", got.Verdict, got.Met, tt.want, tt.met)
			}
		})
	}
}

// TestEveryShareIsJudgedOnce floods a small queue from several goroutines and
// closes it in the middle: accepted + rejected + shed = submitted (I1), and
// nothing is hashed twice (I12).
func TestEveryShareIsJudgedOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	const senders, each = 8, 500
	keys := []pow.Key{seeded(1), seeded(2)}
	j := newJudge(senders * each)
	h := &sha{width: 4}
	reg := prometheus.NewRegistry()
	p := start(t, h, verify.Config{Workers: 2, Queue: 32, Registerer: reg})
	var wg sync.WaitGroup
	for s := range senders {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				p.Submit(honest(keys[i%2], j, uint32(s*each+i)))
			}
		}()
	}
	for range senders * each / 4 {
		j.next(t)
	}
	p.Close(context.Background())
	wg.Wait()
	var counts [validator.Verdicts]int
	for share, n := range j.seen {
		if n != 1 {
			t.Fatalf("a share was judged %d times", n)
		}
		counts[share.Verdict]++
	}
	if len(j.seen) != senders*each {
		t.Fatalf("%d shares judged, %d submitted", len(j.seen), senders*each)
	}
	if accepted := counts[validator.Accepted]; accepted == 0 || accepted != len(h.hashed) {
		t.Errorf("%d accepted, %d hashed", accepted, len(h.hashed))
	}
	for b, n := range h.hashed {
		if n != 1 {
			t.Fatalf("%x was hashed %d times", b, n)
		}
	}
	for _, batch := range h.batches {
		for _, key := range batch {
			if key != batch[0] {
				t.Fatal("a batch mixes seeds")
			}
		}
	}
	if n, err := testutil.GatherAndCount(reg, "assay_verify_judged_total"); err != nil || n == 0 {
		t.Errorf("judged metric: %d series, %v", n, err)
	}
}

// TestClassesAreTheCallers: a verifier serves the classes it is given, and counts
// what waits in each by its name.
func TestClassesAreTheCallers(t *testing.T) {
	defer goleak.VerifyNone(t)
	const audits = verify.ClassUnproven + 1
	rules := append(verify.DefaultRules(8, 8), verify.Rule{Name: "audit", Weight: 0.25, Limit: 2, Below: audits})
	h := &sha{width: 1, gate: make(chan struct{})}
	j := newJudge(16)
	reg := prometheus.NewRegistry()
	p := start(t, h, verify.Config{Rules: rules, Queue: 1, Registerer: reg})
	p.Submit(honest(seeded(1), j, 0)) // keeps the worker at the gate
	for p.Depth() != 0 {
		runtime.Gosched()
	}
	var audited []*verify.Task
	for n := range uint32(3) {
		a := honest(seeded(1), j, 10+n)
		a.Class, a.Received = audits, a.Received.Add(-time.Hour)
		audited = append(audited, a)
		p.Submit(a)
	}
	if got := j.next(t); got != audited[2] || got.Verdict != validator.ShedQueueFull {
		t.Errorf("the audit too many: %v", got.Verdict)
	}
	for n := range uint32(4) { // as the rules have room for, not Config.Queue
		p.Submit(honest(seeded(1), j, 20+n))
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(map[string]float64)
	for _, f := range families {
		if f.GetName() == "assay_verify_queue_shares" {
			for _, m := range f.GetMetric() {
				waiting[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if len(waiting) != len(rules) || waiting["audit"] != 2 || waiting["share"] != 4 {
		t.Errorf("waiting by class: %v", waiting)
	}
	close(h.gate)
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for _, a := range audited[:2] {
		if a.Verdict != validator.Accepted || a.Class != audits {
			t.Errorf("an old audit: %v, of class %d", a.Verdict, a.Class)
		}
	}
	if _, err := verify.New(verify.Config{Rules: []verify.Rule{{Name: "weightless", Limit: 1}},
		NewHasher: func(int) (verify.Hasher, error) { return h, nil }}); err == nil {
		t.Error("a class without a weight was taken")
	}
}

func TestFullQueueSheds(t *testing.T) {
	defer goleak.VerifyNone(t)
	key := seeded(1)
	j := newJudge(64)
	h := &sha{width: 1, gate: make(chan struct{})}
	p := start(t, h, verify.Config{Queue: 2, Candidates: 1})
	shed := 0
	for i := range uint32(10) {
		p.Submit(honest(key, j, i)) // one at the worker at most, two in the queue
		select {
		case s := <-j.all:
			if s.Verdict != validator.ShedQueueFull {
				t.Fatalf("verdict %v of a share that found no room", s.Verdict)
			}
			shed++
		default:
		}
	}
	if shed < 7 || shed > 8 {
		t.Errorf("%d of 10 shares were shed, want 7 or 8", shed)
	}
	candidate := honest(key, j, 99)
	candidate.Class = verify.ClassCandidate
	p.Submit(candidate)
	close(h.gate)
	p.Close(context.Background())
	if candidate.Verdict != validator.Accepted {
		t.Errorf("a candidate at a full queue: %v", candidate.Verdict)
	}
	late := honest(key, j, 100)
	p.Submit(late)
	if late.Verdict != validator.ShedShutdown {
		t.Errorf("after Close: %v", late.Verdict)
	}
}

// TestCloseGivesUp: a stop that has no more time sheds what waits, candidates
// included, and leaves a batch behind that does not end: whatever is forged or
// hangs, the node stops.
func TestCloseGivesUp(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprintf("the batch hangs: %v", hangs), func(t *testing.T) {
			key := seeded(1)
			j := newJudge(1 << 16)
			h := &sha{width: 1, gate: make(chan struct{})}
			p := start(t, h, verify.Config{Queue: 8})
			first := honest(key, j, 0)
			p.Submit(first) // keeps the worker at the gate
			for p.Depth() != 0 {
				runtime.Gosched()
			}
			candidate := honest(key, j, 1)
			candidate.Class = verify.ClassCandidate
			waiting := []*verify.Task{honest(key, j, 2), honest(key, j, 3), candidate}
			for _, s := range waiting {
				p.Submit(s)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			closed := make(chan error, 1)
			go func() { closed <- p.Close(ctx) }()
			for probe := honest(key, j, 9); probe.Verdict != validator.ShedShutdown; runtime.Gosched() {
				// Until Close has begun, probes queue up or find no room.
				probe = honest(key, j, 9)
				p.Submit(probe)
			}
			if hangs {
				if err := <-closed; !errors.Is(err, context.Canceled) {
					t.Errorf("close: %v", err)
				}
			}
			h.gate <- struct{}{} // the one at the gate; what waits is not hashed
			if !hangs {
				<-closed
			}
			if err := p.Close(context.Background()); err != nil { // waits for the worker
				t.Error(err)
			}
			for i, s := range waiting {
				if s.Verdict != validator.ShedDeadline {
					t.Errorf("share %d after the time was up: %v", i, s.Verdict)
				}
			}
			if first.Verdict != validator.Accepted {
				t.Errorf("the share at the gate: %v", first.Verdict)
			}
		})
	}
}

func TestHashErrorsShed(t *testing.T) {
	defer goleak.VerifyNone(t)
	key := seeded(1)
	for _, tt := range []struct {
		err  error
		want validator.Verdict
	}{
		{pow.ErrEpoch, validator.ShedEpoch},
		{errors.New("no memory"), validator.ShedError},
	} {
		j := newJudge(1)
		p := start(t, &sha{width: 1, fail: tt.err}, verify.Config{})
		p.Submit(honest(key, j, 1))
		if got := j.next(t).Verdict; got != tt.want {
			t.Errorf("%v: verdict %v, want %v", tt.err, got, tt.want)
		}
		p.Close(context.Background())
	}
}

func TestNewFailsWithTheHasher(t *testing.T) {
	defer goleak.VerifyNone(t)
	broken := errors.New("no kernel")
	_, err := verify.New(verify.Config{Workers: 3, NewHasher: func(w int) (verify.Hasher, error) {
		if w == 1 {
			return nil, broken
		}
		return &sha{width: 1}, nil
	}})
	if !errors.Is(err, broken) {
		t.Errorf("New: %v, want %v", err, broken)
	}
}

func BenchmarkVerifyPath(b *testing.B) {
	key := seeded(1)
	j := newJudge(1)
	p, err := verify.New(verify.Config{NewHasher: func(int) (verify.Hasher, error) { return &sha{width: 1}, nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close(context.Background())
	s := honest(key, j, 1)
	b.ReportAllocs()
	for b.Loop() {
		s.Received = time.Now()
		p.Submit(s)
		<-j.all
	}
}

// slowRule is a hasher whose batch rule waits, as the RandomX manager's lock may
// make it wait while a cache is exchanged.
type slowRule struct {
	sha
	asked, answer chan struct{}
}

func (h *slowRule) Batch(key pow.Key) (int, bool) {
	h.asked <- struct{}{}
	<-h.answer
	return h.sha.Batch(key)
}

// TestSubmitDoesNotWaitForTheBatchRule: an event loop never waits for what a
// hasher's batch rule waits for, neither with a share nor for a metric.
func TestSubmitDoesNotWaitForTheBatchRule(t *testing.T) {
	defer goleak.VerifyNone(t)
	key := seeded(1)
	j := newJudge(8)
	h := &slowRule{sha: sha{width: 4}, asked: make(chan struct{}, 64), answer: make(chan struct{})}
	p := start(t, h, verify.Config{})
	p.Submit(honest(key, j, 1))
	<-h.asked // the worker is in the rule now
	submitted := make(chan int)
	go func() {
		p.Submit(honest(key, j, 2))
		submitted <- p.Depth()
	}()
	select {
	case depth := <-submitted:
		if depth != 2 {
			t.Errorf("%d shares wait, want 2", depth)
		}
	case <-time.After(20 * time.Second):
		t.Error("Submit waits for the hasher's batch rule")
	}
	close(h.answer)
	for range 2 {
		if s := j.next(t); s.Verdict != validator.Accepted {
			t.Errorf("verdict %v", s.Verdict)
		}
	}
	p.Close(context.Background())
}
