package verify

import (
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

func mustPush(t *testing.T, q *queue, shares ...*Share) {
	t.Helper()
	for _, s := range shares {
		if ok, closed := q.push(s); !ok || closed {
			t.Fatalf("push nonce %d: ok %v, closed %v", s.Nonce, ok, closed)
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
	q := newQueue(10, 10)
	a, b := seeded(1), seeded(2)
	mustPush(t, q, queued(b, 20, 2*time.Second), queued(a, 10, 3*time.Second),
		queued(b, 21, time.Second), queued(a, 11, 0))
	expect(t, q.take(nil, fixed(8, 0)), 10, 11)
	expect(t, q.take(nil, fixed(8, 0)), 20, 21)
	if q.depth(classShare) != 0 {
		t.Fatalf("depth %d after all were taken", q.depth(classShare))
	}
}

func TestQueueCandidatesFirst(t *testing.T) {
	q := newQueue(10, 1)
	tmpl := seeded(1)
	first, second := queued(tmpl, 7, 0), queued(tmpl, 8, 0)
	first.Candidate, second.Candidate = true, true
	mustPush(t, q, queued(tmpl, 1, time.Minute), first, second)
	expect(t, q.take(nil, fixed(8, time.Hour)), 7)
	// The second candidate found its class full and waits among the shares.
	expect(t, q.take(nil, fixed(2, time.Hour)), 1, 8)
}

func TestQueueLimits(t *testing.T) {
	q := newQueue(2, 1)
	tmpl := seeded(1)
	mustPush(t, q, queued(tmpl, 1, 0), queued(tmpl, 2, 0))
	if ok, closed := q.push(queued(tmpl, 3, 0)); ok || closed {
		t.Fatalf("push over the limit: ok %v, closed %v", ok, closed)
	}
	candidate := queued(tmpl, 4, 0)
	candidate.Candidate = true
	mustPush(t, q, candidate)
	expect(t, q.take(nil, fixed(1, 0)), 4)
	expect(t, q.take(nil, fixed(1, 0)), 1)
	mustPush(t, q, queued(tmpl, 5, 0))
	expect(t, q.take(nil, fixed(9, 0)), 2, 5)
}

func TestQueueWaitsForCompany(t *testing.T) {
	q := newQueue(10, 1)
	tmpl := seeded(1)
	mustPush(t, q, queued(tmpl, 1, 0))
	got := make(chan []*Share)
	go func() { got <- q.take(nil, fixed(2, time.Hour)) }()
	select {
	case batch := <-got:
		t.Fatalf("took %v without waiting for the batch to fill", nonces(batch))
	default:
	}
	mustPush(t, q, queued(tmpl, 2, 0))
	expect(t, <-got, 1, 2)

	// A batch that does not fill goes after its wait.
	mustPush(t, q, queued(tmpl, 3, 0))
	expect(t, q.take(nil, fixed(2, time.Millisecond)), 3)
}

func TestQueueCloseDrains(t *testing.T) {
	q := newQueue(10, 1)
	tmpl := seeded(1)
	mustPush(t, q, queued(tmpl, 1, 0))
	q.close()
	if ok, closed := q.push(queued(tmpl, 2, 0)); ok || !closed {
		t.Fatalf("push after close: ok %v, closed %v", ok, closed)
	}
	expect(t, q.take(nil, fixed(8, time.Hour)), 1)
	if batch := q.take(nil, fixed(8, time.Hour)); len(batch) != 0 {
		t.Fatalf("took %v from a drained queue", nonces(batch))
	}
}

func TestQueueReleasesShares(t *testing.T) {
	q := newQueue(1<<20, 1)
	tmpl := seeded(1)
	for i := range uint32(5000) {
		mustPush(t, q, queued(tmpl, i, time.Minute))
	}
	var batch []*Share
	for i := range uint32(20000) {
		batch = q.take(batch[:0], fixed(1, 0))
		expect(t, batch, i)
		mustPush(t, q, queued(tmpl, i+5000, 0))
	}
	if grown := cap(q.lanes[classShare][0].shares); grown > 16384 {
		t.Fatalf("a lane of 5000 shares that never empties holds room for %d", grown)
	}
	for range 5000 {
		batch = q.take(batch[:0], fixed(1, 0))
	}
	mustPush(t, q, queued(seeded(2), 1, 0))
	q.take(nil, fixed(1, 0))
	if _, _ = q.next(); len(q.lanes[classShare]) != 0 {
		t.Fatalf("%d empty lanes are kept", len(q.lanes[classShare]))
	}
}
