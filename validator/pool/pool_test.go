package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
	"github.com/assay-pool/assay/validator/pool"
	"github.com/assay-pool/assay/validator/verify"
)

// world is everything around a pool, as one journal of what happened in order.
type world struct {
	mu     sync.Mutex
	events []string
	room   bool // the ledger takes credits
	// crowded: too many found blocks are not in the books.
	crowded bool
	kept    map[[32]byte]bool // on disk; guarded by mu

	seeds     map[[32]byte]bool // ready
	announced [][2][32]byte
	chain     map[uint64][32]byte
	submit    func(ctx context.Context) (string, error)
	settled   chan string
	verdict   validator.Verdict // what the verifier will say
	block     bool
	credited  time.Time // of the last credit
	foundAt   time.Time // of the last block
	hashed    atomic.Int32
}

func newWorld() *world {
	return &world{
		room: true, kept: make(map[[32]byte]bool), seeds: make(map[[32]byte]bool), chain: make(map[uint64][32]byte),
		settled: make(chan string, 16), verdict: validator.Accepted,
		submit: func(context.Context) (string, error) { return "daemon-1", nil },
	}
}

func (w *world) note(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

func (w *world) Credit(_, _ string, _ uint64, arrived time.Time) bool {
	w.credited = arrived
	if w.room {
		w.note("credit")
	}
	return w.room
}
func (w *world) Reject(_, _ string, v validator.Verdict) { w.note("reject " + v.String()) }
func (w *world) Takes(_, _ string, _ time.Time) bool     { return w.room }
func (w *world) Found(b pool.Block) (pool.Settler, bool) {
	w.foundAt = b.Time
	w.note("found")
	return (*settler)(w), !w.crowded
}
func (w *world) Reopen(pool.Block) pool.Settler { w.note("reopened"); return (*settler)(w) }

type settler world

func (s *settler) Accepted(daemon string) { s.settled <- "accepted by " + daemon }
func (s *settler) Rejected(reason string) { s.settled <- "rejected: " + reason }
func (s *settler) LeaveOpen()             { s.settled <- "left open" }

// Keep and Drop are the disk's.
func (w *world) Keep(_ context.Context, b pool.Block, _ []byte) error {
	w.note("keep")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept[b.ID] = true
	return nil
}

func (w *world) Drop(id [32]byte) {
	w.note("drop")
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.kept, id)
}

func (w *world) disk() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.kept)
}

type blocks struct{ *world }

func (b blocks) Submit(ctx context.Context, _ [32]byte, _ []byte) (string, error) {
	b.note("submit")
	return b.submit(ctx)
}

func (blocks) Locate(context.Context, [32]byte) pool.Location { return pool.Location{} }

type verifier struct{ *world }

func (v verifier) Submit(s *verify.Share) {
	v.hashed.Add(1)
	s.Verdict, s.Block = v.verdict, v.block
	s.Sink.Judged(s)
}

func (w *world) Reply(*verify.Share) { w.note("reply") }

func (w *world) Announce(_ string, current, next [32]byte) {
	w.announced = append(w.announced, [2][32]byte{current, next})
}

func (w *world) Wait(ctx context.Context, seed [32]byte) error {
	if w.seeds[seed] {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) BlockID(_ context.Context, height uint64) ([32]byte, error) {
	id, ok := w.chain[height]
	if !ok {
		return id, errors.New("no such block")
	}
	return id, nil
}

func newPool(t *testing.T, w *world) *pool.Pool {
	t.Helper()
	p, err := pool.New(pool.Config{
		Name: "main", Coin: jobtest.Profile(t), Prefix: 9,
		Ledger: w, Blocks: blocks{w}, Seeds: w, Chain: w, Verifier: verifier{w},
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
		Name: "main", Coin: jobtest.Profile(t), Ledger: w, Blocks: blocks{w}, Verifier: verifier{w}, Seeds: w, Chain: w,
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
	p, err := pool.New(pool.Config{Name: "main", Coin: &profile, Ledger: w, Blocks: blocks{w}, Seeds: w, Chain: w, Verifier: verifier{w}})
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
			p.Submit(&verify.Share{Template: first, Received: time.Now(), Origin: w})
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
	p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Ledger: w, Blocks: blocks{w}, Verifier: verifier{w}, Addresses: 16})
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

func TestJudgedOrder(t *testing.T) {
	tests := []struct {
		name    string
		verdict validator.Verdict
		block   bool
		room    bool
		events  []string
		final   validator.Verdict
	}{
		{"accepted", validator.Accepted, false, true, []string{"credit", "reply"}, validator.Accepted},
		{"rejected", validator.RejectBadHash, false, true, []string{"reject bad_hash", "reply"}, validator.RejectBadHash},
		{"block", validator.Accepted, true, true, []string{"credit", "found", "reply"}, validator.Accepted},
		{"no room", validator.Accepted, false, false, []string{"reject ledger_full", "reply"}, validator.ShedLedger},
		{"a block without room", validator.Accepted, true, false, []string{"found", "reject ledger_full", "reply"}, validator.ShedLedger},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.verdict, w.block, w.room = tt.verdict, tt.block, tt.room
			p := newPool(t, w)
			s := &verify.Share{Template: jobtest.Template(t, 1), Difficulty: 5, Received: time.Now(), Origin: w}
			p.Submit(s)
			if tt.block {
				if got := <-w.settled; got != "accepted by daemon-1" {
					t.Errorf("settled %q", got)
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			events := slices.DeleteFunc(slices.Clone(w.events), func(e string) bool { return e == "submit" }) // another goroutine's
			if !slices.Equal(events, tt.events) || s.Verdict != tt.final {
				t.Errorf("events %v, verdict %v; want %v, %v", events, s.Verdict, tt.events, tt.final)
			}
		})
	}
}

// TestFullLedgerHashesNothing: a share that could not be credited is not hashed,
// unless it claims to be a block.
func TestFullLedgerHashesNothing(t *testing.T) {
	w := newWorld()
	p := newPool(t, w)
	template := jobtest.Template(t, 1)
	share := &verify.Share{Template: template, Received: time.Now(), Origin: w, Claim: [32]byte(bytes.Repeat([]byte{0xff}, 32))}
	if template.Difficulty.Meets(&share.Claim) {
		t.Fatal("the claim is one of a block")
	}
	p.Submit(share)
	if n := w.hashed.Load(); n != 1 || share.Verdict != validator.Accepted {
		t.Fatalf("with room %d shares were hashed, verdict %v", n, share.Verdict)
	}
	w.room, w.events = false, nil
	p.Submit(share)
	if n := w.hashed.Load(); n != 1 || share.Verdict != validator.ShedLedger {
		t.Errorf("without room %d shares were hashed, verdict %v", n-1, share.Verdict)
	}
	if want := []string{"reject ledger_full", "reply"}; !slices.Equal(w.events, want) {
		t.Errorf("events %v, want %v", w.events, want)
	}
	share.Claim = [32]byte{}
	p.Submit(share)
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
	p.Submit(&verify.Share{
		Template: jobtest.Template(t, 1), Wallet: "wallet", Worker: "worker", Difficulty: 1000, Origin: w,
		Received: arrived,
	})
	<-w.settled
	if !w.credited.Equal(arrived) || !w.foundAt.Equal(arrived) {
		t.Errorf("credited at %v, the block found at %v, the share arrived at %v", w.credited, w.foundAt, arrived)
	}
}

// TestBlockOutcomes: a block is settled exactly once, whatever the daemons do,
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
		{"never answered", func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }, "left open"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			w.block, w.submit = true, tt.submit
			p := newPool(t, w)
			p.Submit(&verify.Share{Template: jobtest.Template(t, 1), Received: time.Now(), Origin: w})
			w.mu.Lock()
			if !slices.Contains(w.events, "reply") {
				t.Errorf("not answered: %v", w.events)
			}
			w.mu.Unlock()
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			p.Close(ctx)
			if got := <-w.settled; got != tt.want || len(w.settled) != 0 {
				t.Errorf("settled %q and %d more, want %q once", got, len(w.settled), tt.want)
			}
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
