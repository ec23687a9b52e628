package ledger

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

func TestRoundIsExactlyUpToTheFinder(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", 10)
	b.credit("v", "a", 1) // the finder's share
	b.found(1)
	b.credit("w", "a", 1000) // after the find: next round
	b.settle(1, true)
	b.flush()
	rec := b.rec(1)
	if rec.State != StateImmature || rec.First != 1 || rec.Cut != 1 || rec.Hashes != 11 || rec.Shares != 2 || rec.Unverified != 0 ||
		rec.Daemon != "d" || rec.Closed.IsZero() || rec.Late || rec.Reason != "" {
		t.Errorf("record %+v", rec)
	}
	if r := b.round(1); r.Hashes != 11 || r.Wallets["v"] != (Sum{1, 0}) || !r.Closed.Equal(rec.Closed) || r.Block != hexID(1) || !r.Started.Equal(noon) {
		t.Errorf("round %+v", r)
	}
	if r := b.current(); r.First != 2 || r.Hashes != 1000 {
		t.Errorf("open round %+v", r)
	}
	if _, err := b.l.Round(testCtx(t), hexID(2)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a block that nobody knows: %v", err)
	}
	b.found(2)
	b.flush()
	if _, err := b.l.Round(testCtx(t), hexID(2)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a block that has closed nothing: %v", err)
	}
	if n := b.do("HGET", b.l.keys.Stats(), "blocks"); n != "1" {
		t.Errorf("the pool has %s blocks", n)
	}
	conserved(t, b)
}

func TestRefusedBlockLeavesOnlyACut(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", 1)
	b.found(1)
	b.credit("w", "a", 2)
	b.settle(1, false)
	b.flush()
	if rec := b.rec(1); rec.State != StateOrphaned || rec.Reason != "no" || rec.First != 0 || rec.Daemon != "" {
		t.Errorf("record %+v", rec)
	}
	if r := b.current(); r.First != 1 || r.Last != 2 || r.Hashes != 3 {
		t.Errorf("round %+v", r)
	}
	b.found(2)
	b.settle(2, true)
	b.flush()
	if r := b.round(2); r.First != 1 || r.Last != 2 || r.Hashes != 3 {
		t.Errorf("round %+v", r)
	}
	conserved(t, b)
}

// Fates come in any order: a block's round is what lies between its cut and the one
// of the accepted block before it, whenever that is known.
func TestFatesInAnyOrder(t *testing.T) {
	const blocks = 4
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.ChunkSize = 12 })
	rng := rand.New(rand.NewPCG(3, 5))
	for run := range 24 {
		var sums [blocks]map[string]Sum // between the cuts
		for i := range blocks {
			sums[i] = map[string]Sum{}
			for range rng.IntN(4) {
				w, d := fmt.Sprint("w", rng.IntN(3)), rng.Uint64N(10)+1
				s := sums[i][w]
				if rng.IntN(3) == 0 {
					b.trust(w, "a", d)
					s.Unverified += d
				} else {
					b.credit(w, "a", d)
					s.Hashes += d
				}
				sums[i][w] = s
			}
			b.found(run*blocks + i)
		}
		order := rng.Perm(blocks)
		accepted := map[int]bool{}
		for _, i := range order {
			accepted[i] = run == 0 || rng.IntN(3) > 0
			b.settle(run*blocks+i, accepted[i])
			if rng.IntN(2) == 0 {
				b.flush() // else several go in one stretch
			}
		}
		if !accepted[blocks-1] { // the next run begins with a new round
			b.found(10_000 + run)
			b.settle(10_000+run, true)
		}
		b.flush()
		want := map[string]Sum{}
		for i := range blocks {
			for w, s := range sums[i] {
				sum := want[w]
				sum.add(s)
				want[w] = sum
			}
			if !accepted[i] {
				continue
			}
			r, rec := b.round(run*blocks+i), b.rec(run*blocks+i)
			var sum Sum
			for _, s := range want {
				sum.add(s)
			}
			if !maps.Equal(r.Wallets, want) || (Sum{rec.Hashes, rec.Unverified}) != sum || rec.Shares != r.Shares || rec.Cut != r.Last {
				t.Errorf("run %d, order %v, block %d: %v, record %+v; want %v", run, order, i, r.Wallets, rec, want)
			}
			want = map[string]Sum{}
		}
	}
	conserved(t, b)
}

// A block that is accepted when its chunks are being paid for another one closes
// what is open then.
func TestLateBlock(t *testing.T) {
	for _, state := range []State{StateUnlocked, StatePaid, StateOrphaned} {
		t.Run(string(state), func(t *testing.T) {
			b, _ := startBed(t, nil)
			b.credit("w", "a", 1)
			b.found(1)
			b.credit("w", "a", 2)
			b.found(2)
			b.settle(2, true)
			b.credit("w", "a", 4)
			b.found(3)
			b.credit("w", "a", 8)
			b.flush()
			b.do("HSET", b.l.keys.Block(hexID(2)), "state", string(state))
			b.settle(1, true)
			b.credit("w", "a", 16)
			b.flush()
			if rec := b.rec(2); rec.First != 1 || rec.Cut != 2 || rec.Hashes != 3 || rec.State != state {
				t.Errorf("the block that is being paid has changed: %+v", rec)
			}
			if rec := b.rec(1); !rec.Late || rec.First != 3 || rec.Cut != 4 || rec.Hashes != 12 || rec.Shares != 2 || rec.State != StateImmature {
				t.Errorf("late block %+v", rec)
			}
			b.settle(3, true) // takes its chunk from the late one
			b.flush()
			if rec := b.rec(3); rec.Late || rec.First != 3 || rec.Cut != 3 || rec.Hashes != 4 {
				t.Errorf("block %+v", rec)
			}
			if rec := b.rec(1); rec.First != 4 || rec.Hashes != 8 || rec.Shares != 1 {
				t.Errorf("late block %+v", rec)
			}
			if r := b.current(); r.First != 5 || r.Hashes != 16 {
				t.Errorf("open round %+v", r)
			}
			blocks, err := b.l.Blocks(testCtx(t), 10)
			if err != nil || len(blocks) != 3 || blocks[0].ID != blockID(1) || blocks[1].ID != blockID(3) || blocks[2].ID != blockID(2) {
				t.Errorf("blocks by cut, the newest first: %+v, %v", blocks, err)
			}
			if state != StateOrphaned { // for the audit its journal has it accepted
				conserved(t, b)
			}
		})
	}
}

// A fate without the record of the find, as after a full disk, is a find too.
func TestSettledWithoutFound(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", 1)
	b.settle(1, true)
	b.credit("w", "a", 2)
	b.settle(2, false)
	b.credit("w", "a", 4)
	b.found(2) // too late to be one
	b.flush()
	if rec := b.rec(1); rec.State != StateImmature || rec.First != 1 || rec.Cut != 1 || rec.Hashes != 1 || rec.Wallet != "finder" || rec.Daemon != "d" {
		t.Errorf("accepted %+v", rec)
	}
	if rec := b.rec(2); rec.State != StateOrphaned || rec.Cut != 2 || rec.Reason != "no" || rec.Height != 2 {
		t.Errorf("refused %+v", rec)
	}
	if r := b.current(); r.First != 2 || r.Hashes != 6 {
		t.Errorf("open round %+v", r)
	}
	conserved(t, b)
}

// The first fate of a block counts, and its first record.
func TestSecondRecordsChangeNothing(t *testing.T) {
	b, _ := startBed(t, nil)
	b.credit("w", "a", 1)
	b.found(1)
	b.credit("w", "a", 2)
	b.found(1)
	b.credit("w", "a", 4)
	b.settle(1, true)
	b.settle(1, true)
	b.settle(1, false)
	b.found(1)
	b.credit("w", "a", 8)
	b.flush()
	if rec := b.rec(1); rec.State != StateImmature || rec.Cut != 1 || rec.Hashes != 1 {
		t.Errorf("record %+v", rec)
	}
	if n := b.do("HGET", b.l.keys.Stats(), "blocks"); n != "1" {
		t.Errorf("the pool has %s blocks", n)
	}
	if r := b.current(); r.First != 2 || r.Hashes != 14 {
		t.Errorf("open round %+v", r)
	}
	b.found(2)
	b.settle(2, false)
	b.flush()
	before := b.rec(2)
	b.settle(2, false)
	b.flush()
	if after := b.rec(2); after != before {
		t.Errorf("record %+v, was %+v", after, before)
	}
	conserved(t, b)
}

// Nodes credit and find at the same time, some blocks on two nodes at once.
func TestManyNodesAtOnce(t *testing.T) {
	srv := redistest.Start(t, "--appendfsync", "no")
	st := openStore(t, srv.URL())
	var nodes []*bed
	for n := range 3 {
		nodes = append(nodes, newBed(t, st, func(b *bed) { b.cfg.Node = fmt.Sprint("n", n); b.cfg.ChunkSize = 1 << 54 }))
	}
	var wg sync.WaitGroup
	for n, b := range nodes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 7))
			var open []int
			for i := range 200 {
				w, d := fmt.Sprintf("w%d", rng.IntN(5)), rng.Uint64N(1<<52)+1
				if i%5 == 0 {
					b.trust(w, fmt.Sprint(rng.IntN(3)), d)
				} else {
					b.credit(w, fmt.Sprint(rng.IntN(3)), d)
				}
				if i%4 == 0 {
					id := i*3 + n
					if i%12 == 0 {
						id = i * 3 // all nodes report this one
					}
					b.found(id)
					open = append(open, id)
				}
				if len(open) > 0 && rng.IntN(3) == 0 {
					k := rng.IntN(len(open))
					b.settle(open[k], open[k]%5 != 0)
					open = append(open[:k], open[k+1:]...)
				}
			}
			for _, id := range open {
				b.settle(id, id%5 != 0)
			}
		})
	}
	wg.Wait()
	found, accepted := map[[32]byte]bool{}, map[[32]byte]bool{}
	for _, b := range nodes {
		b.flush()
		for _, e := range b.events {
			switch {
			case e.kind == journal.KindFound:
				found[e.settled.ID] = true
			case e.kind == journal.KindSettled && e.settled.Accepted:
				accepted[e.settled.ID] = true
			}
		}
	}
	conserved(t, nodes...)
	blocks, err := nodes[0].l.Blocks(testCtx(t), 1<<20)
	if err != nil || len(blocks) != len(found) {
		t.Errorf("%d blocks recorded, %d found (%v)", len(blocks), len(found), err)
	}
	for _, rec := range blocks {
		if (rec.State == StateImmature) != accepted[rec.ID] || rec.State == StateFound {
			t.Errorf("block %+v, accepted %v", rec, accepted[rec.ID])
		}
	}
	if rounds := nodes[0].allRounds(); len(rounds) != len(accepted)+1 {
		t.Errorf("%d rounds after %d blocks", len(rounds)-1, len(accepted))
	}
}
