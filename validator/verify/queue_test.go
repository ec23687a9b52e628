package verify

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/pow"
)

// defaults is a queue by the default rules.
func defaults(shares, candidates int, deadline time.Duration) *queue {
	return newQueue(DefaultRules(shares, candidates), deadline)
}

func seeded(seed byte) pow.Key { return pow.Key{Algo: algo.RX0, Seed: [32]byte{seed}} }

// queued is a plain share's task, which is told from others by its input, a number.
func queued(key pow.Key, nonce uint32, age time.Duration) *Task {
	t := &Task{Class: ClassShare, Received: time.Now().Add(-age)}
	t.Key = key
	t.SetInput(binary.LittleEndian.AppendUint32(nil, nonce))
	return t
}

func nonceOf(t *Task) uint32 { return binary.LittleEndian.Uint32(t.Input()) }

func fixed(width int, wait time.Duration) batchRule {
	return func(pow.Key) (int, time.Duration) { return width, wait }
}

func nonces(batch []*Task) []uint32 {
	var out []uint32
	for _, s := range batch {
		out = append(out, nonceOf(s))
	}
	return out
}

// took is the next batch of a queue in which nothing is late.
func took(q *queue, rule batchRule) []*Task {
	batch, late, _ := q.take(nil, nil, rule)
	if len(late) != 0 {
		panic("late shares in a queue with an hour's deadline")
	}
	return batch
}

func mustPush(t *testing.T, q *queue, shares ...*Task) {
	t.Helper()
	for _, s := range shares {
		if out, closed := q.push(s); out != nil || closed {
			t.Fatalf("push nonce %d: out %v, closed %v", nonceOf(s), out, closed)
		}
	}
}

func expect(t *testing.T, got []*Task, want ...uint32) {
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
	q := defaults(10, 10, time.Hour)
	a, b := seeded(1), seeded(2)
	mustPush(t, q, queued(b, 20, 2*time.Second), queued(a, 10, 3*time.Second),
		queued(b, 21, time.Second), queued(a, 11, 0))
	expect(t, took(q, fixed(8, 0)), 10, 11)
	expect(t, took(q, fixed(8, 0)), 20, 21)
	if shares, hosts := q.depth(ClassShare); shares != 0 || hosts != 0 {
		t.Fatalf("depth %d of %d hosts after all were taken", shares, hosts)
	}
}

func TestQueueCandidatesFirst(t *testing.T) {
	q := defaults(10, 1, time.Hour)
	key := seeded(1)
	first, second := queued(key, 7, 0), queued(key, 8, 0)
	first.Class, second.Class = ClassCandidate, ClassCandidate
	mustPush(t, q, queued(key, 1, time.Minute), first, second)
	expect(t, took(q, fixed(8, time.Hour)), 7)
	// The second found its class full and has a turn of its own, for which it waits
	// no more than for company: nor does the share while it waits.
	expect(t, took(q, fixed(2, time.Hour)), 8)
	expect(t, took(q, fixed(2, 0)), 1)
	if second.Class != ClassCrowded {
		t.Error("a candidate without a place among candidates still counts as one")
	}
}

// TestQueueClaimsDoNotStarve: however many claims come, plain shares have every
// second turn, and those that are late are shed before anything is served.
func TestQueueClaimsDoNotStarve(t *testing.T) {
	q := defaults(100, 100, time.Minute)
	key := seeded(1)
	claim := func(nonce uint32) *Task {
		s := queued(key, nonce, 0)
		s.Class = ClassCandidate
		return s
	}
	for i := range uint32(10) {
		mustPush(t, q, claim(100+i))
	}
	mustPush(t, q, queued(key, 1, time.Second), queued(key, 2, time.Second), queued(key, 3, 2*time.Minute))
	var order []uint32
	for range 5 { // share 3 is late, though it came last
		batch, late, ok := q.take(nil, nil, fixed(1, 0))
		if !ok {
			t.Fatal("the queue says it is closed")
		}
		for _, s := range late {
			order = append(order, nonceOf(s)+1000)
		}
		order = append(order, nonces(batch)...)
	}
	want := []uint32{1003, 100, 1, 101, 2, 102}
	if !slices.Equal(order, want) {
		t.Errorf("served %v, want %v", order, want)
	}
}

func TestQueueShedsLateWithoutWork(t *testing.T) {
	q := defaults(10, 1, time.Minute)
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
		q := defaults(10, 1, time.Hour)
		mustPush(t, q, queued(seeded(1), 1, wait-time.Duration(i%20)*time.Microsecond))
		got := make(chan []*Task, 1)
		go func() { got <- took(q, fixed(8, wait)) }()
		select {
		case <-got:
		case <-time.After(10 * time.Second):
			t.Fatal("a lone share was forgotten")
		}
	}
}

func TestQueueLimits(t *testing.T) {
	q := defaults(2, 1, time.Hour)
	key := seeded(1)
	mustPush(t, q, queued(key, 1, 0), queued(key, 2, 0))
	over := queued(key, 3, 0)
	if out, closed := q.push(over); out != over || closed {
		t.Fatalf("push over the limit: out %v, closed %v", out, closed)
	}
	candidate := queued(key, 4, 0)
	candidate.Class = ClassCandidate
	mustPush(t, q, candidate)
	expect(t, took(q, fixed(1, 0)), 4)
	expect(t, took(q, fixed(1, 0)), 1)
	mustPush(t, q, queued(key, 5, 0))
	expect(t, took(q, fixed(9, 0)), 2, 5)
}

func TestQueueWaitsForCompany(t *testing.T) {
	q := defaults(10, 1, time.Hour)
	key := seeded(1)
	mustPush(t, q, queued(key, 1, 0))
	got := make(chan []*Task)
	go func() { got <- took(q, fixed(2, time.Hour)) }()
	select {
	case batch := <-got:
		t.Fatalf("took %v without waiting for the batch to fill", nonces(batch))
	default:
	}
	mustPush(t, q, queued(key, 2, 0))
	expect(t, <-got, 1, 2)

	// A batch that does not fill goes after its wait.
	mustPush(t, q, queued(key, 3, 0))
	expect(t, took(q, fixed(2, time.Millisecond)), 3)
}

// TestQueueDoesNotWaitBeforeCandidate: where it is the plain shares' turn, a
// batch that is not full goes at once if a candidate waits behind it.
func TestQueueDoesNotWaitBeforeCandidate(t *testing.T) {
	q := defaults(10, 2, time.Hour)
	key := seeded(1)
	plain, first, second := queued(key, 1, 0), queued(key, 2, 0), queued(key, 3, 0)
	first.Class, second.Class = ClassCandidate, ClassCandidate
	mustPush(t, q, first)
	expect(t, took(q, fixed(8, time.Hour)), 2)
	mustPush(t, q, plain, second)
	expect(t, took(q, fixed(8, time.Hour)), 1) // and does not hang
	expect(t, took(q, fixed(8, time.Hour)), 3)
}

// TestQueueSharesOutToIdle: a burst that would fit one worker's batch goes to
// all idle ones in equal parts, and none of them waits for company.
func TestQueueSharesOutToIdle(t *testing.T) {
	q := defaults(100, 1, time.Hour)
	key := seeded(1)
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
		mustPush(t, q, queued(key, nonce, 0))
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
	q := defaults(10, 1, time.Hour)
	key := seeded(1)
	mustPush(t, q, queued(key, 1, 0))
	q.close()
	if out, closed := q.push(queued(key, 2, 0)); out != nil || !closed {
		t.Fatalf("push after close: out %v, closed %v", out, closed)
	}
	expect(t, took(q, fixed(8, time.Hour)), 1)
	if batch := took(q, fixed(8, time.Hour)); len(batch) != 0 {
		t.Fatalf("took %v from a drained queue", nonces(batch))
	}
}
