package ledger

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A flood of refused shares, which costs its sender nothing, takes bounded memory
// and is counted by its reasons all the same.
func TestRejectsAreBounded(t *testing.T) {
	const flood = maxRejects + 3000
	b, srv := startBed(t, slow)
	b.credit("honest", "0", 3)
	b.flush()
	srv.Pause()
	for i := range flood {
		b.l.Reject(fmt.Sprintf("spam%d", i%100), fmt.Sprint(i), "malformed")
		b.l.Reject("honest", "0", fmt.Sprint("reason", i%(2*maxReasons)))
	}
	if n := b.l.rejects.len(); n > maxRejects+maxReasons+1 {
		t.Errorf("%d entries wait, the bound is %d", n, maxRejects)
	}
	if n := testutil.ToFloat64(b.l.metrics.unnamed); n < flood-maxRejects || n > flood-maxRejects+maxReasons+1 {
		t.Errorf("%v counted by reason only", n)
	}
	srv.Resume()
	b.flush()
	p := b.pool()
	var sum uint64
	for _, n := range p.Rejects {
		sum += n
	}
	if len(p.Rejects) > maxReasons+1 || sum != 2*flood || p.Rejects["malformed"] != flood {
		t.Errorf("%d reasons with %d rejects, want %d", len(p.Rejects), sum, 2*flood)
	}
	// Names that never had a share leave nothing in Redis.
	if keys := srv.CLI("KEYS", "*spam*"); keys != "" {
		t.Errorf("keys %v", keys)
	}
	b.l.Reject("honest", "0", "malformed") // with room again it is counted by name
	b.flush()
	if w, err := b.l.Wallet(testCtx(t), "honest"); err != nil || w.Rejects["malformed"] != 1 {
		t.Errorf("wallet %+v, %v", w, err)
	}
	conserved(t, b)
}

// Rejects that ride along with a range which a rolled back Redis does not take are
// not lost, nor are credits by them.
func TestRejectsOutliveAResync(t *testing.T) {
	b, srv := startBed(t, slow)
	for i := range 5 {
		b.credit("w", fmt.Sprint(i), 10)
		b.flush()
	}
	srv.CLI("FLUSHALL")
	for i := range 5 {
		b.l.Reject("w", fmt.Sprint(i), "stale")
	}
	b.credit("w", "0", 1)
	b.flush()
	if p := b.pool(); p.Rejects["stale"] != 5 || testutil.ToFloat64(b.l.metrics.resyncs) != 1 {
		t.Errorf("pool %+v", p)
	}
	// Alone they make a range of nothing, which notices a rollback too.
	srv.CLI("FLUSHALL")
	b.l.Reject("w", "0", "stale")
	b.flush()
	if p := b.pool(); p.Rejects["stale"] != 1 || p.Shares != 6 {
		t.Errorf("pool %+v", p)
	}
	conserved(t, b)
}
