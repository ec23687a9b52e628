package ledger

import (
	"math"
	"testing"
)

// sums of one wallet by chunk.
func (b *bed) perChunk(wallet string, chunks uint64) (sums []Sum) {
	b.Helper()
	for n := uint64(1); n <= chunks; n++ {
		sums = append(sums, b.chunk(n).Wallets[wallet])
	}
	return sums
}

func wantSums(t *testing.T, what string, got []Sum, want ...Sum) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: chunk %d has %v, want %v", what, i+1, got[i], want[i])
		}
	}
}

// trustBed has three chunks: a closed round, a block whose fate is open, the open
// chunk. large is odd and above 2^53.
const large = 1<<53 + 1

func trustBed(t *testing.T) *bed {
	b, _ := startBed(t, slow)
	b.trust("w", "a", large)
	b.credit("w", "a", 5)
	b.trust("v", "a", 7)
	b.found(1)
	b.settle(1, true)
	b.trust("w", "b", large+2)
	b.found(2)
	b.trust("w", "a", 3)
	b.credit("v", "a", 1)
	b.flush()
	wantSums(t, "at first", b.perChunk("w", 3), Sum{5, large}, Sum{0, large + 2}, Sum{0, 3})
	if rec := b.rec(1); rec.Hashes != 5 || rec.Unverified != large+7 || rec.Shares != 3 {
		t.Errorf("record %+v", rec)
	}
	if c := b.chunk(1); c.Hashes != 5 || c.Unverified != large+7 || c.Shares != 3 {
		t.Errorf("chunk %+v", c)
	}
	conserved(t, b)
	return b
}

// Vesting makes the oldest unverified credit verified, to the unit, in its chunk
// and in the round that has the chunk.
func TestVest(t *testing.T) {
	b := trustBed(t)
	b.vest("w", large-1)
	b.flush()
	wantSums(t, "all but one", b.perChunk("w", 3), Sum{5 + large - 1, 1}, Sum{0, large + 2}, Sum{0, 3})
	if rec, c := b.rec(1), b.chunk(1); rec.Hashes != 5+large-1 || rec.Unverified != 8 || c.Hashes != rec.Hashes || c.Unverified != 8 {
		t.Errorf("record %+v, chunk %+v", rec, c)
	}
	b.vest("w", 2)
	b.flush()
	wantSums(t, "over the cut", b.perChunk("w", 3), Sum{5 + large, 0}, Sum{1, large + 1}, Sum{0, 3})
	b.settle(2, true)
	b.flush()
	if rec := b.rec(2); rec.Hashes != 1 || rec.Unverified != large+1 {
		t.Errorf("record %+v", rec)
	}
	b.vest("w", large+1)
	b.vest("nobody", 5)
	b.flush()
	wantSums(t, "all of the second", b.perChunk("w", 3), Sum{5 + large, 0}, Sum{large + 2, 0}, Sum{0, 3})
	if rec := b.rec(2); rec.Hashes != large+2 || rec.Unverified != 0 {
		t.Errorf("record %+v", rec)
	}
	audited(t, b)
	// More than there is: what there is, whatever the number.
	for i, hashes := range []uint64{4, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		b.vest("w", hashes)
		b.flush()
		wantSums(t, "more than there is", b.perChunk("w", 3), Sum{5 + large, 0}, Sum{large + 2, 0}, Sum{uint64(3 * (i + 1)), 0})
		b.trust("w", "a", 3)
		b.flush()
	}
	if v := b.perChunk("v", 3); v[0] != (Sum{0, 7}) || v[2] != (Sum{1, 0}) {
		t.Errorf("another wallet has changed: %v", v)
	}
	if p := b.pool(); p.Hashes != 2*large+2+5*3+5+7+1 {
		t.Errorf("pool %+v", p)
	}
	if _, ok := b.chunk(1).Wallets["nobody"]; ok {
		t.Error("a wallet without credit is in a chunk")
	}
	audited(t, b)
}

// A claw-back empties what is not verified in all chunks, the open one too, and
// takes it out of the rounds.
func TestClawBack(t *testing.T) {
	b := trustBed(t)
	b.vest("w", large+1) // stays
	b.clawBack("w")
	b.flush()
	wantSums(t, "taken back", b.perChunk("w", 3), Sum{5 + large, 0}, Sum{1, 0}, Sum{0, 0})
	if rec := b.rec(1); rec.Hashes != 5+large || rec.Unverified != 7 || rec.Shares != 3 {
		t.Errorf("record %+v", rec)
	}
	if c := b.chunk(2); c.Hashes != 1 || c.Unverified != 0 || c.Shares != 1 {
		t.Errorf("chunk %+v", c)
	}
	b.settle(2, true)
	b.trust("w", "a", 9) // what comes after it is not taken
	b.clawBack("nobody")
	b.flush()
	if rec := b.rec(2); rec.Hashes != 1 || rec.Unverified != 0 {
		t.Errorf("record %+v", rec)
	}
	wantSums(t, "afterwards", b.perChunk("w", 3), Sum{5 + large, 0}, Sum{1, 0}, Sum{0, 9})
	if v := b.all()["v"]; v != (Sum{1, 7}) {
		t.Errorf("another wallet has changed: %v", v)
	}
	if taken := b.do("HGET", b.l.keys.Stats(), "clawed"); taken != "9007199254740997" { // large+1 of the second chunk, 3
		t.Errorf("%s were taken back", taken)
	}
	audited(t, b)
	b.clawBack("v") // out of a closed round
	b.flush()
	if rec, c := b.rec(1), b.chunk(1); rec.Hashes != 5+large || rec.Unverified != 0 || c.Unverified != 0 || rec.Shares != 3 {
		t.Errorf("record %+v, chunk %+v", rec, c)
	}
	audited(t, b)
	// All of it again from the journal.
	b.do("FLUSHALL", "")
	b.credit("w", "a", 1)
	b.flush()
	wantSums(t, "read again", b.perChunk("w", 3), Sum{5 + large, 0}, Sum{1, 0}, Sum{1, 9})
	audited(t, b)
}
