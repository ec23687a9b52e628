package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/cluster/journal"
)

// readable is what a journal can still give from a position on.
func (b *bed) readable(from journal.Position) (sums Sums, wallets map[string]uint64) {
	b.Helper()
	r, err := b.j.NewReader("test", from)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	wallets = map[string]uint64{}
	for {
		rec, err := r.Next()
		if rec == nil {
			return sums, wallets
		}
		if err != nil {
			b.Fatal(err)
		}
		if rec.Kind == journal.KindCredit {
			sums.Hashes += rec.Credit.Difficulty
			sums.Shares++
			wallets[rec.Credit.Wallet] += rec.Credit.Difficulty
		}
	}
}

// gapsAre checks that gaps with these sums are told everywhere, and once.
func (b *bed) gapsAre(reg *prometheus.Registry, want Sums) []Gap {
	b.Helper()
	gaps, err := b.l.Gaps(testCtx(b.TB))
	if err != nil {
		b.Fatal(err)
	}
	var has Sums
	for _, g := range gaps {
		has.Hashes += g.Hashes
		has.Shares += g.Shares
		if g.Journal != b.j.ID() || g.From >= g.To || g.Time.IsZero() {
			b.Errorf("gap %+v", g)
		}
	}
	if has != want || len(gaps) == 0 {
		b.Errorf("%d gaps of %+v, want %+v", len(gaps), has, want)
	}
	if st := b.l.Status(); st.Gaps != len(gaps) || st.Lost != want || st.Err != nil || st.Pending != 0 {
		b.Errorf("status %+v", st)
	}
	for name, v := range map[string]int{"gaps_total": len(gaps), "lost_hashes_total": int(want.Hashes), "lost_shares_total": int(want.Shares)} {
		if got := metric(b, reg, "assay_ledger_"+name); got != float64(v) {
			b.Errorf("%s is %v, want %d", name, got, v)
		}
	}
	var said int
	for _, d := range audit(b, b).Differences {
		if d.What == "gap" && strings.Contains(d.Journals, "hashes in") {
			said++
		}
		if d.What == "pool" || strings.HasPrefix(d.What, "journal") {
			b.Errorf("the audit takes the gap for another difference: %+v", d)
		}
	}
	if said != len(gaps) {
		b.Errorf("the audit lists %d gaps of %d", said, len(gaps))
	}
	return gaps
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

// gapBed has small segments, some of them full and not applied: Redis is away.
func gapBed(t *testing.T, reg *prometheus.Registry) (b *bed, run func()) {
	b, srv := startBed(t, func(b *bed) { b.cfg.Registerer, b.jcfg.SegmentBytes = reg, 1500 })
	for i := range 20 {
		b.credit(fmt.Sprint("w", i%3), "a", uint64(i+1))
	}
	b.flush()
	srv.Kill()
	for i := range 200 {
		b.credit(fmt.Sprint("w", i%5), fmt.Sprint(i%7), uint64(i+100))
		if i%50 == 9 {
			b.found(i)
			b.settle(i, true)
		}
		if i%10 == 0 {
			b.durable() // several batches, so several segments
		}
	}
	b.durable()
	b.drop()
	if n := len(segments(t, b.jcfg.Dir)); n < 4 {
		t.Fatalf("only %d segments", n)
	}
	return b, srv.Run
}

// Segments that are gone before they were applied are a gap, to the unit; what is
// behind it is applied, and nothing is told twice.
func TestDeletedSegmentsAreAGap(t *testing.T) {
	for _, keep := range []int{1, 2} {
		reg := prometheus.NewRegistry()
		b, run := gapBed(t, reg)
		applied := Sums{Hashes: 210, Shares: 20}
		told := tally(b)
		var all uint64
		for _, s := range told {
			all += s.Hashes
		}
		paths := segments(t, b.jcfg.Dir)
		for _, path := range paths[:len(paths)-keep] {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		run()
		b.open()
		b.credit("w0", "new", 7)
		b.flush()
		rest, wallets := b.readable(b.j.Begin())
		lost := Sums{Hashes: all + 7 - applied.Hashes - rest.Hashes, Shares: uint64(221 - 20 - rest.Shares)}
		if lost.Shares == 0 {
			t.Fatal("nothing was lost")
		}
		gaps := b.gapsAre(reg, lost)
		if len(gaps) != 1 || gaps[0].To != b.j.Begin() || gaps[0].Segment != "" {
			t.Errorf("gaps %+v, the journal begins at %d", gaps, b.j.Begin())
		}
		if p := b.pool(); p.Hashes != applied.Hashes+rest.Hashes || p.Shares != applied.Shares+rest.Shares {
			t.Errorf("pool %+v, applied %+v, then %+v", p, applied, rest)
		}
		if s := b.all()["w3"]; s.Hashes != wallets["w3"] {
			t.Errorf("w3 has %v, the journal %d", s, wallets["w3"])
		}
		// Not again by the next start, nor by the next share; but it is still told.
		b.reopen()
		b.credit("w0", "new", 1)
		b.flush()
		if again, err := b.l.Gaps(testCtx(t)); err != nil || len(again) != 1 || b.l.Status().Gaps != 1 {
			t.Errorf("gaps %+v, status %+v, %v", again, b.l.Status(), err)
		}
	}
}

// A byte that has changed in the middle of a segment costs what was in its record,
// and the credits whose name was there: to the unit.
func TestDamageIsAGap(t *testing.T) {
	for _, where := range []float64{0.3, 0.6, 0.9} {
		for _, last := range []bool{false, true} {
			t.Run(fmt.Sprint(where, last), func(t *testing.T) {
				reg := prometheus.NewRegistry()
				b, run := gapBed(t, reg)
				var all uint64
				for _, s := range tally(b) {
					all += s.Hashes
				}
				paths := segments(t, b.jcfg.Dir)
				path := paths[len(paths)-3]
				if last { // what is behind it is of the same start
					path = paths[len(paths)-1]
					raw, err := os.ReadFile(path)
					if err != nil || len(raw) < 400 {
						t.Skipf("the last segment has %d bytes only, %v", len(raw), err)
					}
				}
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				at := 150 + int(where*float64(len(raw)-200)) // behind the header
				raw[at] ^= 0x40
				if err := os.WriteFile(path, raw, 0o640); err != nil {
					t.Fatal(err)
				}
				run()
				b.open()
				b.credit("w0", "new", 7)
				b.flush()
				rest, _ := b.readable(0)
				lost := Sums{Hashes: all + 7 - rest.Hashes, Shares: 221 - rest.Shares}
				p := b.pool()
				if p.Hashes != rest.Hashes || p.Shares != rest.Shares {
					t.Errorf("pool %+v, want all that can be read, %+v", p, rest)
				}
				gaps, err := b.l.Gaps(testCtx(t))
				if err != nil || len(gaps) == 0 || gaps[0].Segment != filepath.Base(path) || gaps[0].Offset == 0 || gaps[0].Offset > int64(at) {
					t.Errorf("gaps %+v, %v; a byte of %s was changed at %d", gaps, err, path, at)
				}
				if !last {
					b.gapsAre(reg, lost)
				}
				resumed := len(gaps)
				b.reopen()
				b.credit("w0", "new", 1)
				b.flush()
				if gaps, _ := b.l.Gaps(testCtx(t)); len(gaps) != resumed {
					t.Errorf("%d gaps after a restart, were %d", len(gaps), resumed)
				}
			})
		}
	}
}

// A flusher that has read on to damage, and then learns that Redis has another mark,
// begins anew from there: what it has in hand is no longer next.
func TestDamageInHandAtAResync(t *testing.T) {
	b, run := gapBed(t, prometheus.NewRegistry())
	paths := segments(t, b.jcfg.Dir)
	path := paths[len(paths)-3]
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 0x40
	if err := os.WriteFile(path, raw, 0o640); err != nil {
		t.Fatal(err)
	}
	run()
	if b.j, err = journal.OpenDir(b.jcfg.Dir); err != nil {
		t.Fatal(err)
	}
	defer func() { b.j = nil }()
	cfg := b.cfg
	cfg.Journal, cfg.BatchEntries = b.j, 1_000_000
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	f, err := rebuilder(cfg, b.l.keys) // begins at 0, and Redis has the first shares
	if err != nil {
		t.Fatal(err)
	}
	defer f.r.Close()
	f.l.prefix = b.l.prefix + 1 // a later start than the one that has applied them
	ctx := testCtx(t)
	for f.held == nil { // up to the damage, events between
		if !f.fill() {
			t.Fatal("no damage was met")
		}
		if f.held == nil {
			f.batch.begin(f.batch.to, f.batch.after) // as if it had been applied
		}
	}
	f.deliver(ctx)
	f.drain(ctx)
	rest, _ := b.readable(0)
	if p := b.pool(); p.Hashes != rest.Hashes || p.Shares != rest.Shares {
		t.Errorf("pool %+v, want all that can be read, %+v", p, rest)
	}
	var lost, all uint64
	gaps, err := b.l.Gaps(ctx)
	for _, g := range gaps {
		lost += g.Hashes
	}
	for _, s := range tally(b) {
		all += s.Hashes
	}
	if err != nil || lost != all-rest.Hashes {
		t.Errorf("gaps %+v, want %d hashes (%v)", gaps, all-rest.Hashes, err)
	}
}

// An emptied Redis, and a journal that has kept its last part only.
func TestEmptiedRedisAndAShortJournal(t *testing.T) {
	reg := prometheus.NewRegistry()
	b, srv := startBed(t, func(b *bed) {
		b.cfg.Registerer, b.cfg.Heartbeat = reg, 20*time.Millisecond
		b.jcfg.SegmentBytes, b.jcfg.Keep = 1500, time.Nanosecond
	})
	for i := range 200 {
		b.credit(fmt.Sprint("w", i%5), "a", uint64(i+100))
		if i%20 == 0 {
			b.flush() // and is released
		}
	}
	b.flush()
	waitFor(t, "one segment that is far from full", func() bool {
		left, size := segments(t, b.jcfg.Dir), b.j.End()-b.j.Begin()
		if len(left) == 1 && filepath.Base(left[0]) == fmt.Sprintf("%020d.journal", b.j.Begin()) && size > 100 && size < 1000 {
			return true
		}
		b.credit("w0", "a", 1)
		b.flush()
		return false
	})
	var all Sums
	for _, sum := range tally(b) {
		all.Hashes += sum.Hashes
	}
	all.Shares = uint64(len(b.events))
	rest, _ := b.readable(b.j.Begin())
	srv.CLI("FLUSHALL")
	waitFor(t, "it to be noticed", func() bool { return b.l.Status().Gaps > 0 })
	b.flush()
	b.gapsAre(reg, Sums{Hashes: all.Hashes - rest.Hashes, Shares: all.Shares - rest.Shares})
	if p := b.pool(); p.Hashes != rest.Hashes || p.Shares != rest.Shares {
		t.Errorf("pool %+v, want the rest %+v", p, rest)
	}
}

// The list of gaps is bounded.
func TestGapsAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	b, run := gapBed(t, reg)
	run()
	for range maxGaps {
		b.do("RPUSH", b.l.keys.Gaps(), "{}")
	}
	if err := os.Remove(segments(t, b.jcfg.Dir)[0]); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.flush()
	gaps, err := b.l.Gaps(testCtx(t))
	if err != nil || len(gaps) != maxGaps || gaps[maxGaps-1].Journal != b.j.ID() {
		t.Errorf("%d gaps, the last %+v, %v", len(gaps), gaps[len(gaps)-1], err)
	}
	b.do("RPUSH", b.l.keys.Gaps(), "no JSON")
	if _, err := b.l.Gaps(testCtx(t)); err == nil || !strings.Contains(err.Error(), "that Assay did not write") {
		t.Errorf("error %v", err)
	}
}

// A loss without a range, which headers that disagree would be, is told, and holds
// nothing up.
func TestLossWithoutARange(t *testing.T) {
	var book logBook
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.Log = book.logger() })
	b.credit("w", "a", 10)
	b.durable()
	r, err := b.j.NewReader("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := newFlusher(b.l, r)
	f.begin(mark{})
	f.held = &journal.Record{Kind: journal.KindLost, Lost: &journal.Lost{Known: true, Reason: "test"}, Sums: Sums{Hashes: 7, Shares: 2}}
	if f.fill() || f.batch.event != nil || f.batch.sum.hashes != 10 || f.batch.empty() {
		t.Errorf("batch %+v", f.batch)
	}
	if st := b.l.Status(); st.Gaps != 1 || st.Lost != (Sums{Hashes: 7, Shares: 2}) || book.count("do not agree") != 1 {
		t.Errorf("status %+v", st)
	}
}
