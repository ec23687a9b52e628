package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

func TestCounters(t *testing.T) {
	b, _ := startBed(t, nil)
	ctx := testCtx(t)
	b.credit("w1", "a", 100)
	b.credit("w1", "a", 50)
	b.credit("w1", "b", 7)
	b.credit("w2", "", 1000)
	b.l.Reject("nobody", "x", "bad_hash")
	b.flush()
	b.l.Reject("w1", "a", "stale")
	b.l.Reject("w1", "ghost", "stale")
	b.l.Reject("", "", "malformed")
	b.flush()

	r := b.current()
	if r.First != 1 || r.Last != 1 || r.Hashes != 1157 || r.Shares != 4 || r.Wallets["w1"] != (Sum{157, 0}) || r.Wallets["w2"] != (Sum{1000, 0}) {
		t.Errorf("round %+v", r)
	}
	if !r.Started.Equal(noon) || !r.Closed.IsZero() {
		t.Errorf("round from %s to %s, want the time of the first share %s", r.Started, r.Closed, noon)
	}
	w, err := b.l.Wallet(ctx, "w1")
	if err != nil || w.Hashes != 157 || w.Shares != 3 || w.Rejects["stale"] != 2 || !w.Last.Equal(noon) {
		t.Errorf("wallet %+v, %v", w, err)
	}
	ws, err := b.l.Workers(ctx, "w1")
	if err != nil || len(ws) != 2 || ws["a"].Hashes != 150 || ws["a"].Rejects != 1 || ws["b"].Shares != 1 {
		t.Errorf("workers %+v, %v (a refused share must not create one)", ws, err)
	}
	if n := b.do("EXISTS", b.l.keys.Wallet("nobody")); n != "0" {
		t.Error("a refused share created a wallet")
	}
	if p := b.pool(); p.Hashes != 1157 || p.Shares != 4 || p.Rejects["stale"] != 2 || p.Rejects["bad_hash"] != 1 || p.Rejects["malformed"] != 1 {
		t.Errorf("pool %+v", p)
	}
	conserved(t, b)
}

func TestSlices(t *testing.T) {
	b, _ := startBed(t, nil)
	ctx := testCtx(t)
	now := time.Now().Truncate(time.Minute).Add(30 * time.Second)
	at := func(age time.Duration, worker string, d uint64) { b.creditAt(now.Add(-age), "w", worker, d) }
	at(0, "a", 1e9) // this minute is not over: not counted
	at(time.Minute, "a", 600)
	at(2*time.Minute, "b", 1200)
	at(11*time.Minute, "a", 6000) // outside the window
	at(2*time.Hour, "a", 77)      // older than any slice is kept: credited all the same
	b.flush()
	for _, c := range []struct {
		wallet, worker string
		want           float64
	}{{"w", "", 3}, {"w", "a", 1}, {"w", "b", 2}, {"", "", 3}, {"other", "", 0}} {
		got, err := b.l.HashRate(ctx, c.wallet, c.worker, 10*time.Minute, now)
		if err != nil || got != c.want {
			t.Errorf("hash rate of %q %q: %v, want %v (%v)", c.wallet, c.worker, got, c.want, err)
		}
	}
	if _, err := b.l.HashRate(ctx, "w", "", 3*time.Hour, now); err == nil {
		t.Error("a window longer than the slices are kept must be refused")
	}
	minute := now.Unix()/60 - 1
	want := time.Until(time.Unix((minute+1)*60, 0).Add(DefaultSliceTTL))
	if ttl := ttl(b, b.l.keys.Rate(minute)); math.Abs(float64(ttl)-want.Seconds()) > 30 {
		t.Errorf("slice lives %d s, want about %.0f, counted from its own minute", ttl, want.Seconds())
	}
	if n := b.do("EXISTS", b.l.keys.Rate(now.Add(-2*time.Hour).Unix()/60)); n != "0" {
		t.Error("a slice older than SliceTTL was kept")
	}
	if r := b.current(); r.Hashes != 1e9+600+1200+6000+77 {
		t.Errorf("credited %d", r.Hashes)
	}
	for _, key := range []string{b.l.keys.Wallet("w"), b.l.keys.Workers("w"), b.l.keys.Slots("w")} {
		if ttl := ttl(b, key); ttl <= 0 {
			t.Errorf("%s has no end: TTL %d", key, ttl)
		}
	}
	conserved(t, b)
}

func TestExactAbove53Bits(t *testing.T) {
	b, _ := startBed(t, nil)
	const odd = 1<<53 + 1 // the first integer a double cannot hold
	b.credit("w", "a", odd)
	b.flush()
	b.credit("w", "a", odd)
	b.credit("v", "a", 1<<62-1)
	bl := block(1)
	bl.Height, bl.Reward = 1<<53+3, 1<<63+1
	b.j.Found(journal.Found{Block: bl}, nil)
	b.j.Settle(journal.Settled{Block: bl, Accepted: true, Daemon: "d", At: noon}, nil)
	b.credit("w", "a", 1) // answered after all before it
	b.flush()
	const want = 2*odd + 1<<62 - 1
	if rec := b.rec(1); rec.Hashes != want || rec.Height != 1<<53+3 || rec.Reward != 1<<63+1 {
		t.Fatalf("record %+v; want %d hashes", rec, uint64(want))
	}
	if r := b.round(1); r.Hashes != want || r.Wallets["w"].Hashes != 2*odd || r.Wallets["v"].Hashes != 1<<62-1 {
		t.Errorf("round %+v", r)
	}
	conserved(t, b)
}

func TestOverflowLosesNothing(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", math.MaxInt64-10)
	b.flush()
	b.credit("w", "a", 10) // exactly 2^63-1 fits
	b.flush()
	conserved(t, b)
	// Another node's journal has room for what the pool's sum has not.
	other := newBed(t, b.st, func(o *bed) { o.cfg.Node = "m" })
	other.credit("w", "b", 1)
	waitFor(t, "overflow error", func() bool { return errors.Is(other.l.Status().Err, ErrSum) })
	if r := b.current(); r.Hashes != math.MaxInt64 || r.Shares != 2 || other.l.Status().Pending == 0 {
		t.Errorf("round %+v, status %+v", r, other.l.Status())
	}
	// The operator makes room, and the waiting share comes through.
	b.do("DEL", b.l.keys.Chunk(1))
	b.do("DEL", b.l.keys.Wallet("w"))
	b.do("DEL", b.l.keys.Workers("w"))
	b.do("DEL", b.l.keys.Rate(noon.Unix()/60))
	b.do("HSET", b.l.keys.Stats(), "hashes", "0")
	other.flush()
	if r := b.current(); r.Hashes != 1 || r.Shares != 1 || other.l.Status().Err != nil {
		t.Errorf("round %+v, status %+v", r, other.l.Status())
	}
	// Two shares whose sum does not fit one range are two ranges.
	var sums batch
	sums.sum.hashes = math.MaxInt64 - 1
	if !sums.takes(&journal.Credit{Difficulty: 1}) || sums.takes(&journal.Credit{Difficulty: 2}) {
		t.Error("a range must take up to 2^63-1 and no more")
	}
}

func TestCorruptKeysStopWithoutDoubleCount(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { b.cfg.Heartbeat = 20 * time.Millisecond })
	b.do("SET", b.l.keys.Workers("w"), "not a hash")
	b.credit("w", "a", 5)
	waitFor(t, "half-way error", func() bool { return errors.Is(b.l.Status().Err, ErrHalf) })
	if msg := b.l.Status().Err.Error(); !strings.Contains(msg, "WRONGTYPE") {
		t.Errorf("the cause is missing: %s", msg)
	}
	tries := testutil.ToFloat64(b.l.metrics.retries)
	waitFor(t, "three more tries", func() bool { return testutil.ToFloat64(b.l.metrics.retries) >= tries+3 })
	if r := b.current(); r.Hashes != 5 {
		t.Errorf("counted %d, want the first half once", r.Hashes)
	}
	if msg := b.l.Status().Err.Error(); strings.Count(msg, "WRONGTYPE") != 1 || strings.Count(msg, "half way") != 1 {
		t.Errorf("the error grows with each try: %s", msg)
	}
	if report := audit(t, b); len(report.Differences) == 0 || !strings.Contains(fmt.Sprint(report.Differences), "half way") {
		t.Errorf("the audit says %+v", report)
	}
	// Nor does the next start.
	b.drop()
	b.open()
	waitFor(t, "half-way error after a start", func() bool { return errors.Is(b.l.Status().Err, ErrHalf) })
	if r := b.current(); r.Hashes != 5 {
		t.Errorf("counted %d after a start, want the first half once", r.Hashes)
	}
}

// A node's name is part of its marks, whose last character says that a range
// stopped half way.
func TestNodeNamesAreNoSign(t *testing.T) {
	for _, node := range []string{"n!", "!", "", "a b c", "1 2 3"} {
		b, _ := startBed(t, func(b *bed) { b.cfg.Node = node })
		b.credit("w", "a", 5)
		b.flush()
		b.credit("w", "a", 6)
		b.flush()
		b.reopen()
		b.credit("w", "a", 7)
		b.flush()
		conserved(t, b)
	}
}

// A value that is none where a sum or the open chunk's number should be stops the
// node; the shares wait in the journal.
func TestForeignValuesDropNothing(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", 1)
	b.flush()
	for _, chunk := range []bool{true, false} {
		for _, value := range []string{"0", "x", "-7", "", "1.5", "99999999999999999999999"} {
			if value == "0" && !chunk || value == "99999999999999999999999" && chunk {
				continue // may be
			}
			t.Run(fmt.Sprintf("chunk %v %q", chunk, value), func(t *testing.T) {
				right := fmt.Sprint(b.pool().Hashes)
				set := func(hashes, number string) {
					if chunk {
						b.do("SET", b.l.keys.OpenChunk(), number)
					} else {
						b.do("HSET", b.l.keys.Stats(), "hashes", hashes)
					}
				}
				set(value, value)
				b.credit("w", "a", 5)
				tries := testutil.ToFloat64(b.l.metrics.retries)
				waitFor(t, "tries", func() bool { return testutil.ToFloat64(b.l.metrics.retries) >= tries+2 })
				if st := b.l.Status(); st.Err == nil || st.Pending == 0 || st.Gaps != 0 {
					t.Errorf("status %+v", st)
				}
				set(right, "1")
				b.flush()
				conserved(t, b)
			})
		}
	}
}

func TestNamesFromTheNetwork(t *testing.T) {
	b, _ := startBed(t, nil)
	for _, w := range []string{"#n", "#pressure", "h:x", "\x00\xff", "other", strings.Repeat("ä", 500), "a/b", "}{"} {
		b.credit("w", w, 1)
		b.durable()
		b.l.Reject("w", w, "stale")
	}
	b.flush()
	for _, w := range []string{"", "a b", "a/b", "{x}", "a\n", "*", "#hashes", "~w", "@j", strings.Repeat("w", maxWallet+1)} {
		if validWallet(w) {
			t.Errorf("%q may be a field beside the sums", w)
		}
		b.l.Reject(w, "x", "malformed") // counted for the pool
	}
	b.flush()
	ws, err := b.l.Workers(testCtx(t), "w")
	var sum uint64
	for _, s := range ws {
		sum += s.Hashes
	}
	if err != nil || len(ws) != 8 || sum != 8 {
		t.Errorf("workers %+v, %v", ws, err)
	}
	if p := b.pool(); p.Rejects["malformed"] != 10 {
		t.Errorf("pool %+v", p)
	}
	conserved(t, b)
}

func TestBatchesAreSplit(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.BatchEntries = 7 })
	for i := range 50 {
		b.credit(fmt.Sprintf("w%d", i), "a", uint64(i+1))
	}
	b.durable()
	calls := testutil.ToFloat64(b.l.metrics.calls)
	b.flush()
	if n := testutil.ToFloat64(b.l.metrics.calls) - calls; n != 8 {
		t.Errorf("50 entries went in %v calls, want 8 of at most 7", n)
	}
	for i := range 50 {
		b.l.Reject(fmt.Sprintf("w%d", i), "a", "stale")
	}
	b.flush()
	if r := b.current(); r.Hashes != 50*51/2 || r.Shares != 50 || len(r.Wallets) != 50 {
		t.Errorf("round %d hashes, %d shares, %d wallets", r.Hashes, r.Shares, len(r.Wallets))
	}
	if p := b.pool(); p.Rejects["stale"] != 50 {
		t.Errorf("rejects %v", p.Rejects)
	}
	if st := b.l.Status(); st.Pending != 0 || st.Age != 0 || st.Mark != b.j.End() {
		t.Errorf("status %+v", st)
	}
	conserved(t, b)
}

func TestPrefixesDiffer(t *testing.T) {
	st := openStore(t, redistest.Start(t).URL())
	var mu sync.Mutex
	seen := map[uint32]bool{}
	var wg sync.WaitGroup
	for i := range 20 { // of two pools, which may have one wallet
		j, err := journal.Open(journal.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer j.Close(context.Background())
			l, err := Open(context.Background(), Config{Store: st, Journal: j, Pool: fmt.Sprintf("test%d", i%2)})
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close(context.Background())
			mu.Lock()
			defer mu.Unlock()
			if seen[l.NodePrefix()] || l.NodePrefix() == 0 {
				t.Errorf("prefix %d given twice or zero", l.NodePrefix())
			}
			seen[l.NodePrefix()] = true
		})
	}
	wg.Wait()
	if err := st.Do(testCtx(t), "SET", store.NodeNext, "4294967295").Error(); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close(context.Background())
	if _, err := Open(testCtx(t), Config{Store: st, Journal: j, Pool: "test"}); err == nil || !strings.Contains(err.Error(), "node:next") {
		t.Errorf("no prefixes left: %v", err)
	}
}

// Close says what the next start will apply, and it does.
func TestCloseLeavesTheRestToTheNextStart(t *testing.T) {
	b, srv := startBed(t, nil)
	b.credit("w", "a", 40)
	b.flush()
	srv.Kill()
	b.credit("w", "a", 2)
	b.found(1)
	b.settle(1, true)
	b.durable()
	if err := b.j.Close(testCtx(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := b.l.Close(ctx)
	want := fmt.Sprintf("%d bytes of the journal are not known to be in redis; the next start applies them", b.l.Status().Pending)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) || b.l.Status().Pending == 0 {
		t.Errorf("close: %v, want %q", err, want)
	}
	if err := b.l.Close(testCtx(t)); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := b.l.Flush(testCtx(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("flush after close: %v", err)
	}
	b.j = nil
	srv.Run()
	b.open()
	b.flush()
	if rec := b.rec(1); rec.State != StateImmature || rec.Hashes != 42 {
		t.Errorf("block %+v", rec)
	}
	conserved(t, b)
}

// Close sends nothing when it has no time, and says so.
func TestCloseWithoutTime(t *testing.T) {
	b, _ := startBed(t, slow)
	b.credit("w", "a", 40)
	b.flush()
	b.credit("w", "a", 2)
	b.durable()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.l.Close(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "bytes of the journal are not known to be in redis") {
		t.Errorf("error: %v", err)
	}
	if r := b.current(); r.Hashes != 40 {
		t.Errorf("redis has %d hashes, want what was flushed before (40)", r.Hashes)
	}
	idle := newBed(t, b.st, func(o *bed) { slow(o); o.cfg.Node = "m" })
	if err := idle.l.Close(ctx); err != nil {
		t.Errorf("nothing was left to write: %v", err)
	}
}
