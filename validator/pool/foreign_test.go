package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
	"github.com/assay-pool/assay/validator/pool"
)

// tipWorld is a chain whose blocks can be asked for.
type tipWorld struct {
	*world
	mu     sync.Mutex
	blocks map[[32]byte][]byte // guarded by mu
	asked  map[[32]byte]int    // guarded by mu
	hold   chan struct{}       // a question waits until it is closed; nil = none
}

func (w *tipWorld) Block(ctx context.Context, id [32]byte) ([]byte, error) {
	w.mu.Lock()
	w.asked[id]++
	block, hold := w.blocks[id], w.hold
	w.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if block == nil {
		return nil, errors.New("no such block")
	}
	return block, nil
}

func (w *tipWorld) count(id [32]byte) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[id]
}

// onto is the offer on another parent.
func onto(o *job.Offer, prev [32]byte) *job.Offer {
	next := *o
	next.Prev = prev
	const prevAt = 7
	next.Blob, next.HashingBlob = append([]byte(nil), o.Blob...), append([]byte(nil), o.HashingBlob...)
	copy(next.Blob[prevAt:], prev[:])
	copy(next.HashingBlob[prevAt:], prev[:])
	return &next
}

// await polls until ok, and fails the test when it does not come.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

// TestForeignExtraNonce: the newest block is looked at once; one that has an extra
// nonce of this pool and is not its own raises the alarm, and no other does.
func TestForeignExtraNonce(t *testing.T) {
	w := &tipWorld{world: newWorld(), blocks: map[[32]byte][]byte{}, asked: map[[32]byte]int{}}
	offer := jobtest.Offer(t, 5)
	w.seeds[offer.Seed], w.chain[offer.SeedHeight] = true, offer.Seed
	w.verdict, w.block = validator.Accepted, true
	reg := prometheus.NewRegistry()
	p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Prefix: 9, Books: w, Blocks: blocks{w.world},
		Seeds: w, Chain: w, Verifier: verifier{w.world}, Tips: w, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	metric := func(name string) float64 {
		t.Helper()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		t.Fatalf("no metric %s", name)
		return 0
	}
	accept := func(prev [32]byte) {
		t.Helper()
		if err := p.Accept(context.Background(), onto(offer, prev)); err != nil {
			t.Fatal(err)
		}
	}
	tmpl := jobtest.Template(t, 5)
	// block is one with this extra nonce; its id.
	block := func(extra job.Extra, nonce uint32) (id [32]byte) {
		id, raw := pool.WholeBlock(shareOf(tmpl, extra, nonce))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.blocks[id] = raw
		return id
	}
	window := p.NewWindow()
	own := window.Extra(0)

	// Our own block is known, and not asked for.
	s := shareOf(tmpl, own, 1)
	s.Received, s.Origin = time.Now(), w.world
	mine, _ := pool.WholeBlock(s)
	p.Submit(s)
	<-w.settled
	accept(mine)
	// Blocks of other pools: other extra nonces, another form, and one nobody has.
	other := block(job.MakeExtra(job.NewPrefix(9), window.Session(), 0), 1)
	accept(other)
	await(t, "look at another pool's block", func() bool { return w.count(other) == 1 })
	accept(other) // fresh transactions on the same parent
	garbage := blob.BlockID([]byte("garbage"))
	w.mu.Lock()
	w.blocks[garbage] = []byte("garbage")
	w.mu.Unlock()
	missed := metric("assay_tips_missed_total") // our own block, if the other's came before it was looked at
	for _, id := range [][32]byte{garbage, {1, 2, 3}} {
		accept(id)
		missed++
		await(t, "missed tip", func() bool { return metric("assay_tips_missed_total") == missed })
	}
	// A daemon that gives another block for it proves nothing.
	instead := block(own, 77)
	w.mu.Lock()
	w.blocks[[32]byte{4}] = w.blocks[instead]
	w.mu.Unlock()
	accept([32]byte{4})
	await(t, "missed tip", func() bool { return metric("assay_tips_missed_total") == missed+1 })
	if n := metric("assay_foreign_extra_nonce_total"); n != 0 || w.count(mine) != 0 || w.count(other) != 1 {
		t.Fatalf("%v alarms, own block asked for %d times, another's %d times", n, w.count(mine), w.count(other))
	}

	// The same job, another nonce: somebody else has our jobs.
	accept(block(own, 2))
	await(t, "alarm", func() bool { return metric("assay_foreign_extra_nonce_total") == 1 })
	// A session that was never given out.
	never := p.NewWindow()
	extra := never.Extra(0)
	extra[job.PrefixSize] = 0xff
	accept(block(extra, 1))
	await(t, "alarm", func() bool { return metric("assay_foreign_extra_nonce_total") == 2 })
}

// TestTipsNeverWait: templates are published while no daemon answers for the tips.
func TestTipsNeverWait(t *testing.T) {
	w := &tipWorld{world: newWorld(), blocks: map[[32]byte][]byte{}, asked: map[[32]byte]int{}, hold: make(chan struct{})}
	offer := jobtest.Offer(t, 5)
	w.seeds[offer.Seed], w.chain[offer.SeedHeight] = true, offer.Seed
	p, err := pool.New(pool.Config{Name: "main", Coin: jobtest.Profile(t), Books: w, Blocks: blocks{w.world},
		Seeds: w, Chain: w, Verifier: verifier{w.world}, Tips: w})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := p.Accept(context.Background(), onto(offer, blob.BlockID(fmt.Append(nil, i)))); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "question", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.asked) > 0 })
	p.Close(context.Background()) // also ends the question under way
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) > 2 {
		t.Errorf("%d blocks were asked for at once", len(w.asked))
	}
}
