package verify

import (
	"slices"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator/job"
)

// seeded is a template of which only the key matters.
func seeded(seed byte) *job.Template {
	return &job.Template{Algo: algo.RX0, Seed: [32]byte{seed}}
}

func queued(t *job.Template, nonce uint32, age time.Duration) *Share {
	return &Share{Template: t, Nonce: nonce, Received: time.Now().Add(-age)}
}

func fixed(width int, wait time.Duration) batchRule {
	return func(pow.Key) (int, time.Duration) { return width, wait }
}

func nonces(batch []*Share) []uint32 {
	var out []uint32
	for _, s := range batch {
		out = append(out, s.Nonce)
	}
	return out
}

// took is the next batch of a queue in which nothing is late.
func took(q *queue, rule batchRule) []*Share {
	batch, late, _ := q.take(nil, nil, rule)
	if len(late) != 0 {
		panic("late shares in a queue with an hour's deadline")
	}
	return batch
}

func mustPush(t *testing.T, q *queue, shares ...*Share) {
	t.Helper()
	for _, s := range shares {
		if out, closed := q.push(s); out != nil || closed {
			t.Fatalf("push nonce %d: out %v, closed %v", s.Nonce, out, closed)
		}
	}
}

func expect(t *testing.T, got []*Share, want ...uint32) {
	t.Helper()
	n := nonces(got)
	if len(n) != len(want) {
		t.Fatalf("batch %v, want %v", n, want)
	}
	for i := range want {
		if n[i] != want[i] {
			t.Fatalf("batch %v, want %v", n, want)
		}
	}
}

func TestQueueBatchesOneKeyOldestFirst(t *testing.T) {
	q := newQueue(10, 10, time.Hour)
	a, b := seeded(1), seeded(2)
	mustPush(t, q, queued(b, 20, 2*time.Second), queued(a, 10, 3*time.Second),
		queued(b, 21, time.Second), queued(a, 11, 0))
	expect(t, took(q, fixed(8, 0)), 10, 11)
	expect(t, took(q, fixed(8, 0)), 20, 21)
	if shares, hosts := q.depth(classShare); shares != 0 || hosts != 0 {
		t.Fatalf("depth %d of %d hosts after all were taken", shares, hosts)
	}
}

func TestQueueCandidatesFirst(t *testing.T) {
	q := newQueue(10, 1, time.Hour)
	tmpl := seeded(1)
	first, second := queued(tmpl, 7, 0), queued(tmpl, 8, 0)
	first.Candidate, second.Candidate = true, true
	mustPush(t, q, queued(tmpl, 1, time.Minute), first, second)
	expect(t, took(q, fixed(8, time.Hour)), 7)
	// The second found its class full and has a turn of its own, for which it waits
	// no more than for company: nor does the share while it waits.
	expect(t, took(q, fixed(2, time.Hour)), 8)
	expect(t, took(q, fixed(2, 0)), 1)
	if second.Candidate {
		t.Error("a candidate without a place among candidates still counts as one")
	}
}

// TestQueueClaimsDoNotStarve: however many claims come, plain shares have every
// second turn, and those that are late are shed before anything is served.
func TestQueueClaimsDoNotStarve(t *testing.T) {
	q := newQueue(100, 100, time.Minute)
	tmpl := seeded(1)
	claim := func(nonce uint32) *Share {
		s := queued(tmpl, nonce, 0)
		s.Candidate = true
		return s
	}
	for i := range uint32(10) {
		mustPush(t, q, claim(100+i))
	}
	mustPush(t, q, queued(tmpl, 1, time.Second), queued(tmpl, 2, time.Second), queued(tmpl, 3, 2*time.Minute))
	var order []uint32
	for range 5 { // share 3 is late, though it came last
		batch, late, ok := q.take(nil, nil, fixed(1, 0))
		if !ok {
			t.Fatal("the queue says it is closed")
		}
		for _, s := range late {
			order = append(order, s.Nonce+1000)
		}
		order = append(order, nonces(batch)...)
	}
	want := []uint32{1003, 100, 1, 101, 2, 102}
	if !slices.Equal(order, want) {
		t.Errorf("served %v, want %v", order, want)
	}
}

func TestQueueShedsLateWithoutWork(t *testing.T) {
	q := newQueue(10, 1, time.Minute)
	mustPush(t, q, queued(seeded(1), 1, time.Hour))
	batch, late, ok := q.take(nil, nil, fixed(8, time.Hour))
	if len(batch) != 0 || len(late) != 1 || !ok {
		t.Fatalf("batch %v, late %v, ok %v", nonces(batch), nonces(late), ok)
	}
	q.close()
	if batch, late, ok = q.take(nil, nil, fixed(8, time.Hour)); len(batch)+len(late) != 0 || ok {
		t.Fatalf("after the end: batch %v, late %v, ok %v", nonces(batch), nonces(late), ok)
	}
}

// TestQueueWakesForTheShortestRest: a batch whose wait is all but over when it
// is looked at must not sleep until the next arrival.
func TestQueueWakesForTheShortestRest(t *testing.T) {
	const wait = 200 * time.Microsecond
	for i := range 2000 {
		q := newQueue(10, 1, time.Hour)
		mustPush(t, q, queued(seeded(1), 1, wait-time.Duration(i%20)*time.Microsecond))
		got := make(chan []*Share, 1)
		go func() { got <- took(q, fixed(8, wait)) }()
		select {
		case <-got:
		case <-time.After(10 * time.Second):
			t.Fatal("a lone share was forgotten")
		}
	}
}

func TestQueueLimits(t *testing.T) {
	q := newQueue(2, 1, time.Hour)
	tmpl := seeded(1)
	mustPush(t, q, queued(tmpl, 1, 0), queued(tmpl, 2, 0))
	over := queued(tmpl, 3, 0)
	if out, closed := q.push(over); out != over || closed {
		t.Fatalf("push over the limit: out %v, closed %v", out, closed)
	}
	candidate := queued(tmpl, 4, 0)
	candidate.Candidate = true
	mustPush(t, q, candidate)
	expect(t, took(q, fixed(1, 0)), 4)
	expect(t, took(q, fixed(1, 0)), 1)
	mustPush(t, q, queued(tmpl, 5, 0))
	expect(t, took(q, fixed(9, 0)), 2, 5)
}

func TestQueueWaitsForCompany(t *testing.T) {
	q := newQueue(10, 1, time.Hour)
	tmpl := seeded(1)
	mustPush(t, q, queued(tmpl, 1, 0))
	got := make(chan []*Share)
	go func() { got <- took(q, fixed(2, time.Hour)) }()
	select {
	case batch := <-got:
		t.Fatalf("took %v without waiting for the batch to fill", nonces(batch))
	default:
	}
	mustPush(t, q, queued(tmpl, 2, 0))
	expect(t, <-got, 1, 2)

	// A batch that does not fill goes after its wait.
	mustPush(t, q, queued(tmpl, 3, 0))
	expect(t, took(q, fixed(2, time.Millisecond)), 3)
}

// TestQueueDoesNotWaitBeforeCandidate: where it is the plain shares' turn, a
// batch that is not full goes at once if a candidate waits behind it.
func TestQueueDoesNotWaitBeforeCandidate(t *testing.T) {
	q := newQueue(10, 2, time.Hour)
	tmpl := seeded(1)
	plain, first, second := queued(tmpl, 1, 0), queued(tmpl, 2, 0), queued(tmpl, 3, 0)
	first.Candidate, second.Candidate = true, true
	mustPush(t, q, first)
	expect(t, took(q, fixed(8, time.Hour)), 2)
	mustPush(t, q, plain, second)
	expect(t, took(q, fixed(8, time.Hour)), 1) // and does not hang
	expect(t, took(q, fixed(8, time.Hour)), 3)
}

// TestQueueSharesOutToIdle: a burst that would fit one worker's batch goes to
// all idle ones in equal parts, and none of them waits for company.
func TestQueueSharesOutToIdle(t *testing.T) {
	q := newQueue(100, 1, time.Hour)
	tmpl := seeded(1)
	const workers, width = 3, 10
	got := make(chan int, workers)
	for range workers {
		go func() { got <- len(took(q, fixed(width, time.Hour))) }()
	}
	for deadline := time.Now().Add(10 * time.Second); q.waiting() < workers; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d workers wait", q.waiting(), workers)
		}
	}
	for nonce := range uint32(width) {
		mustPush(t, q, queued(tmpl, nonce, 0))
	}
	var parts []int
	for range workers {
		parts = append(parts, <-got)
	}
	slices.Sort(parts)
	if !slices.Equal(parts, []int{3, 3, 4}) {
		t.Errorf("parts %v of %d shares", parts, width)
	}
	if q.waiting() != 0 {
		t.Errorf("%d workers still count as idle", q.waiting())
	}
}

// waiting is the number of idle workers.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.idle
}

func TestQueueCloseDrains(t *testing.T) {
	q := newQueue(10, 1, time.Hour)
	tmpl := seeded(1)
	mustPush(t, q, queued(tmpl, 1, 0))
	q.close()
	if out, closed := q.push(queued(tmpl, 2, 0)); out != nil || !closed {
		t.Fatalf("push after close: out %v, closed %v", out, closed)
	}
	expect(t, took(q, fixed(8, time.Hour)), 1)
	if batch := took(q, fixed(8, time.Hour)); len(batch) != 0 {
		t.Fatalf("took %v from a drained queue", nonces(batch))
	}
}
