package verify_test

import (
	"bytes"
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

	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
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
	seen map[*verify.Share]int
	all  chan *verify.Share
}

func newJudge(room int) *judge {
	return &judge{seen: make(map[*verify.Share]int), all: make(chan *verify.Share, room)}
}

func (j *judge) Judged(s *verify.Share) {
	j.mu.Lock()
	j.seen[s]++
	j.mu.Unlock()
	j.all <- s
}

func (j *judge) next(t *testing.T) *verify.Share {
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

// honest makes a share whose claim is its hash.
func honest(tmpl *job.Template, j *judge, nonce uint32) *verify.Share {
	s := &verify.Share{
		Template: tmpl, Extra: job.MakeExtra(job.Prefix{1}, 2, 3), Nonce: nonce, Difficulty: 1,
		Received: time.Now(), Sink: j,
	}
	s.Claim = sha256.Sum256(verify.AppendBlob(nil, tmpl, &s.Extra, nonce))
	return s
}

func TestVerdicts(t *testing.T) {
	defer goleak.VerifyNone(t)
	tmpl := jobtest.Template(t, 1)
	easy := jobtest.Offer(t, 1)
	easy.Difficulty = blob.FromUint64(1) // every hash is a block
	block, err := job.NewTemplate(jobtest.Profile(t), easy, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	j := newJudge(16)
	lie := honest(tmpl, j, 2)
	lie.Claim[0]++
	liedBlock := honest(block, j, 3)
	liedBlock.Claim, liedBlock.Candidate = [32]byte{}, true // "all zeros": better than any block
	found := honest(block, j, 4)
	found.Candidate = true
	late := honest(tmpl, j, 5)
	late.Received = time.Now().Add(-time.Minute)
	lateBlock := honest(block, j, 6)
	lateBlock.Received, lateBlock.Candidate = late.Received, true
	tests := []struct {
		name  string
		share *verify.Share
		want  validator.Verdict
		block bool
	}{
		{"honest", honest(tmpl, j, 1), validator.Accepted, false},
		{"wrong hash", lie, validator.RejectBadHash, false},
		{"forged block", liedBlock, validator.RejectBadHash, false},
		{"block", found, validator.Accepted, true},
		{"too late", late, validator.ShedDeadline, false},
		{"a block is never too late", lateBlock, validator.Accepted, true},
	}
	p := start(t, &sha{width: 4}, verify.Config{Deadline: 30 * time.Second})
	defer p.Close(context.Background())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.Submit(tt.share)
			got := j.next(t)
			if got != tt.share || got.Verdict != tt.want || got.Block != tt.block {
				t.Errorf("verdict %v, block %v; want %v, %v", got.Verdict, got.Block, tt.want, tt.block)
			}
		})
	}
}

// TestBlobIsWhatTheMinerHashed: nonce and extra nonce stand where they must.
func TestBlobIsWhatTheMinerHashed(t *testing.T) {
	tmpl := jobtest.Template(t, 1)
	extra := job.MakeExtra(job.Prefix{1, 2, 3, 4, 5, 6, 7, 8}, 0x05060708, 0x090a0b0c)
	b := verify.AppendBlob([]byte("before"), tmpl, &extra, 0xddccbbaa)
	hashing := b[len("before"):]
	if got := hashing[39:43]; !bytes.Equal(got, []byte{0xaa, 0xbb, 0xcc, 0xdd}) {
		t.Errorf("nonce bytes %x, want aabbccdd", got)
	}
	s := &verify.Share{Template: tmpl, Extra: extra, Nonce: 0xddccbbaa}
	id, block := verify.Block(s)
	if got := block[tmpl.ReservedOffset : tmpl.ReservedOffset+job.ExtraSize]; !bytes.Equal(got, extra[:]) {
		t.Errorf("the block's extra nonce is %x, want %x", got, extra)
	}
	if binary.LittleEndian.Uint32(block[tmpl.NonceOffset:]) != 0xddccbbaa {
		t.Error("the block has another nonce")
	}
	if id != blob.BlockID(hashing) {
		t.Error("the block's id is not that of its hashing blob")
	}
	again, err := blob.Parse(tmpl.Type, block, job.ExtraSize)
	if err != nil {
		t.Fatal(err)
	}
	if own := again.AppendHashing(nil, extra[:]); !bytes.Equal(own, hashing) {
		t.Errorf("the block hashes as %x, the miner hashed %x", own, hashing)
	}
}

// TestEveryShareIsJudgedOnce floods a small queue from several goroutines and
// closes it in the middle: accepted + rejected + shed = submitted (I1), and
// nothing is hashed twice (I12).
func TestEveryShareIsJudgedOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	const senders, each = 8, 500
	tmpls := []*job.Template{jobtest.Template(t, 1), jobtest.Template(t, 2)}
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
				p.Submit(honest(tmpls[i%2], j, uint32(s*each+i)))
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

func TestFullQueueSheds(t *testing.T) {
	defer goleak.VerifyNone(t)
	tmpl := jobtest.Template(t, 1)
	j := newJudge(64)
	h := &sha{width: 1, gate: make(chan struct{})}
	p := start(t, h, verify.Config{Queue: 2, Candidates: 1})
	shed := 0
	for i := range uint32(10) {
		p.Submit(honest(tmpl, j, i)) // one at the worker at most, two in the queue
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
	candidate := honest(tmpl, j, 99)
	candidate.Candidate = true
	p.Submit(candidate)
	close(h.gate)
	p.Close(context.Background())
	if candidate.Verdict != validator.Accepted {
		t.Errorf("a candidate at a full queue: %v", candidate.Verdict)
	}
	late := honest(tmpl, j, 100)
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
			tmpl := jobtest.Template(t, 1)
			j := newJudge(1 << 16)
			h := &sha{width: 1, gate: make(chan struct{})}
			p := start(t, h, verify.Config{Queue: 8})
			first := honest(tmpl, j, 0)
			p.Submit(first) // keeps the worker at the gate
			for p.Depth() != 0 {
				runtime.Gosched()
			}
			candidate := honest(tmpl, j, 1)
			candidate.Candidate = true
			waiting := []*verify.Share{honest(tmpl, j, 2), honest(tmpl, j, 3), candidate}
			for _, s := range waiting {
				p.Submit(s)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			closed := make(chan error, 1)
			go func() { closed <- p.Close(ctx) }()
			for probe := honest(tmpl, j, 9); probe.Verdict != validator.ShedShutdown; runtime.Gosched() {
				// Until Close has begun, probes queue up or find no room.
				probe = honest(tmpl, j, 9)
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
	tmpl := jobtest.Template(t, 1)
	for _, tt := range []struct {
		err  error
		want validator.Verdict
	}{
		{pow.ErrEpoch, validator.ShedEpoch},
		{errors.New("no memory"), validator.ShedError},
	} {
		j := newJudge(1)
		p := start(t, &sha{width: 1, fail: tt.err}, verify.Config{})
		p.Submit(honest(tmpl, j, 1))
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
	tmpl := jobtest.Template(b, 1)
	j := newJudge(1)
	p, err := verify.New(verify.Config{NewHasher: func(int) (verify.Hasher, error) { return &sha{width: 1}, nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close(context.Background())
	s := honest(tmpl, j, 1)
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
	tmpl := jobtest.Template(t, 1)
	j := newJudge(8)
	h := &slowRule{sha: sha{width: 4}, asked: make(chan struct{}, 64), answer: make(chan struct{})}
	p := start(t, h, verify.Config{})
	p.Submit(honest(tmpl, j, 1))
	<-h.asked // the worker is in the rule now
	submitted := make(chan int)
	go func() {
		p.Submit(honest(tmpl, j, 2))
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
