package ledger

import (
	"maps"
	"slices"
	"testing"

	"github.com/assay-pool/assay/cluster/journal"
)

// tally is what each wallet was told is its own, trusted or not.
func tally(beds ...*bed) map[string]Sum {
	sums := map[string]Sum{}
	for _, b := range beds {
		for _, e := range b.events {
			if e.kind != journal.KindCredit || !e.told() {
				continue
			}
			s := sums[e.credit.Wallet]
			if e.credit.Work == nil {
				s.Hashes += e.credit.Difficulty
			} else {
				s.Unverified += e.credit.Difficulty
			}
			sums[e.credit.Wallet] = s
		}
	}
	return sums
}

// current is the open round.
func (b *bed) current() Round {
	b.Helper()
	r, err := b.l.CurrentRound(testCtx(b.TB))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// round is the one that a block has closed.
func (b *bed) round(n int) Round {
	b.Helper()
	r, err := b.l.Round(testCtx(b.TB), hexID(n))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// rec is a block's record.
func (b *bed) rec(n int) BlockRecord {
	b.Helper()
	rec, err := b.l.block(testCtx(b.TB), hexID(n))
	if err != nil {
		b.Fatal(err)
	}
	return rec
}

// chunk is one that is not archived.
func (b *bed) chunk(n uint64) Chunk {
	b.Helper()
	c, err := b.l.Chunk(testCtx(b.TB), n)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// pool is the pool's counters.
func (b *bed) pool() WalletStats {
	b.Helper()
	p, err := b.l.Pool(testCtx(b.TB))
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// allRounds are the closed ones, the oldest first, and the open one.
func (b *bed) allRounds() []Round {
	b.Helper()
	closed, err := b.l.Rounds(testCtx(b.TB), 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	slices.Reverse(closed)
	return append(closed, b.current())
}

// conserved checks that all that was told is in exactly one round, in the counters
// of wallets and workers, and that an audit has nothing to say. Nothing must have
// been vested or taken back.
func conserved(t testing.TB, beds ...*bed) {
	t.Helper()
	b, want := beds[0], tally(beds...)
	got := map[string]Sum{}
	next, all, shares := uint64(1), Sum{}, uint64(0)
	for _, r := range b.allRounds() {
		if r.First != next {
			t.Errorf("a round begins at chunk %d, the one before ended at %d", r.First, next-1)
		}
		next = r.Last + 1
		var sum Sum
		for w, s := range r.Wallets {
			mine := got[w]
			mine.add(s)
			got[w] = mine
			sum.add(s)
		}
		if sum != (Sum{r.Hashes, r.Unverified}) {
			t.Errorf("the wallets of round %d-%d have %v, the round %d and %d", r.First, r.Last, sum, r.Hashes, r.Unverified)
		}
		all.add(sum)
		shares += r.Shares
	}
	if !maps.Equal(got, want) {
		t.Errorf("all rounds have %v, credited %v", got, want)
	}
	if p := b.pool(); p.Hashes != all.Hashes+all.Unverified || p.Shares != shares {
		t.Errorf("the pool has %d hashes in %d shares, its rounds %v in %d", p.Hashes, p.Shares, all, shares)
	}
	for w, s := range want {
		stats, err := b.l.Wallet(testCtx(t), w)
		if err != nil || stats.Hashes != s.Hashes+s.Unverified {
			t.Errorf("wallet %s: counter %d, credited %v (%v)", w, stats.Hashes, s, err)
		}
		workers, err := b.l.Workers(testCtx(t), w)
		var sum uint64
		for _, x := range workers {
			sum += x.Hashes
		}
		if err != nil || sum != s.Hashes+s.Unverified {
			t.Errorf("wallet %s: workers have %d, credited %v (%v)", w, sum, s, err)
		}
	}
	audited(t, beds...)
}

// audit compares the books with the journals of some nodes.
func audit(t testing.TB, beds ...*bed) Report {
	t.Helper()
	var js []*journal.Journal
	for _, b := range beds {
		js = append(js, b.j)
	}
	report, err := Audit(testCtx(t), beds[0].l.Reader, js)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// audited wants an audit that has nothing to say.
func audited(t testing.TB, beds ...*bed) {
	t.Helper()
	report := audit(t, beds...)
	if len(report.Differences)+len(report.Unchecked) != 0 {
		t.Errorf("the audit says %+v, unchecked %q", report.Differences, report.Unchecked)
	}
	shares := 0
	for _, b := range beds {
		for _, e := range b.events {
			if e.kind == journal.KindCredit {
				shares++
			}
		}
	}
	if report.Shares != uint64(shares) {
		t.Errorf("the audit has added up %d shares of %d", report.Shares, shares)
	}
}
