package ledger

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shown are a wallet's workers, after it was checked that they and "other" have
// exactly what the wallet has.
func shown(t *testing.T, b *bed, wallet string) map[string]WorkerStats {
	t.Helper()
	l := b.l
	ws, err := l.Workers(testCtx(t), wallet)
	if err != nil {
		t.Fatal(err)
	}
	w, err := l.Wallet(testCtx(t), wallet)
	if err != nil {
		t.Fatal(err)
	}
	var sum WorkerStats
	for _, s := range ws {
		sum.Hashes += s.Hashes
		sum.Shares += s.Shares
		if s.Last.After(sum.Last) {
			sum.Last = s.Last
		}
	}
	if sum.Hashes != w.Hashes || sum.Shares != w.Shares || !sum.Last.Equal(w.Last) {
		t.Fatalf("workers have %d hashes, %d shares, the last of %v; the wallet has %+v", sum.Hashes, sum.Shares, sum.Last, w)
	}
	if _, ok := ws[OtherWorker]; len(ws) > l.cfg.MaxWorkers && !(ok && len(ws) == l.cfg.MaxWorkers+1) {
		t.Fatalf("%d workers, the limit is %d", len(ws), l.cfg.MaxWorkers)
	}
	return ws
}

// Names that cost a share each do not hide rigs that work, neither those that
// were there before nor those that come after.
func TestInventedNamesDoNotHideRigs(t *testing.T) {
	const share = 1000
	b, _ := startBed(t, slow)
	invented := 0
	invent := func(n int) {
		for range n {
			b.credit("w", fmt.Sprint("invented", invented), share)
			invented++
		}
	}
	work := func(rig string, shares int) uint64 {
		for range shares {
			b.credit("w", rig, share)
		}
		return uint64(shares * share)
	}
	early := work("early", 3)
	b.flush()
	invent(DefaultMaxWorkers)
	b.flush()
	if ws := shown(t, b, "w"); ws["early"].Hashes != early || len(ws) != DefaultMaxWorkers+1 {
		t.Fatalf("a rig of three shares was pushed out by names of one: %+v of %d", ws["early"], len(ws))
	}
	work("late", 1)
	work("late", 1)
	b.flush()
	before := shown(t, b, "w")["late"].Hashes
	if before == 0 {
		t.Fatal("a rig that comes after the names is not shown after two shares")
	}
	// The rigs do a tenth of the work, and each far more than 1/256 of it.
	var late uint64
	for range 20 {
		invent(500)
		early += work("early", 28)
		late += work("late", 28)
		b.l.Reject("w", "late", "stale")
		b.flush()
	}
	ws := shown(t, b, "w")
	if ws["early"].Hashes != early || ws["late"].Hashes != before+late || ws["late"].Rejects != 20 {
		t.Errorf("early %+v, want %d; late %+v, want %d and 20 rejects", ws["early"], early, ws["late"], before+late)
	}
	// Nor do they fill the minute's slice: it has who holds a slot.
	n, err := b.st.Do(testCtx(t), "ZCARD", b.l.keys.Slots("w")).AsInt64()
	if err != nil || n != DefaultMaxWorkers {
		t.Errorf("%d slots, %v", n, err)
	}
}

// A worker that takes over is not in the slice of its first minute, so that
// names of one share leave no fields there; the sums are exact all the same.
func TestInventedNamesLeaveNoSlices(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.MaxWorkers = 4 })
	now := time.Now()
	for i := range 1000 {
		b.creditAt(now, "w", fmt.Sprint("x", i), 7)
	}
	b.flush()
	slice, err := b.st.Do(testCtx(t), "HGETALL", b.l.keys.Rate(now.Unix()/60)).AsStrMap()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for field, v := range slice {
		if n, err := strconv.Atoi(v); err == nil && strings.HasPrefix(field, "w/") {
			sum += n
		}
	}
	if len(slice) != 4+3 || sum != 7000 || slice["w"] != "7000" {
		t.Errorf("slice %v", slice)
	}
}

// A worker that stopped gives its slot to one that works, the last first, and
// all it has done stays counted.
func TestIdleWorkersYield(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.MaxWorkers = 3 })
	for _, rig := range []string{"a", "b", "c"} {
		b.credit("w", rig, 1_000_000)
	}
	b.flush()
	for _, rig := range []string{"a", "b", "c"} {
		b.l.Reject("w", rig, "stale")
	}
	b.flush()
	b.credit("w", "new", 90_000)
	b.flush()
	if ws := shown(t, b, "w"); ws["new"].Shares != 0 || ws[OtherWorker].Hashes != 90_000 {
		t.Fatalf("a newcomer with less work has pushed out: %+v", ws)
	}
	// Three spans later for b: 5 % of its weight is left.
	if err := b.st.Do(testCtx(t), "ZINCRBY", b.l.keys.Slots("w"), "-3", "b").Error(); err != nil {
		t.Fatal(err)
	}
	b.credit("w", "new", 90_000)
	b.flush()
	ws := shown(t, b, "w")
	if ws["new"].Hashes != 90_000 || ws["b"].Shares != 0 || ws["a"].Hashes != 1_000_000 || ws["c"].Hashes != 1_000_000 {
		t.Errorf("workers %+v", ws)
	}
	if o := ws[OtherWorker]; o.Hashes != 1_090_000 || o.Shares != 2 || o.Rejects != 1 || o.Last.IsZero() {
		t.Errorf("the one that gave way left %+v", o)
	}
}

// Weights compare work through any time: 2^63 now and 1 a year ago.
func TestWeightsKeepTheirPrecision(t *testing.T) {
	b, _ := startBed(t, nil)
	for _, d := range []uint64{math.MaxInt64 - 10, 1, 1} {
		b.credit("w", fmt.Sprint("rig", d), d)
		b.flush()
	}
	scores, err := b.st.Do(testCtx(t), "ZRANGE", b.l.keys.Slots("w"), "0", "-1", "WITHSCORES").AsZScores()
	if err != nil || len(scores) != 2 {
		t.Fatal(scores, err)
	}
	if got := scores[1].Score - scores[0].Score; math.Abs(got-(63-1)*math.Ln2) > 0.1 {
		t.Errorf("2^63 weighs %v more than 2, want %v", got, 62*math.Ln2)
	}
}

// ttl is a key's life in seconds.
func ttl(b *bed, key string) int64 {
	b.Helper()
	n, err := strconv.ParseInt(b.do("TTL", key), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// A wallet's counters live as long as its work justifies.
func TestWalletLifetime(t *testing.T) {
	const day = 24 * 60 * 60
	b, _ := startBed(t, func(b *bed) {
		slow(b)
		b.cfg.WalletsKept, b.cfg.WalletWork = 1000, 1_000_000
	})
	lives := func(wallet string, want int64) {
		t.Helper()
		for _, key := range []string{b.l.keys.Wallet(wallet), b.l.keys.Workers(wallet), b.l.keys.Slots(wallet)} {
			if got := ttl(b, key); math.Abs(float64(got-want)) > float64(want)/100+5 {
				t.Errorf("%s lives %d s, want %d", key, got, want)
			}
		}
	}
	// A young pool: the least work for a full life is WalletWork, whoever does it.
	b.credit("first", "", 10)
	b.credit("second", "", 100_000)
	b.credit("third", "", 1_000_000)
	b.flush()
	lives("first", 60*60)
	lives("second", 9*day)
	lives("third", 90*day)
	// In a pool with 10^12 hashes it is a thousandth of them.
	b.credit("pool", "", 1_000_000_000_000)
	b.flush()
	b.credit("tiny", "", 100_000) // a 10,000th of 90 days
	b.credit("small", "", 1_000_000)
	b.credit("middle", "", 100_000_000)
	b.credit("large", "", 1_100_000_000)
	b.flush()
	lives("tiny", 60*60)
	lives("small", 90*day/1000)
	lives("middle", 9*day)
	lives("large", 90*day)
	for range 9 {
		b.credit("middle", "", 100_000_000) // a life grows with the work
		b.flush()
	}
	lives("middle", 90*day)
	b.l.Reject("tiny", "", "stale")
	b.flush()
	lives("tiny", 60*60) // and not without
	if r := b.current(); len(r.Wallets) != 8 {
		t.Errorf("the round has %d wallets", len(r.Wallets))
	}
	for _, key := range []string{b.l.keys.Chunk(1), b.l.keys.Stats(), b.l.keys.Marks()} {
		if got := ttl(b, key); got != -1 {
			t.Errorf("%s ends in %d s", key, got)
		}
	}
}

// memory is what Redis uses, in bytes.
func memory(b *bed) int {
	b.Helper()
	_, rest, _ := strings.Cut(b.do("INFO", "", "memory"), "\r\nused_memory:")
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// cheapWallet is as long as an integrated address, of which one key pair has 2^64.
func cheapWallet(i int) string { return fmt.Sprintf("4%0105d", i) }

// 20,000 wallets of one share each, with ASSAY_LONG_TESTS=1 five times as many,
// leave their sum in the chunk, which is owed to them, and nothing else once the
// least time is over. Honest wallets stay.
func TestCheapWalletsDoNotPileUp(t *testing.T) {
	cheap := 20_000
	if os.Getenv("ASSAY_LONG_TESTS") != "" {
		cheap = 100_000
	}
	const share = 1000
	b, srv := startBed(t, slow)
	b.credit("honest", "rig", 10*DefaultWalletWork)
	b.flush()
	before := memory(b)
	const sample = 3000
	for i := range sample {
		b.credit(cheapWallet(i), "rig", share)
	}
	b.flush()
	t.Logf("%d bytes a cheap wallet while its counters live", (memory(b)-before)/sample)
	for i := 0; i < sample; i += 100 {
		if got := ttl(b, b.l.keys.Wallet(cheapWallet(i))); got <= 0 || got > 60*60 {
			t.Fatalf("wallet %d lives %d s after a share of %d", i, got, share)
		}
	}
	if got := ttl(b, b.l.keys.Wallet("honest")); got < 89*24*60*60 {
		t.Errorf("the honest wallet lives %d s", got)
	}

	// The same with an hour made a second, and a share worth less than that.
	b.close()
	b.cfg.WalletTTLMin, b.cfg.WalletWork = time.Second, 1e12
	b.open()
	for i := range cheap {
		b.credit(cheapWallet(i), "rig", share)
	}
	b.flush()
	waitFor(t, "end of the cheap wallets", func() bool {
		n, err := strconv.Atoi(strings.TrimSpace(srv.CLI("DBSIZE")))
		return err == nil && n < 50
	})
	left := (memory(b) - before) / cheap
	t.Logf("%s keys, %d bytes a cheap wallet after it", srv.CLI("DBSIZE"), left)
	if left > 400 {
		t.Errorf("%d bytes a wallet are left, want its sum in the chunk", left)
	}
	if c := b.chunk(1); len(c.Wallets) != cheap+1 || c.Shares != uint64(cheap+sample+1) {
		t.Errorf("the chunk has %d wallets, %d shares", len(c.Wallets), c.Shares)
	}
	if w, err := b.l.Wallet(testCtx(t), "honest"); err != nil || w.Hashes != 10*DefaultWalletWork {
		t.Errorf("honest wallet %+v, %v", w, err)
	}
	audited(t, b)
}
