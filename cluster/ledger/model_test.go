package ledger

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// modelRound is what a round must hold: exact, since one node writes.
type modelRound struct {
	wallets map[string]Sum
	block   int
}

// model of one pool fed by one node at a time: a queue of credits and finds,
// judged in order, like the ledger's contract says.
type model struct {
	events []modelEvent
}

type modelEvent struct {
	wallet   string
	hashes   uint64
	find     *Find
	block    int
	accepted bool
}

// rounds replays the events.
func (m *model) rounds() (closed []modelRound, open modelRound) {
	open.wallets = map[string]Sum{}
	byBlock := map[int]bool{}
	for _, e := range m.events {
		if e.find == nil {
			s := open.wallets[e.wallet]
			open.wallets[e.wallet] = Sum{s.Hashes + e.hashes, s.Shares + 1}
			continue
		}
		if !e.accepted || byBlock[e.block] {
			continue
		}
		byBlock[e.block] = true
		open.block = e.block
		closed = append(closed, open)
		open = modelRound{wallets: map[string]Sum{}}
	}
	return closed, open
}

// Any interleaving of credits, finds, verdicts in any order, restarts of Redis
// and of the node gives the rounds of the model.
func TestModel(t *testing.T) {
	srv := redistest.Start(t)
	st := openStore(t, srv)
	pool := 0
	rapid.Check(t, func(rt *rapid.T) {
		pool++
		name := fmt.Sprintf("pool%d", pool)
		l := openModelLedger(t, st, name)
		m := &model{}
		var unsettled []int // indexes of events
		settle := func(at int, yes bool) {
			e := &m.events[unsettled[at]]
			unsettled = append(unsettled[:at], unsettled[at+1:]...)
			e.accepted = yes
			if yes {
				e.find.Accepted("d")
			} else {
				e.find.Rejected("no")
			}
		}
		settleAll := func() {
			for len(unsettled) > 0 {
				settle(rapid.IntRange(0, len(unsettled)-1).Draw(rt, "which"), rapid.Bool().Draw(rt, "accepted"))
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"credit": func(rt *rapid.T) {
				e := modelEvent{wallet: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "wallet"),
					hashes: rapid.Uint64Range(1, 1<<56).Draw(rt, "difficulty")}
				c := Credit{Wallet: e.wallet, Worker: rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "worker"),
					Difficulty: e.hashes, Time: noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "minute")) * time.Minute)}
				if err := l.Credit(c); err != nil {
					rt.Fatal(err)
				}
				m.events = append(m.events, e)
			},
			"found": func(rt *rapid.T) {
				n := rapid.IntRange(0, 5).Draw(rt, "block") // often one found before
				m.events = append(m.events, modelEvent{block: n, find: l.Found(Block{ID: blockID(n), Height: uint64(n)})})
				unsettled = append(unsettled, len(m.events)-1)
			},
			"settle": func(rt *rapid.T) {
				if len(unsettled) == 0 {
					rt.Skip()
				}
				settle(rapid.IntRange(0, len(unsettled)-1).Draw(rt, "which"), rapid.Bool().Draw(rt, "accepted"))
			},
			"flush": func(rt *rapid.T) {
				settleAll()
				flush(t, l)
			},
			"restart node": func(rt *rapid.T) {
				settleAll()
				if err := l.Close(testCtx(t)); err != nil {
					rt.Fatal(err)
				}
				l = openModelLedger(t, st, name)
			},
			"forget scripts": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "rarely") == 0 {
					srv.Restart()
				} else {
					srv.CLI("SCRIPT", "FLUSH")
				}
				waitFor(t, "redis", func() bool { return st.Ping(testCtx(t)) == nil })
			},
		})
		settleAll()
		if err := l.Flush(testCtx(t)); err != nil {
			rt.Fatal(err)
		}
		compare(rt, t, l, m)
		if err := l.Close(testCtx(t)); err != nil {
			rt.Fatal(err)
		}
	})
}

// openModelLedger is openLedger without a cleanup per rapid case, and it tries
// again: a connection may still be the one a restart has broken.
func openModelLedger(t *testing.T, st *store.Store, pool string) *Ledger {
	t.Helper()
	var l *Ledger
	waitFor(t, "a ledger", func() bool {
		var err error
		l, err = Open(testCtx(t), Config{Store: st, Pool: pool, FlushInterval: time.Millisecond,
			RetryMax: 50 * time.Millisecond, SettleTimeout: patience, BatchEntries: 3})
		return err == nil
	})
	return l
}

func compare(rt *rapid.T, t *testing.T, l *Ledger, m *model) {
	closed, open := m.rounds()
	var got []Round
	waitFor(t, "readable rounds", func() bool {
		var err error
		got, err = l.Rounds(testCtx(t), 1<<20)
		return err == nil
	})
	if len(got) != len(closed) {
		rt.Fatalf("%d rounds closed, want %d", len(got), len(closed))
	}
	check := func(got Round, want modelRound) {
		var sum Sum
		for w, s := range want.wallets {
			if got.Wallets[w] != s {
				rt.Errorf("round %d, wallet %s: %v, want %v", got.Number, w, got.Wallets[w], s)
			}
			sum.Hashes += s.Hashes
			sum.Shares += s.Shares
		}
		if len(got.Wallets) != len(want.wallets) || got.Hashes != sum.Hashes || got.Shares != sum.Shares {
			rt.Errorf("round %d has %d wallets, %d, %d; want %d wallets, %v", got.Number, len(got.Wallets), got.Hashes, got.Shares, len(want.wallets), sum)
		}
	}
	for i, want := range closed {
		check(got[len(got)-1-i], want)
	}
	now, err := l.CurrentRound(testCtx(t))
	if err != nil {
		rt.Fatal(err)
	}
	check(now, open)
}
