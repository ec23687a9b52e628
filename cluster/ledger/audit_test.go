package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// history gives a node something of everything; ids of its blocks begin at base.
func (b *bed) history(rng *rand.Rand, steps, base int) {
	var open []int
	for i := range steps {
		w, worker, d := fmt.Sprint("w", rng.IntN(5)), fmt.Sprint(rng.IntN(3)), rng.Uint64N(1<<40)+1
		switch n := rng.IntN(20); {
		case n < 9:
			b.credit(w, worker, d)
		case n < 13:
			b.trust(w, worker, d)
		case n < 15:
			b.found(base + i)
			open = append(open, base+i)
		case n < 17 && len(open) > 0:
			k := rng.IntN(len(open))
			b.settle(open[k], rng.IntN(4) > 0)
			open = append(open[:k], open[k+1:]...)
		case n == 17:
			b.vest(w, rng.Uint64N(1<<42))
		case n == 18 && rng.IntN(4) == 0:
			b.clawBack(w)
		case n == 19:
			b.settle(base+i, true) // without a find
		}
	}
}

// The books of any history are what the journals say: over restarts, of several
// nodes, with rounds that are archived.
func TestAuditOfRandomHistories(t *testing.T) {
	st := openStore(t, redistest.Start(t, "--appendfsync", "no").URL())
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 11))
		var nodes []*bed
		for n := range 1 + seed%3 {
			nodes = append(nodes, newBed(t, st, func(b *bed) {
				b.cfg.Pool, b.cfg.Node, b.cfg.ChunkSize = fmt.Sprint("p", seed), fmt.Sprint("n", n), 1<<42
				b.jcfg.SegmentBytes = 2000
			}))
		}
		for i := range 4 {
			for n, b := range nodes {
				b.history(rng, 60, 1000*(10*i+n))
				if rng.IntN(2) == 0 {
					b.flush()
				}
				if rng.IntN(2) == 0 {
					b.durable()
					b.reopen()
				}
			}
		}
		for _, b := range nodes {
			b.flush()
		}
		audited(t, nodes...)
		a := nodes[0]
		closing, err := a.l.Closing(testCtx(t), 1000)
		if err != nil || len(closing) < 5 {
			t.Fatalf("%d rounds, %v", len(closing), err)
		}
		for _, rec := range closing[len(closing)/2:] {
			a.do("HSET", a.l.keys.Block(fmt.Sprintf("%x", rec.ID)), "state", string(StatePaid))
		}
		blocks, err := a.l.Blocks(testCtx(t), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range blocks { // what is still open would hold all back
			if rec.State == StateFound {
				nodes[0].j.Settle(journal.Settled{Block: rec.Block, Reason: "never came", At: noon}, nil)
			}
		}
		a.credit("w1", "", 1)
		a.flush()
		a.l.SetDifficulty(1 << 40)
		if n := a.archive(); n == 0 {
			t.Errorf("seed %d: nothing was archived", seed)
		}
		audited(t, nodes...)
		// Without a journal what it is in cannot be compared, and nothing is wrong.
		for i := range nodes {
			if len(nodes) == 1 {
				break
			}
			given := append(append([]*bed{}, nodes[:i]...), nodes[i+1:]...)
			report := audit(t, given...)
			if len(report.Differences) != 0 || len(report.Unchecked) == 0 {
				t.Errorf("seed %d, without journal %d: %+v, unchecked %d", seed, i, report.Differences, len(report.Unchecked))
			}
		}
	}
}

// An audit beside a node that works finds nothing.
func TestAuditOfALivePool(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { b.cfg.ChunkSize, b.cfg.FlushInterval = 1<<42, time.Millisecond })
	ended := make(chan struct{})
	defer func() { <-ended }()
	go func() {
		defer close(ended)
		rng := rand.New(rand.NewPCG(5, 6))
		for i := range 40 {
			b.history(rng, 20, 1000*i)
			b.appends.Wait()
			if err := b.l.Flush(testCtx(t)); err != nil {
				t.Error(err)
			}
		}
	}()
	audits, shares, live := 0, uint64(0), true
	for live {
		select {
		case <-ended:
			live = false
		default:
		}
		report, err := Audit(testCtx(t), b.l.Reader, []*journal.Journal{b.j})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Differences)+len(report.Unchecked) != 0 {
			t.Fatalf("the audit says %+v, unchecked %q", report.Differences, report.Unchecked)
		}
		if report.Shares < shares {
			t.Fatalf("the audit has added up %d shares, and before %d", report.Shares, shares)
		}
		audits, shares = audits+1, report.Shares
	}
	t.Logf("%d audits", audits)
	b.flush()
	audited(t, b)
}

// Every value that somebody changes by hand is found.
func TestAuditFindsTampering(t *testing.T) {
	b := archiveBed(t, 8)
	b.state(6, StateImmature)
	b.archive() // rounds 1 to 3
	b.found(20)
	b.credit("w1", "a", 7)
	b.found(21)
	b.settle(21, false)
	b.trust("u", "a", 9)
	b.flush()
	audited(t, b)
	if n := len(b.left()); n != 12 || b.do("EXISTS", b.l.keys.Archive(hexID(3))) != "1" {
		t.Fatalf("chunks %v are left", b.left())
	}
	k := b.l.keys
	open := b.do("GET", k.OpenChunk())
	whole := b.snapshot()
	archiveOf := func(id string, change func(*archived)) func() {
		return func() {
			a, err := b.l.readArchive(testCtx(t), id)
			if err != nil {
				t.Fatal(err)
			}
			change(&a)
			value, err := a.pack()
			if err != nil {
				t.Fatal(err)
			}
			b.do("SET", k.Archive(id), value)
		}
	}
	cmd := func(args ...string) func() { return func() { b.do(args[0], args[1], args[2:]...) } }
	for _, c := range []struct {
		what string
		do   func()
		says string
	}{
		{"a wallet's sum", cmd("HINCRBY", k.Chunk(9), "v", "1"), "chunk 9"},
		{"a wallet's sum, and the total with it", func() { b.do("HINCRBY", k.Chunk(9), "v", "1"); b.do("HINCRBY", k.Chunk(9), "#hashes", "1") }, "chunk 9"},
		{"from one wallet to another", func() { b.do("HINCRBY", k.Chunk(9), "v", "1"); b.do("HINCRBY", k.Chunk(9), "w2", "-1") }, "chunk 9"},
		{"a new wallet", cmd("HSET", k.Chunk(9), "thief", "5"), "thief"},
		{"a wallet is gone", cmd("HDEL", k.Chunk(9), "v"), "chunk 9"},
		{"unverified made verified", func() { b.do("HINCRBY", k.Chunk(10), "t", "5"); b.do("HDEL", k.Chunk(10), "~t") }, "chunk 10"},
		{"unverified made verified, the sums too", func() {
			b.do("HINCRBY", k.Chunk(10), "t", "5")
			b.do("HDEL", k.Chunk(10), "~t")
			b.do("HINCRBY", k.Chunk(10), "#hashes", "5")
			b.do("HINCRBY", k.Chunk(10), "#unverified", "-5")
			b.do("HINCRBY", k.Block(hexID(5)), "hashes", "5")
			b.do("HINCRBY", k.Block(hexID(5)), "unverified", "-5")
		}, "chunk 10"},
		{"unverified is gone", func() { b.do("HDEL", k.Chunk(10), "~t"); b.do("HINCRBY", k.Chunk(10), "#unverified", "-5") }, "chunk 10"},
		{"a chunk's share count", cmd("HINCRBY", k.Chunk(9), "#shares", "1"), "chunk 9"},
		{"a chunk's total", cmd("HINCRBY", k.Chunk(9), "#hashes", "1"), "chunk 9"},
		{"the open chunk", cmd("HINCRBY", k.Chunk(19), "~u", "1"), "chunk 19"},
		{"a chunk's journal", cmd("HSET", k.Chunk(9), "@"+b.j.ID(), "1"), "chunk 9"},
		{"a chunk of a round is deleted", cmd("DEL", k.Chunk(9)), ""},
		{"all chunks of a round are deleted", cmd("DEL", k.Chunk(9), k.Chunk(10)), "round of " + hexID(5)},
		{"a chunk of no round is deleted", cmd("DEL", k.Chunk(18)), "chunk 18"},
		{"the open chunk is deleted", cmd("DEL", k.Chunk(19)), "journal " + b.j.ID()},
		{"an earlier chunk is the open one", cmd("SET", k.OpenChunk(), "18"), "journal " + b.j.ID()},
		{"an archive's sum", archiveOf(hexID(1), func(a *archived) { a.Chunks[0].Wallets["v"] = Sum{41, 0} }), "chunk 1"},
		{"an archive's chunk", archiveOf(hexID(2), func(a *archived) { a.Chunks = a.Chunks[:1] }), "round of " + hexID(2)},
		{"a block's state, found again", cmd("HSET", k.Block(hexID(5)), "state", "found"), "block " + hexID(5)},
		{"a block's state, orphan made whole", cmd("HSET", k.Block(hexID(21)), "state", "paid"), "block " + hexID(21)},
		{"a block's state, made immature", cmd("HSET", k.Block(hexID(20)), "state", "immature"), "block " + hexID(20)},
		{"a block's finder", cmd("HSET", k.Block(hexID(5)), "wallet", "thief"), "block " + hexID(5)},
		{"a block's reward", cmd("HSET", k.Block(hexID(5)), "reward", "601"), "block " + hexID(5)},
		{"a block's height", cmd("HSET", k.Block(hexID(5)), "height", "6"), "block " + hexID(5)},
		{"a block's cut", cmd("HSET", k.Block(hexID(20)), "cut", "18"), "block " + hexID(20)},
		{"a block is deleted", cmd("DEL", k.Block(hexID(20))), "block " + hexID(20)},
		{"a block with a round is deleted", cmd("DEL", k.Block(hexID(5))), "block " + hexID(5)},
		{"a block is deleted from the list too", func() { b.do("DEL", k.Block(hexID(20))); b.do("ZREM", k.Blocks(), hexID(20)) }, "block " + hexID(20)},
		{"a block is not listed", cmd("ZREM", k.Blocks(), hexID(5)), "block " + hexID(5)},
		{"a round is not listed", cmd("ZREM", k.Rounds(), hexID(5)), "block " + hexID(5)},
		{"the last round is not listed", cmd("ZREM", k.Rounds(), hexID(8)), "block " + hexID(8)},
		{"a round is moved", cmd("ZADD", k.Rounds(), "9", hexID(5)), "round of " + hexID(5)},
		{"a round that is none", cmd("ZADD", k.Rounds(), "17", hexID(20)), "round of " + hexID(20)},
		{"a round that is none, far away", cmd("ZADD", k.Rounds(), "1000000000", hexID(20)), "round of " + hexID(20)},
		{"an open chunk far away", cmd("SET", k.OpenChunk(), "1000000000"), "chunk 20"},
		{"a block is added", func() {
			b.do("HSET", k.Block(hexID(99)), "state", "found", "cut", "19", "journal", b.j.ID(), "position", "99999999")
			b.do("ZADD", k.Blocks(), "19", hexID(99))
		}, "block " + hexID(99)},
		{"a block of no journal is added", func() {
			b.do("HSET", k.Block(hexID(99)), "state", "immature", "cut", "19")
			b.do("ZADD", k.Blocks(), "19", hexID(99))
		}, "block " + hexID(99)},
		{"a round's hashes", cmd("HINCRBY", k.Block(hexID(5)), "hashes", "1"), "round of " + hexID(5)},
		{"a round's unverified", cmd("HINCRBY", k.Block(hexID(5)), "unverified", "1"), "round of " + hexID(5)},
		{"a round's shares", cmd("HINCRBY", k.Block(hexID(5)), "shares", "-1"), "round of " + hexID(5)},
		{"a round's first chunk", cmd("HINCRBY", k.Block(hexID(5)), "first", "1"), "round of " + hexID(5)},
		{"an archived round's hashes", cmd("HINCRBY", k.Block(hexID(2)), "hashes", "1"), "round of " + hexID(2)},
		{"the pool's hashes", cmd("HINCRBY", k.Stats(), "hashes", "1"), "pool"},
		{"the pool's shares", cmd("HINCRBY", k.Stats(), "shares", "-1"), "pool"},
		{"a mark", cmd("HSET", k.Marks(), b.j.ID(), fmt.Sprintf("%d 0 0 n", b.j.End()+50)), "journal " + b.j.ID()},
		{"a gap", cmd("RPUSH", k.Gaps(), `{"Journal":"x","From":1,"To":2,"Hashes":3}`), "gap"},
	} {
		t.Run(c.what, func(t *testing.T) {
			c.do()
			report, err := Audit(testCtx(t), b.l.Reader, []*journal.Journal{b.j})
			if err != nil {
				t.Fatal(err)
			}
			said := false
			for _, d := range report.Differences {
				said = said || strings.Contains(d.What+" "+d.Who, c.says)
			}
			if !said {
				t.Errorf("the audit says %+v, want something of %q", report, c.says)
			}
			b.restore(whole)
		})
	}
	if b.do("GET", k.OpenChunk()) != open {
		t.Error("the books are not what they were")
	}
	audited(t, b)
}

// What cannot be compared is said, and is no difference.
func TestAuditOfWhatIsNotThere(t *testing.T) {
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.ChunkSize = 10 })
	report := audit(t, b)
	if len(report.Differences)+len(report.Unchecked) != 0 {
		t.Errorf("empty books: %+v", report)
	}
	b.credit("w", "a", 10)
	b.found(1)
	b.settle(1, true)
	b.credit("w", "a", 10)
	b.flush()
	report, err := Audit(context.Background(), b.l.Reader, nil)
	if err != nil || len(report.Differences) != 0 || len(report.Unchecked) < 3 || report.Chunks != 0 || report.Shares != 0 {
		t.Errorf("without journals: %+v, %v", report, err)
	}
	for _, text := range report.Unchecked {
		if !strings.Contains(text, b.j.ID()) {
			t.Errorf("%q does not name the journal", text)
		}
	}
	// A copy that was taken before the rest was written.
	other := newBed(t, b.st, func(o *bed) { slow(o); o.cfg.Pool = "other" })
	if report, err = Audit(context.Background(), b.l.Reader, []*journal.Journal{other.j}); err != nil || len(report.Differences) != 0 || len(report.Unchecked) == 0 {
		t.Errorf("with another pool's journal: %+v, %v", report, err)
	}
}
