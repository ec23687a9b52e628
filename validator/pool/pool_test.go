package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
	"github.com/assay-pool/assay/validator/pool"
)

func newPool(t *testing.T, w *world) *pool.Pool {
	t.Helper()
	p, err := pool.New(pool.Config{
		Name: "main", Coin: jobtest.Profile(t), Prefix: 9,
		Books: w, Blocks: blocks{w}, Seeds: w, Chain: w, Verifier: verifier{w},
		JobsPerSession: 4, Templates: 4, StaleGrace: time.Second, TemplateMaxAge: time.Hour,
		SeedWait: 50 * time.Millisecond, SubmitTimeout: 10 * time.Second, Submissions: 2, Addresses: 16,
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func TestAcceptPublishesWhenTheSeedIsReady(t *testing.T) {
	w := newWorld()
	p := newPool(t, w)
	var published []*job.Template
	p.Subscribe(func(t *job.Template) { published = append(published, t) })
	offer := jobtest.Offer(t, 5)
	ctx := context.Background()

	if err := p.Ready(); !errors.Is(err, pool.ErrNoTemplate) {
		t.Errorf("ready without a template: %v", err)
	}
	if err := p.Accept(ctx, offer); err == nil || len(published) != 0 {
		t.Errorf("a seed the chain cannot confirm was used: %v", err)
	}
	w.chain[offer.SeedHeight] = [32]byte{6}
	var refusal *job.Refusal
	if err := p.Accept(ctx, offer); !errors.As(err, &refusal) || refusal.Reason != "seed" || len(w.announced) != 0 {
		t.Errorf("a seed that is not the chain's: %v, announced %d", err, len(w.announced))
	}
	w.chain[offer.SeedHeight] = offer.Seed
	if err := p.Accept(ctx, offer); !errors.Is(err, context.DeadlineExceeded) || len(published) != 0 {
		t.Errorf("a template was published before its seed was ready: %v", err)
	}
	w.seeds[offer.Seed] = true
	if err := p.Accept(ctx, offer); err != nil || len(published) != 1 || p.Board().Current() != published[0] {
		t.Fatalf("accept: %v, %d published", err, len(published))
	}
	if last := w.announced[len(w.announced)-1]; last != [2][32]byte{offer.Seed, {}} {
		t.Errorf("announced %x", last)
	}
	if err := p.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}

	// The daemon changes its mind about the epoch's seed: the chain decides.
	liar := *offer
	liar.Seed = [32]byte{66}
	w.seeds[liar.Seed] = true
	if err := p.Accept(ctx, &liar); !errors.As(err, &refusal) || len(published) != 1 {
		t.Errorf("another seed for the same height: %v", err)
	}
	// An algorithm the node has no kernel for is refused by name.
	without, err := pool.New(pool.Config{
		Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: blocks{w}, Verifier: verifier{w}, Seeds: w, Chain: w,
		Supports: func(a algo.ID) error { return errors.New(a.String() + " is not built in") },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer without.Close(ctx)
	if err := without.Accept(ctx, offer); !errors.As(err, &refusal) || refusal.Reason != "algorithm" || !strings.Contains(err.Error(), "rx/0") {
		t.Errorf("an algorithm without a kernel: %v", err)
	}

	// Garbage leaves the board as it was.
	bad := *offer
	bad.Height++
	if err := p.Accept(ctx, &bad); !errors.As(err, &refusal) || p.Board().Current() != published[0] {
		t.Errorf("garbage: %v", err)
	}
}

// TestNextSeedIsTheChains: a next seed that the chain does not confirm is neither
// built nor told to miners, and is no reason to leave the template.
func TestNextSeedIsTheChains(t *testing.T) {
	w := newWorld()
	profile := *jobtest.Profile(t)
	profile.SeedLag = 1800 // the block is among the last of its epoch
	p, err := pool.New(pool.Config{Name: "main", Coin: &profile, Books: w, Blocks: blocks{w}, Seeds: w, Chain: w, Verifier: verifier{w}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	offer := jobtest.Offer(t, 5)
	offer.SeedHeight = profile.SeedHeight(offer.Height)
	w.chain[offer.SeedHeight], w.seeds[offer.Seed] = offer.Seed, true
	height := profile.NextSeedHeight(offer.Height)
	if height == offer.SeedHeight {
		t.Fatal("no next seed is known at this height")
	}
	next := [32]byte{77}
	for _, tt := range []struct {
		name  string
		block *[32]byte // the chain has at the next seed's height
		want  [32]byte
	}{
		{"nobody can be asked", nil, [32]byte{}},
		{"another block", &[32]byte{78}, [32]byte{}},
		{"the chain's", &next, next},
	} {
		delete(w.chain, height)
		if tt.block != nil {
			w.chain[height] = *tt.block
		}
		offer.NextSeed = next
		if err := p.Accept(context.Background(), offer); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if last := w.announced[len(w.announced)-1]; last != [2][32]byte{offer.Seed, tt.want} {
			t.Errorf("%s: announced %x", tt.name, last)
		}
		if got := p.Board().Current().NextSeed; got != tt.want {
			t.Errorf("%s: miners are told of %x", tt.name, got)
		}
	}
}

// TestRefusedBlockDropsItsTemplate: what cannot become a block is no work, and
// the pool says so until another template comes; a rival's block or a daemon
// that does not answer drops nothing.
func TestRefusedBlockDropsItsTemplate(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		drop bool
	}{
		{"refused", fmt.Errorf("%w by d: Block not accepted", pool.ErrRefused), true},
		{"a rival came first", errors.New("d has another block of that height"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.block = true
			w.submit = func(context.Context) (string, error) { return "", tt.err }
			p := newPool(t, w)
			offer := jobtest.Offer(t, 5)
			w.chain[offer.SeedHeight], w.seeds[offer.Seed] = offer.Seed, true
			if err := p.Accept(context.Background(), offer); err != nil {
				t.Fatal(err)
			}
			first := p.Board().Current()
			p.Submit(share(first, w, 1))
			<-w.settled
			if dropped := p.Board().Current() == nil; dropped != tt.drop {
				t.Errorf("dropped: %v", dropped)
			}
			if err := p.Ready(); (err != nil) != tt.drop || err != nil && !strings.Contains(err.Error(), "refused") {
				t.Errorf("ready: %v", err)
			}
			if err := p.Accept(context.Background(), offer); err != nil || p.Board().Current() == nil || p.Ready() != nil {
				t.Errorf("the next template: %v, ready: %v", err, p.Ready())
			}
		})
	}
}

func TestAcceptWithoutSeeds(t *testing.T) {
	w := newWorld()
	p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: blocks{w}, Verifier: verifier{w}, Addresses: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	if err := p.Accept(context.Background(), jobtest.Offer(t, 1)); err == nil {
		t.Error("a RandomX template was taken with nothing to hash it")
	}
	if _, err := pool.New(pool.Config{}); err == nil {
		t.Error("a pool without parts was made")
	}
}

// TestJudgedOrder: the books have the credit of a block's share before the block,
// whether its share is answered meanwhile or later; and a block is found whatever
// becomes of the credit.
func TestJudgedOrder(t *testing.T) {
	tests := []struct {
		name    string
		verdict validator.Verdict
		block   bool
		full    error
		held    bool // the credit is committed in the end
		events  []string
		final   validator.Verdict
	}{
		{"accepted", validator.Accepted, false, nil, false, []string{"credit", "reply"}, validator.Accepted},
		{"accepted later", validator.Accepted, false, nil, true, []string{"credit", "reply"}, validator.Accepted},
		{"rejected", validator.RejectBadHash, false, nil, false, []string{"reject bad_hash", "reply"}, validator.RejectBadHash},
		{"shed", validator.ShedEpoch, false, nil, false, []string{"reject epoch", "reply"}, validator.ShedEpoch},
		{"block", validator.Accepted, true, nil, false, []string{"credit", "reply", "found"}, validator.Accepted},
		{"block, committed later", validator.Accepted, true, nil, true, []string{"credit", "found", "reply"}, validator.Accepted},
		{"no credit", validator.Accepted, false, errFull, false, []string{"credit", "reject ledger_full", "reply"}, validator.ShedLedger},
		{"no credit, later", validator.Accepted, false, errFull, true, []string{"credit", "reject ledger_full", "reply"}, validator.ShedLedger},
		{"a block without credit", validator.Accepted, true, errFull, false, []string{"credit", "reject ledger_full", "reply", "found"}, validator.ShedLedger},
		{"a block without credit, later", validator.Accepted, true, errFull, true, []string{"credit", "found", "reject ledger_full", "reply"}, validator.ShedLedger},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.verdict, w.block, w.full = tt.verdict, tt.block, tt.full
			if tt.held {
				w.hold = make(chan *pool.Share, 1)
			}
			p := newPool(t, w)
			p.Submit(share(jobtest.Template(t, 1), w, 1))
			if tt.held {
				if w.mu.Lock(); slices.Contains(w.events, "reply") {
					t.Error("answered before the credit was committed")
				}
				w.mu.Unlock()
				(<-w.hold).Committed(tt.full)
			}
			if tt.block {
				if got := next(t, w.settled); got != "accepted by daemon-1" {
					t.Errorf("settled %q", got)
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			events := slices.DeleteFunc(slices.Clone(w.events), func(e string) bool { return e == "submit" }) // another goroutine's
			if !slices.Equal(events, tt.events) || w.answered != tt.final {
				t.Errorf("events %v, verdict %v; want %v, %v", events, w.answered, tt.events, tt.final)
			}
		})
	}
}

// TestFullBooksHashNothing: a share that could not be credited is not hashed,
// unless it claims to be a block.
func TestFullBooksHashNothing(t *testing.T) {
	w := newWorld()
	p := newPool(t, w)
	template := jobtest.Template(t, 1)
	submit := func(claim byte) {
		s := share(template, w, 1)
		s.Claim = [32]byte(bytes.Repeat([]byte{claim}, 32))
		if s.Goals.Chain[0].Meets(&s.Claim) != (claim == 0) {
			t.Fatalf("a claim of %02x is that of a block: %v", claim, claim != 0)
		}
		p.Submit(s)
	}
	submit(0xff)
	if n := w.hashed.Load(); n != 1 || w.answered != validator.Accepted {
		t.Fatalf("with room %d shares were hashed, verdict %v", n, w.answered)
	}
	w.full, w.events = errFull, nil
	submit(0xff)
	if n := w.hashed.Load(); n != 1 || w.answered != validator.ShedLedger {
		t.Errorf("without room %d shares were hashed, verdict %v", n-1, w.answered)
	}
	if want := []string{"reject ledger_full", "reply"}; !slices.Equal(w.events, want) {
		t.Errorf("events %v, want %v", w.events, want)
	}
	submit(0)
	if n := w.hashed.Load(); n != 2 {
		t.Error("a claim to be a block was not hashed")
	}
}

// TestCreditIsOfTheArrival: however long a share waited for its verdict, it is
// booked in the minute in which its work was done.
func TestCreditIsOfTheArrival(t *testing.T) {
	w := newWorld()
	w.block = true
	p := newPool(t, w)
	arrived := time.Now().Add(-90 * time.Second)
	s := share(jobtest.Template(t, 1), w, 1)
	s.Received = arrived
	p.Submit(s)
	<-w.settled
	if !w.credited.Equal(arrived) || !w.foundAt.Equal(arrived) {
		t.Errorf("credited at %v, the block found at %v, the share arrived at %v", w.credited, w.foundAt, arrived)
	}
}

// TestBlockOutcomes: a block is settled exactly once, or left open, whatever the daemons do,
// and the miner's answer never waits for them.
func TestBlockOutcomes(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	tests := []struct {
		name   string
		submit func(ctx context.Context) (string, error)
		want   string
	}{
		{"accepted", func(context.Context) (string, error) { return "d", nil }, "accepted by d"},
		{"rejected", func(context.Context) (string, error) { return "", errors.New("not enough work") }, "rejected: not enough work"},
		{"never answered", func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.block, w.submit = true, tt.submit
			p := newPool(t, w)
			p.Submit(share(jobtest.Template(t, 1), w, 1))
			w.mu.Lock()
			if !slices.Contains(w.events, "reply") {
				t.Errorf("not answered: %v", w.events)
			}
			w.mu.Unlock()
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			if err := p.Close(ctx); (err != nil) != (tt.want == "") {
				t.Errorf("close: %v", err)
			}
			settledAs(t, w, tt.want)
		})
	}
}

func TestWindowsAreUnique(t *testing.T) {
	p := newPool(t, newWorld())
	seen := make(map[uint32]bool)
	for range 1000 {
		w := p.NewWindow()
		if seen[w.Session()] {
			t.Fatalf("session number %d was given twice", w.Session())
		}
		seen[w.Session()] = true
	}
}
