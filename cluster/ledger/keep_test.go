package ledger

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// shown are a wallet's workers, after it was checked that they and "other" have
// exactly what the wallet has.
func shown(t *testing.T, l *Ledger, wallet string) map[string]WorkerStats {
	t.Helper()
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
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.FlushInterval = time.Hour })
	invented := 0
	invent := func(n int) {
		for range n {
			credit(t, l, "w", fmt.Sprint("invented", invented), share)
			invented++
		}
	}
	work := func(rig string, shares int) uint64 {
		for range shares {
			credit(t, l, "w", rig, share)
		}
		return uint64(shares * share)
	}
	early := work("early", 3)
	flush(t, l)
	invent(DefaultMaxWorkers)
	flush(t, l)
	if ws := shown(t, l, "w"); ws["early"].Hashes != early || len(ws) != DefaultMaxWorkers+1 {
		t.Fatalf("a rig of three shares was pushed out by names of one: %+v of %d", ws["early"], len(ws))
	}
	work("late", 1)
	work("late", 1)
	flush(t, l)
	before := shown(t, l, "w")["late"].Hashes
	if before == 0 {
		t.Fatal("a rig that comes after the names is not shown after two shares")
	}
	// The rigs do a tenth of the work, and each far more than 1/256 of it.
	var late uint64
	for range 20 {
		invent(500)
		early += work("early", 28)
		late += work("late", 28)
		l.Reject("w", "late", "stale")
		flush(t, l)
	}
	ws := shown(t, l, "w")
	if ws["early"].Hashes != early || ws["late"].Hashes != before+late || ws["late"].Rejects != 20 {
		t.Errorf("early %+v, want %d; late %+v, want %d and 20 rejects", ws["early"], early, ws["late"], before+late)
	}
	// Nor do they fill the minute's slice: it has who holds a slot.
	n, err := l.cfg.Store.Do(testCtx(t), "ZCARD", l.keys.Slots("w")).AsInt64()
	if err != nil || n != DefaultMaxWorkers {
		t.Errorf("%d slots, %v", n, err)
	}
}

// A worker that takes over is not in the slice of its first minute, so that
// names of one share leave no fields there; the sums are exact all the same.
func TestInventedNamesLeaveNoSlices(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.MaxWorkers = 4; c.FlushInterval = time.Hour })
	now := time.Now()
	for i := range 1000 {
		if err := l.Credit(Credit{Wallet: "w", Worker: fmt.Sprint("x", i), Difficulty: 7, Time: now}); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, l)
	slice, err := l.cfg.Store.Do(testCtx(t), "HGETALL", l.keys.Rate(now.Unix()/60)).AsStrMap()
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
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.MaxWorkers = 3; c.FlushInterval = time.Hour })
	for _, rig := range []string{"a", "b", "c"} {
		credit(t, l, "w", rig, 1_000_000)
		l.Reject("w", rig, "stale")
	}
	flush(t, l)
	credit(t, l, "w", "new", 90_000)
	flush(t, l)
	if ws := shown(t, l, "w"); ws["new"].Shares != 0 || ws[OtherWorker].Hashes != 90_000 {
		t.Fatalf("a newcomer with less work has pushed out: %+v", ws)
	}
	// Three spans later for b: 5 % of its weight is left.
	if err := l.cfg.Store.Do(testCtx(t), "ZINCRBY", l.keys.Slots("w"), "-3", "b").Error(); err != nil {
		t.Fatal(err)
	}
	credit(t, l, "w", "new", 90_000)
	flush(t, l)
	ws := shown(t, l, "w")
	if ws["new"].Hashes != 90_000 || ws["b"].Shares != 0 || ws["a"].Hashes != 1_000_000 || ws["c"].Hashes != 1_000_000 {
		t.Errorf("workers %+v", ws)
	}
	if o := ws[OtherWorker]; o.Hashes != 1_090_000 || o.Shares != 2 || o.Rejects != 1 || o.Last.IsZero() {
		t.Errorf("the one that gave way left %+v", o)
	}
}

// Weights compare work through any time: 2^63 now and 1 a year ago.
func TestWeightsKeepTheirPrecision(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	for _, d := range []uint64{math.MaxInt64 - 10, 1, 1} {
		credit(t, l, "w", fmt.Sprint("rig", d), d)
		flush(t, l)
	}
	scores, err := l.cfg.Store.Do(testCtx(t), "ZRANGE", l.keys.Slots("w"), "0", "-1", "WITHSCORES").AsZScores()
	if err != nil || len(scores) != 2 {
		t.Fatal(scores, err)
	}
	if got := scores[1].Score - scores[0].Score; math.Abs(got-(63-1)*math.Ln2) > 0.1 {
		t.Errorf("2^63 weighs %v more than 2, want %v", got, 62*math.Ln2)
	}
}

// ttl is a key's life in seconds.
func ttl(t *testing.T, l *Ledger, key string) int64 {
	t.Helper()
	n, err := l.cfg.Store.Do(testCtx(t), "TTL", key).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A wallet's counters live as long as its work justifies.
func TestWalletLifetime(t *testing.T) {
	const day = 24 * 60 * 60
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) {
		c.WalletsKept, c.WalletWork, c.FlushInterval = 1000, 1_000_000, time.Hour
	})
	lives := func(wallet string, want int64) {
		t.Helper()
		for _, key := range []string{l.keys.Wallet(wallet), l.keys.Workers(wallet), l.keys.Slots(wallet)} {
			if got := ttl(t, l, key); math.Abs(float64(got-want)) > float64(want)/100+5 {
				t.Errorf("%s lives %d s, want %d", key, got, want)
			}
		}
	}
	// A young pool: the least work for a full life is WalletWork, whoever does it.
	credit(t, l, "first", "", 10)
	credit(t, l, "second", "", 100_000)
	credit(t, l, "third", "", 1_000_000)
	flush(t, l)
	lives("first", 60*60)
	lives("second", 9*day)
	lives("third", 90*day)
	// In a pool with 10^12 hashes it is a thousandth of them.
	credit(t, l, "pool", "", 1_000_000_000_000)
	flush(t, l)
	credit(t, l, "tiny", "", 100_000) // a 10,000th of 90 days
	credit(t, l, "small", "", 1_000_000)
	credit(t, l, "middle", "", 100_000_000)
	credit(t, l, "large", "", 1_100_000_000)
	flush(t, l)
	lives("tiny", 60*60)
	lives("small", 90*day/1000)
	lives("middle", 9*day)
	lives("large", 90*day)
	for range 9 {
		credit(t, l, "middle", "", 100_000_000) // a life grows with the work
		flush(t, l)
	}
	lives("middle", 90*day)
	l.Reject("tiny", "", "stale")
	flush(t, l)
	lives("tiny", 60*60) // and not without
	if r := current(t, l); len(r.Wallets) != 8 {
		t.Errorf("the round has %d wallets", len(r.Wallets))
	}
	if got := ttl(t, l, l.keys.RoundHashes(0)); got != -1 {
		t.Errorf("the round ends in %d s", got)
	}
}

// memory is what Redis uses, in bytes.
func memory(t *testing.T, l *Ledger) int {
	t.Helper()
	info, err := l.cfg.Store.Do(testCtx(t), "INFO", "memory").ToString()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "\r\nused_memory:")
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cheapWallet is as long as an integrated address, of which one key pair has 2^64.
func cheapWallet(i int) string { return fmt.Sprintf("4%0105d", i) }

// 20,000 wallets of one share each, with ASSAY_LONG_TESTS=1 five times as many, leave their sums in the round, which are owed to
// them, and nothing else once the least time is over. Honest wallets stay.
func TestCheapWalletsDoNotPileUp(t *testing.T) {
	cheap := 20_000
	if os.Getenv("ASSAY_LONG_TESTS") != "" {
		cheap = 100_000
	}
	const share = 1000
	srv := redistest.Start(t)
	l := openLedger(t, openStore(t, srv), func(c *Config) { c.FlushInterval = time.Hour; c.MaxPending = 2 * cheap })
	credit(t, l, "honest", "rig", 10*DefaultWalletWork)
	flush(t, l)
	before := memory(t, l)
	const sample = 5000
	for i := range sample {
		credit(t, l, cheapWallet(i), "rig", share)
	}
	flush(t, l)
	t.Logf("%d bytes a cheap wallet while its counters live", (memory(t, l)-before)/sample)
	for i := range sample {
		if got := ttl(t, l, l.keys.Wallet(cheapWallet(i))); got <= 0 || got > 60*60 {
			t.Fatalf("wallet %d lives %d s after a share of %d", i, got, share)
		}
	}
	if got := ttl(t, l, l.keys.Wallet("honest")); got < 89*24*60*60 {
		t.Errorf("the honest wallet lives %d s", got)
	}

	// The same with an hour made a second, and a share worth less than that.
	l.Close(testCtx(t))
	l = openLedger(t, l.cfg.Store, func(c *Config) {
		c.FlushInterval, c.MaxPending, c.WalletTTLMin, c.WalletWork = time.Hour, 2*cheap, time.Second, 1e12
	})
	for i := range cheap {
		credit(t, l, cheapWallet(i), "rig", share)
	}
	flush(t, l)
	keys := 0
	waitFor(t, "end of the cheap wallets", func() bool {
		n, err := strconv.Atoi(strings.TrimSpace(srv.CLI("DBSIZE")))
		keys = n
		return err == nil && n < 50
	})
	left := (memory(t, l) - before) / cheap
	t.Logf("%d keys, %d bytes a cheap wallet after it", keys, left)
	if left > 600 {
		t.Errorf("%d bytes a wallet are left, want the two sums of the round", left)
	}
	wallets, err := l.cfg.Store.Do(testCtx(t), "HLEN", l.keys.RoundHashes(0)).AsInt64()
	shares, err2 := l.cfg.Store.Do(testCtx(t), "HGET", l.keys.RoundTotal(0), "shares").AsInt64()
	if err != nil || err2 != nil || wallets != int64(cheap+1) || shares != int64(cheap+sample+1) {
		t.Errorf("the round has %d wallets, %d shares (%v, %v)", wallets, shares, err, err2)
	}
	if w, err := l.Wallet(testCtx(t), "honest"); err != nil || w.Hashes != 10*DefaultWalletWork {
		t.Errorf("honest wallet %+v, %v", w, err)
	}
}
