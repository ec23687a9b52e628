package ledger

import (
	"fmt"
	"maps"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// model is what the books of one node must be: its records one after the other, in
// the plainest way.
type model struct {
	parts  []modelPart // between cuts; the last is open
	states map[[32]byte]State
}

type modelPart struct {
	wallets map[string]Sum
	shares  uint64
	block   [32]byte // that cut it
}

func (m *model) begin() { m.parts = append(m.parts, modelPart{wallets: map[string]Sum{}}) }

func (m *model) cut(id [32]byte) {
	if _, known := m.states[id]; known {
		return
	}
	m.parts[len(m.parts)-1].block = id
	m.states[id] = StateFound
	m.begin()
}

func (m *model) take(e *entry) {
	switch e.kind {
	case journal.KindCredit:
		p := &m.parts[len(m.parts)-1]
		s := p.wallets[e.credit.Wallet]
		if e.credit.Work == nil {
			s.Hashes += e.credit.Difficulty
		} else {
			s.Unverified += e.credit.Difficulty
		}
		p.wallets[e.credit.Wallet] = s
		p.shares++
	case journal.KindFound:
		m.cut(e.settled.ID)
	case journal.KindSettled:
		if m.cut(e.settled.ID); m.states[e.settled.ID] != StateFound {
			return
		}
		m.states[e.settled.ID] = StateOrphaned
		if e.settled.Accepted {
			m.states[e.settled.ID] = StateImmature
		}
	case journal.KindClawBack:
		m.move(e.credit.Wallet, 1<<62, false)
	case journal.KindVest:
		m.move(e.credit.Wallet, e.hashes, true)
	}
}

// move takes unverified credit of a wallet, the oldest first, and makes it verified
// or forgets it.
func (m *model) move(wallet string, hashes uint64, verified bool) {
	for _, p := range m.parts {
		s, ok := p.wallets[wallet]
		if !ok {
			continue
		}
		n := min(s.Unverified, hashes)
		hashes -= n
		s.Unverified -= n
		if verified {
			s.Hashes += n
		}
		p.wallets[wallet] = s
	}
}

// rounds are those that accepted blocks have closed, and the open one.
func (m *model) rounds() (all []Round) {
	r := Round{Wallets: map[string]Sum{}}
	for _, p := range m.parts {
		for w, s := range p.wallets {
			sum := r.Wallets[w]
			sum.add(s)
			r.Wallets[w] = sum
			r.Hashes += s.Hashes
			r.Unverified += s.Unverified
		}
		r.Shares += p.shares
		if m.states[p.block] == StateImmature {
			r.Block = fmt.Sprintf("%x", p.block)
			all = append(all, r)
			r = Round{Wallets: map[string]Sum{}}
		}
	}
	return append(all, r)
}

// without drops wallets that have nothing: Redis may have a 0 or no field.
func without(wallets map[string]Sum) map[string]Sum {
	maps.DeleteFunc(wallets, func(_ string, s Sum) bool { return s == Sum{} })
	return wallets
}

// like checks the books against the model.
func (b *bed) like(rt *rapid.T) {
	b.credit("a", "", 1) // tells of a Redis that was rolled back
	b.flush()
	m := model{states: map[[32]byte]State{}}
	m.begin()
	var shares uint64
	for _, e := range b.events {
		m.take(e)
		if e.kind == journal.KindCredit {
			shares++
		}
	}
	got, want := b.allRounds(), m.rounds()
	if len(got) != len(want) {
		rt.Fatalf("%d rounds, want %d: %+v, want %+v", len(got), len(want), got, want)
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Block != w.Block || g.Hashes != w.Hashes || g.Unverified != w.Unverified || g.Shares != w.Shares || !maps.Equal(without(g.Wallets), without(w.Wallets)) {
			rt.Errorf("round %d is %+v, want %+v", i, g, w)
		}
	}
	blocks, err := b.l.Blocks(testCtx(b.TB), 1000)
	if err != nil || len(blocks) != len(m.states) {
		rt.Errorf("%d blocks, want %d (%v)", len(blocks), len(m.states), err)
	}
	for _, rec := range blocks {
		if rec.State != m.states[rec.ID] {
			rt.Errorf("block %x is %s, want %s", rec.ID, rec.State, m.states[rec.ID])
		}
	}
	if p := b.pool(); p.Shares != shares {
		rt.Errorf("%d shares are counted, told were %d", p.Shares, shares)
	}
	report, err := Audit(testCtx(b.TB), b.l.Reader, []*journal.Journal{b.j})
	if err != nil || len(report.Differences)+len(report.Unchecked) != 0 || report.Shares != shares {
		rt.Errorf("the audit says %+v, %v", report, err)
	}
	if st := b.l.Status(); st.Gaps != 0 || st.Err != nil {
		rt.Errorf("status %+v", st)
	}
}

// Any history of credits, blocks and trust, through crashes of the node that tear
// its last segment, restarts, answers and calls that are lost, scripts that are
// forgotten, and a Redis that is rolled back or emptied, gives the books of the model:
// what was told is counted once.
func TestModel(t *testing.T) {
	budget := 12 * time.Second
	if os.Getenv("ASSAY_LONG_TESTS") != "" {
		budget = 5 * time.Minute
	}
	srv := redistest.Start(t, "--appendfsync", "no")
	cut := newCutter(t, srv)
	st := openStore(t, cut.url())
	begin, cases, failed := time.Now(), 0, false
	property := func(rt *rapid.T) {
		if !failed && time.Since(begin) > budget {
			return
		}
		cases++
		defer func() { failed = failed || rt.Failed() }()
		b := newBed(t, st, func(b *bed) {
			b.cfg.Pool, b.cfg.ChunkSize, b.cfg.BatchEntries = fmt.Sprint("p", cases), 1<<56, 3
			b.cfg.FlushInterval, b.cfg.RetryMax, b.cfg.Heartbeat = time.Millisecond, 10*time.Millisecond, time.Hour
			b.jcfg.SegmentBytes = int64(rapid.IntRange(300, 3000).Draw(rt, "segment"))
		})
		defer b.drop()
		b.steps(rt, cut, srv)
		b.like(rt)
	}
	for begun := time.Now(); !t.Failed() && time.Since(begun) < budget; {
		rapid.Check(t, property)
		if os.Getenv("ASSAY_LONG_TESTS") == "" {
			break
		}
	}
	t.Logf("%d histories", cases)
	if cases < 5 {
		t.Errorf("only %d histories in %s", cases, budget)
	}
}

// steps is one history.
func (b *bed) steps(rt *rapid.T, cut *cutter, srv *redistest.Server) {
	wallet := func() string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "wallet") }
	difficulty := func() uint64 { return rapid.Uint64Range(1, 1<<55).Draw(rt, "difficulty") }
	var older []string // what Redis was once; nil = nothing
	rt.Repeat(map[string]func(*rapid.T){
		"credit": func(rt *rapid.T) {
			for range rapid.IntRange(1, 8).Draw(rt, "shares") {
				at := noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "minute")) * time.Minute)
				b.creditAt(at, wallet(), rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "worker"), difficulty())
			}
		},
		"trust": func(rt *rapid.T) { b.trust(wallet(), "x", difficulty()) },
		"found": func(rt *rapid.T) { b.found(rapid.IntRange(0, 7).Draw(rt, "block")) }, // maybe one found before
		"settle": func(rt *rapid.T) {
			b.settle(rapid.IntRange(0, 7).Draw(rt, "block"), rapid.IntRange(0, 3).Draw(rt, "fate") > 0)
		},
		"vest":      func(rt *rapid.T) { b.vest(wallet(), difficulty()) },
		"claw back": func(rt *rapid.T) { b.clawBack(wallet()) },
		"durable":   func(*rapid.T) { b.durable() },
		"flush":     func(*rapid.T) { b.flush() },
		"restart": func(*rapid.T) {
			b.durable()
			b.reopen()
		},
		"crash": func(rt *rapid.T) {
			b.crash(func(room int) int { return rapid.IntRange(0, room).Draw(rt, "torn at") })
		},
		"lose an answer": func(*rapid.T) { cut.answers.Store(1) },
		"lose a call":    func(*rapid.T) { cut.calls.Store(1) },
		"forget scripts": func(*rapid.T) { srv.CLI("SCRIPT", "FLUSH") },
		"copy": func(*rapid.T) {
			b.flush() // the ledger is idle then
			older = b.snapshot()
		},
		"roll back": func(*rapid.T) { b.restore(older) },
		"":          func(*rapid.T) {},
	})
	cut.answers.Store(0)
	cut.calls.Store(0)
}
