package pool_test

import (
	"bytes"
	"context"
	"encoding/hex"
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

func (s *slow) Locate(context.Context, [32]byte) pool.Location { return pool.Location{} }

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
		Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: daemons, Verifier: verifier{w}, Addresses: 16,
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
			s := share(template, w, uint32(i))
			id, block := pool.WholeBlock(s)
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

// TestFoundOnce: a proven block that comes again, by whatever way, is not
// submitted again, nor written down.
func TestFoundOnce(t *testing.T) {
	w := newWorld()
	w.block, w.full = true, errFull // the case of a full disk: its miner is told to try again
	reg := prometheus.NewRegistry()
	p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: blocks{w}, Verifier: verifier{w}, Addresses: 16, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	template := jobtest.Template(t, 1)
	for range 3 {
		p.Submit(share(template, w, 7))
	}
	p.Submit(share(template, w, 8))
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := len(w.settled); n != 2 || w.unsettled() != 0 {
		t.Errorf("%d blocks were settled and %d are open, 2 were found", n, w.unsettled())
	}
	if found, known := counter(t, reg, "assay_blocks_found_total"), counter(t, reg, "assay_blocks_known_total"); found != 2 || known != 2 {
		t.Errorf("%v found and %v known already, want 2 and 2", found, known)
	}
}
