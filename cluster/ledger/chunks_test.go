package ledger

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// A chunk is cut when it is full, however much waited: each range is a part of one.
func TestChunksAreCutBySize(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.ChunkSize = 100 })
	for i := range 1000 {
		if i%4 == 0 {
			b.trust(fmt.Sprint("w", i%7), "a", 1)
		} else {
			b.credit(fmt.Sprint("w", i%7), "a", 1)
		}
	}
	b.flush()
	open, err := b.l.OpenChunk(testCtx(t))
	if err != nil || open < 9 || open > 11 {
		t.Fatalf("the open chunk is %d, %v", open, err)
	}
	var before uint64
	for n := uint64(1); n < open; n++ {
		c := b.chunk(n)
		all := c.Hashes + c.Unverified
		if all < 100 || all >= 125 || c.Shares != all || c.Before != before || c.Closed.IsZero() || c.Block != "" || c.Number != n {
			t.Errorf("chunk %d: %+v, %d before it", n, c, before)
		}
		before += all
	}
	conserved(t, b)
	// One share may be more than a chunk.
	b.credit("w", "a", 1000)
	b.flush()
	if c := b.chunk(open); c.Closed.IsZero() || c.Hashes < 1000 {
		t.Errorf("chunk %+v", c)
	}
	if _, err := b.l.Chunk(testCtx(t), open+1); !errors.Is(err, ErrNotFound) {
		t.Errorf("a chunk that nothing was written to: %v", err)
	}
	if n, err := b.l.OpenChunk(testCtx(t)); err != nil || n != open+1 {
		t.Errorf("the open chunk is %d, %v", n, err)
	}
	conserved(t, b)
}

// With the network's difficulty a chunk is a part of it, and a minute at least.
func TestChunksFollowTheNetwork(t *testing.T) {
	b, _ := startBed(t, slow)
	at := func(seconds int, d uint64) uint64 {
		t.Helper()
		b.creditAt(noon.Add(time.Duration(seconds)*time.Second), "w", "a", d)
		b.flush()
		n, err := b.l.OpenChunk(testCtx(t))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := at(0, 1_000_000); n != 1 {
		t.Errorf("chunk %d is open before the difficulty is known", n)
	}
	b.found(1)
	b.l.SetDifficulty(7500) // chunks of 200
	if n := at(100, 5000); n != 2 {
		t.Errorf("chunk %d is open after a moment of much work", n)
	}
	if n := at(159, 1); n != 2 {
		t.Errorf("chunk %d is open after 59 s", n)
	}
	if n := at(160, 1); n != 3 {
		t.Errorf("chunk %d is open after a minute", n)
	}
	if n := at(161, 100); n != 3 {
		t.Errorf("chunk %d is open", n)
	}
	if n := at(400, 99); n != 3 {
		t.Errorf("chunk %d is open after much time and little work", n)
	}
	if n := at(100, 1); n != 3 { // a clock that was set back: it is full, and 239 s old
		t.Errorf("chunk %d is open", n)
	}
	if n := at(401, 1); n != 4 {
		t.Errorf("chunk %d is open after enough of both", n)
	}
	conserved(t, b)
	if got := (&sizes{fixed: 7}).get(); got != (chunkSize{7, 0}) {
		t.Errorf("a fixed size is %+v", got)
	}
	small := &sizes{}
	small.network.Store(1)
	if got := small.get(); got.hashes != 1 {
		t.Errorf("the size for a difficulty of 1 is %+v", got)
	}
}

// A found block cuts at once, so that what came before it on this node, the
// finder's share last, is in the chunks up to the cut.
func TestFoundCuts(t *testing.T) {
	b, _ := startBed(t, slow)
	b.credit("w", "a", 10)
	b.credit("v", "a", 1) // the finder's share
	b.found(1)
	b.credit("w", "a", 1000)
	b.flush()
	c, rec := b.chunk(1), b.rec(1)
	if c.Hashes != 11 || c.Shares != 2 || c.Block != hexID(1) || c.Closed.IsZero() || !c.First.Equal(noon) || c.Journals[b.j.ID()] != rec.Position {
		t.Errorf("chunk 1 %+v", c)
	}
	if c := b.chunk(2); c.Hashes != 1000 || c.Block != "" || !c.Closed.IsZero() || c.Before != 11 || c.Journals[b.j.ID()] != b.j.End() {
		t.Errorf("chunk 2 %+v", c)
	}
	want := block(1)
	if !rec.Time.Equal(want.Time) {
		t.Errorf("found at %s, want %s", rec.Time, want.Time)
	}
	rec.Time = want.Time
	if rec.Block != want || rec.State != StateFound || rec.Cut != 1 || rec.Journal != b.j.ID() || rec.First != 0 || rec.Late {
		t.Errorf("record %+v", rec)
	}
	if r := b.current(); r.First != 1 || r.Last != 2 || r.Hashes != 1011 {
		t.Errorf("nothing is closed before its fate is known: %+v", r)
	}
	conserved(t, b)
}

// Two blocks without a share between them: the second one's chunk is empty.
func TestTwoBlocksInARow(t *testing.T) {
	b, _ := startBed(t, slow)
	b.credit("w", "a", 1)
	b.found(1)
	b.found(2)
	b.settle(1, true)
	b.settle(2, true)
	b.credit("w", "a", 4)
	b.found(3)
	b.settle(3, true)
	b.flush()
	for n, want := range map[int]uint64{1: 1, 2: 0, 3: 4} {
		r, rec := b.round(n), b.rec(n)
		if r.Hashes != want || rec.Hashes != want || rec.State != StateImmature {
			t.Errorf("block %d: round %+v, record %+v", n, r, rec)
		}
	}
	if c := b.chunk(2); c.Shares != 0 || c.Hashes != 0 || c.Block != hexID(2) {
		t.Errorf("chunk %+v", c)
	}
	if got, err := b.l.Window(testCtx(t), 3, 5); err != nil || got["w"] != 5 {
		t.Errorf("a window over an empty chunk has %v, %v", got, err)
	}
	conserved(t, b)
}
