package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

func TestRoundIsExactlyUpToTheFinder(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	ctx := testCtx(t)
	credit(t, l, "w", "a", 10)
	credit(t, l, "v", "a", 1) // the finder's share
	p := l.Found(Block{ID: blockID(1), Height: 5, Difficulty: "340282366920938463463374607431768211455", Reward: 600,
		Wallet: "v", Worker: "a", Time: noon})
	credit(t, l, "w", "a", 1000) // after the find: next round
	if err := flushFor(l, 50*time.Millisecond); err == nil {
		t.Error("a flush must wait for the block to be settled")
	}
	if r := current(t, l); r.Hashes != 11 {
		t.Errorf("before it is settled the round has %d, want 11", r.Hashes)
	}
	p.Accepted("daemon-1")
	p.Accepted("daemon-2") // a second answer changes nothing
	p.Rejected("late answer of a third")
	flush(t, l)
	rec, err := p.Wait(ctx)
	if err != nil || rec.Round != 1 || rec.Hashes != 11 || rec.Shares != 2 || rec.Daemon != "daemon-1" || rec.Node != "n" ||
		rec.Difficulty != "340282366920938463463374607431768211455" || rec.Wallet != "v" || !rec.Time.Equal(noon) || rec.ID != blockID(1) {
		t.Errorf("record %+v, %v", rec, err)
	}
	r, err := l.Round(ctx, 1)
	if err != nil || r.Hashes != 11 || r.Wallets["v"] != (Sum{1, 1}) || r.Closed.IsZero() || r.Block == "" {
		t.Errorf("round 1 %+v, %v", r, err)
	}
	if r := current(t, l); r.Number != 2 || r.Hashes != 1000 || r.Wallets["w"].Shares != 1 {
		t.Errorf("round 2 %+v", r)
	}
	if _, err := l.Round(ctx, 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("round 2 is open: %v", err)
	}
}

func flushFor(l *Ledger, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return l.Flush(ctx)
}

func TestRejectedBlockKeepsTheRound(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), nil)
	credit(t, l, "w", "a", 1)
	p := l.Found(Block{ID: blockID(1)})
	credit(t, l, "w", "a", 2)
	p.Rejected("orphan")
	flush(t, l)
	if _, err := p.Wait(testCtx(t)); err != ErrBlockRejected {
		t.Error(err)
	}
	if r := current(t, l); r.Number != 1 || r.Hashes != 3 {
		t.Errorf("round %+v", r)
	}
}

func TestLateBlockClosesTheRoundOpenThen(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.SettleTimeout = 20 * time.Millisecond })
	credit(t, l, "w", "a", 1)
	p := l.Found(Block{ID: blockID(1)})
	credit(t, l, "w", "a", 2)
	flush(t, l) // goes on without the block
	if r := current(t, l); r.Number != 1 || r.Hashes != 3 {
		t.Errorf("round %+v", r)
	}
	p.Accepted("d")
	rec, err := p.Wait(testCtx(t))
	if err != nil || rec.Hashes != 3 || rec.Round != 1 {
		t.Errorf("record %+v, %v", rec, err)
	}
	flush(t, l)
	if r := current(t, l); r.Number != 2 || r.Hashes != 0 || l.Status().Pending != 0 {
		t.Errorf("round %+v, pending %d", r, l.Status().Pending)
	}
}

func TestTwoBlocksInOneFlush(t *testing.T) {
	l := openLedger(t, openStore(t, redistest.Start(t)), func(c *Config) { c.FlushInterval = time.Hour })
	ctx := testCtx(t)
	credit(t, l, "w", "a", 1)
	p1 := l.Found(Block{ID: blockID(1), Height: 9})
	p2 := l.Found(Block{ID: blockID(2), Height: 9}) // no share between: an empty round
	credit(t, l, "w", "a", 4)
	p3 := l.Found(Block{ID: blockID(3), Height: 10})
	p4 := l.Found(Block{ID: blockID(3), Height: 10}) // the same block twice
	credit(t, l, "w", "a", 8)
	p4.Accepted("d")
	p3.Accepted("d")
	p2.Accepted("d")
	p1.Accepted("d")
	for i, c := range []struct {
		p      *Find
		round  uint64
		hashes uint64
	}{{p1, 1, 1}, {p2, 2, 0}, {p3, 3, 4}, {p4, 3, 4}} {
		rec, err := c.p.Wait(ctx)
		if err != nil || rec.Round != c.round || rec.Hashes != c.hashes {
			t.Errorf("block %d: %+v, %v; want round %d with %d", i+1, rec, err, c.round, c.hashes)
		}
	}
	flush(t, l)
	if r := current(t, l); r.Number != 4 || r.Hashes != 8 {
		t.Errorf("round %+v", r)
	}
	rounds, err := l.Rounds(ctx, 10)
	if err != nil || len(rounds) != 3 || rounds[0].Number != 3 || rounds[2].Hashes != 1 {
		t.Errorf("rounds %+v, %v", rounds, err)
	}
	if p, _ := l.Pool(ctx); p.Hashes != 13 {
		t.Errorf("pool %+v", p)
	}
}

// conserved checks that no share is in two rounds or in none.
func conserved(t testing.TB, l *Ledger, want map[string]uint64) {
	t.Helper()
	ctx := testCtx(t)
	got := map[string]uint64{}
	rounds, err := l.Rounds(ctx, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	rounds = append([]Round{current(t, l)}, rounds...)
	for i, r := range rounds {
		if r.Number != uint64(len(rounds)-i) {
			t.Errorf("round %d at place %d of %d", r.Number, i, len(rounds))
		}
		var sum, shares uint64
		for w, s := range r.Wallets {
			got[w] += s.Hashes
			sum += s.Hashes
			shares += s.Shares
		}
		if sum != r.Hashes || shares != r.Shares {
			t.Errorf("round %d: wallets have %d in %d shares, the total says %d in %d", r.Number, sum, shares, r.Hashes, r.Shares)
		}
	}
	for w, h := range want {
		if got[w] != h {
			t.Errorf("wallet %s: all rounds have %d, credited %d", w, got[w], h)
		}
		ws, err := l.Wallet(ctx, w)
		if err != nil || ws.Hashes != h {
			t.Errorf("wallet %s: counter %d, credited %d (%v)", w, ws.Hashes, h, err)
		}
		workers, err := l.Workers(ctx, w)
		var sum uint64
		for _, s := range workers {
			sum += s.Hashes
		}
		if err != nil || sum != h {
			t.Errorf("wallet %s: workers have %d, credited %d (%v)", w, sum, h, err)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d wallets in rounds, %d credited", len(got), len(want))
	}
}

// Nodes credit and find at the same time, some blocks on two nodes at once.
func TestTwoNodesCloseAtOnce(t *testing.T) {
	srv := redistest.Start(t, "--appendfsync", "no")
	st := openStore(t, srv)
	nodes := []*Ledger{openLedger(t, st, nil), openLedger(t, st, nil)}
	var mu sync.Mutex
	want := map[string]uint64{}
	accepted := map[[32]byte]bool{}
	var wg sync.WaitGroup
	for n, l := range nodes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 7))
			for i := range 300 {
				w, d := fmt.Sprintf("w%d", rng.IntN(5)), rng.Uint64N(1<<55)/600+1
				credit(t, l, w, fmt.Sprint(rng.IntN(3)), d)
				mu.Lock()
				want[w] += d
				mu.Unlock()
				if i%3 == 0 {
					id := blockID(i*2 + n)
					if i%9 == 0 {
						id = blockID(i * 2) // both nodes report this one
					}
					p := l.Found(Block{ID: id, Height: uint64(i)})
					if i%15 == 3 {
						p.Rejected("no")
						continue
					}
					mu.Lock()
					accepted[id] = true
					mu.Unlock()
					p.Accepted("d")
				}
			}
		})
	}
	wg.Wait()
	for _, l := range nodes {
		flush(t, l)
	}
	conserved(t, nodes[0], want)
	blocks, err := nodes[0].Blocks(testCtx(t), 1<<20)
	if err != nil || len(blocks) != len(accepted) {
		t.Errorf("%d blocks recorded, %d accepted (%v)", len(blocks), len(accepted), err)
	}
	if r := current(t, nodes[0]); r.Number != uint64(len(accepted))+1 {
		t.Errorf("current round %d, want one more than %d blocks", r.Number, len(accepted))
	}
}
