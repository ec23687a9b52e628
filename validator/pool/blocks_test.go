package pool_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/validator/job/jobtest"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// patience is how long a test waits for something that must come.
const patience = 60 * time.Second

// slow daemons take blocks down in order and answer when they are released.
type slow struct {
	mu      sync.Mutex
	ids     [][32]byte
	release chan struct{}
}

func (s *slow) Submit(ctx context.Context, id [32]byte, _ []byte) (string, error) {
	s.mu.Lock()
	s.ids = append(s.ids, id)
	s.mu.Unlock()
	select {
	case <-s.release:
		return "slow", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// lines is a log a test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func next(t *testing.T, settled <-chan string) string {
	t.Helper()
	select {
	case s := <-settled:
		return s
	case <-time.After(patience):
		t.Fatalf("no block settled within %s", patience)
		return ""
	}
}

func counter(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestFoundNeverWaits: daemons that hang cost blocks beyond the queue, never a
// hash worker's time (I9); what is queued is submitted in the order it was
// found.
func TestFoundNeverWaits(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const queue, given = 4, 6 // one on its way, four wait, one too many
	w := newWorld()
	w.block = true
	daemons := &slow{release: make(chan struct{})}
	reg, log := prometheus.NewRegistry(), &lines{}
	p, err := pool.New(pool.Config{
		Name: "main", Coin: jobtest.Profile(t), Ledger: w, Blocks: daemons, Verifier: verifier{w}, Addresses: 16,
		Submissions: 1, FoundBlocks: queue, SubmitTimeout: time.Hour, Registerer: reg, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	template := jobtest.Template(t, 1)
	var want [][32]byte
	var shed []byte
	done := make(chan struct{})
	go func() { // the hash worker
		defer close(done)
		for i := range given {
			s := &verify.Share{Template: template, Nonce: uint32(i), Received: time.Now(), Origin: w}
			id, block := verify.Block(s)
			want, shed = append(want, id), block
			p.Submit(s)
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		close(daemons.release)
		<-done
		t.Fatal("the worker waited for the daemons")
	}
	if n := counter(t, reg, "assay_blocks_waiting"); n != queue {
		t.Errorf("%v blocks wait, want %d", n, queue)
	}
	if got := next(t, w.settled); !strings.HasPrefix(got, "rejected: too many") {
		t.Errorf("the block too many: %q", got)
	}
	if !strings.Contains(log.String(), hex.EncodeToString(shed)) {
		t.Error("the bytes of the block that was given up are not in the log")
	}
	close(daemons.release)
	for range given - 1 {
		if got := next(t, w.settled); got != "accepted by slow" {
			t.Errorf("settled %q", got)
		}
	}
	p.Close(context.Background())
	if !slices.Equal(daemons.ids, want[:given-1]) {
		t.Errorf("submitted %x, found %x", daemons.ids, want)
	}
	for name, n := range map[string]float64{"found": given, "accepted": given - 1, "rejected": 1, "shed": 1} {
		if got := counter(t, reg, "assay_blocks_"+name+"_total"); got != n {
			t.Errorf("%v blocks %s, want %v", got, name, n)
		}
	}
}

// answers of the chain, one per question; the last one stays.
type answers struct {
	mu    sync.Mutex
	asked chan [32]byte // capacity 16
	list  []error
}

func (a *answers) OnChain(_ context.Context, id [32]byte) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.list[0]
	if len(a.list) > 1 {
		a.list = a.list[1:]
	}
	select {
	case a.asked <- id:
	default:
	}
	return "chain", err
}

// TestUnknownFate: a block nobody gave a definite answer for is looked for on
// the chain before it is booked as rejected.
func TestUnknownFate(t *testing.T) {
	absent := errors.New("no such block")
	unknown := fmt.Errorf("%w: timeout", pool.ErrUnknownFate)
	tests := []struct {
		name   string
		submit error
		chain  []error // nil = the pool has nobody to ask
		wait   time.Duration
		close  bool // before the fate is known
		want   string
	}{
		{"on the chain later", unknown, []error{absent, absent, nil}, time.Hour, false, "accepted by chain"},
		{"on the chain at the last moment", unknown, []error{nil}, time.Nanosecond, false, "accepted by chain"},
		{"never on the chain", unknown, []error{absent}, time.Nanosecond, false, "rejected: no daemon gave a definite answer: timeout, and it was not seen on the chain within 1ns: no such block"},
		{"closed, on the chain", unknown, []error{absent, nil}, time.Hour, true, "accepted by chain"},
		{"closed, not on the chain", unknown, []error{absent}, time.Hour, true, "rejected: no daemon gave a definite answer: timeout, and it was not seen on the chain before the pool was closed: no such block"},
		{"nobody to ask", unknown, nil, time.Hour, false, "rejected: no daemon gave a definite answer: timeout"},
		{"refused", errors.New("not enough work"), []error{nil}, time.Hour, false, "rejected: not enough work"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			w := newWorld()
			w.block, w.submit = true, func(context.Context) (string, error) { return "", tt.submit }
			reg, log := prometheus.NewRegistry(), &lines{}
			cfg := pool.Config{
				Name: "main", Coin: jobtest.Profile(t), Ledger: w, Blocks: blocks{w}, Verifier: verifier{w}, Addresses: 16,
				FateTimeout: tt.wait, Registerer: reg, Log: slog.New(slog.NewTextHandler(log, nil)),
			}
			chain := &answers{asked: make(chan [32]byte, 16), list: tt.chain}
			if tt.chain != nil {
				cfg.Fates = chain
			}
			p, err := pool.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			s := &verify.Share{Template: jobtest.Template(t, 1), Received: time.Now(), Origin: w}
			id, block := verify.Block(s)
			p.Submit(s)
			if tt.close {
				<-chain.asked
				p.Close(context.Background())
			}
			if got := next(t, w.settled); got != tt.want {
				t.Errorf("settled %q, want %q", got, tt.want)
			}
			p.Close(context.Background())
			if n := len(w.settled); n != 0 {
				t.Errorf("settled %d times more", n)
			}
			if n := strings.Count(log.String(), hex.EncodeToString(block)); n != 1 {
				t.Errorf("the block's bytes are in the log %d times", n)
			}
			watched := errors.Is(tt.submit, pool.ErrUnknownFate) && tt.chain != nil
			if n := counter(t, reg, "assay_blocks_unanswered_total"); (n == 1) != watched {
				t.Errorf("%v blocks unanswered", n)
			}
			if n := counter(t, reg, "assay_blocks_watched"); n != 0 {
				t.Errorf("%v blocks still watched", n)
			}
			if watched && !tt.close && <-chain.asked != id {
				t.Error("the chain was asked for another block")
			}
			if len(chain.asked) > 0 && !watched {
				t.Error("the chain was asked for a block with a definite answer")
			}
		})
	}
}

// TestCloseWithBlocksWaiting: the queue is settled too when Close's patience is
// over.
func TestCloseWithBlocksWaiting(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := newWorld()
	w.block, w.submit = true, func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	p := newPool(t, w)
	template := jobtest.Template(t, 1)
	for i := range 8 {
		p.Submit(&verify.Share{Template: template, Nonce: uint32(i), Received: time.Now(), Origin: w})
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	p.Close(over)
	if n := len(w.settled); n != 8 {
		t.Errorf("%d of 8 blocks settled", n)
	}
}
