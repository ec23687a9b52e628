package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/bench/miner"
	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// worth is the difficulty of the shares where RandomX is mined: two rigs find half
// as many as one hash worker can judge.
const worth = 4

// site is where nodes come and go: the folder, the ports and the flags stay, so
// that miners find the next node.
type site struct {
	program     string
	dir         string // --data-dir
	port, admin string
	flags       []string
	worth       uint64 // difficulty of its shares
}

func newSite(t *testing.T, program string, worth uint64, flags ...string) *site {
	t.Helper()
	s := &site{program: program, dir: shortDir(t), port: keptAddr(t), admin: keptAddr(t), worth: worth}
	s.flags = append(flags, "--listen", fmt.Sprintf("%s,diff=%d", s.port, worth), "--admin-listen", s.admin)
	return s
}

// keptAddr is an address nobody listens on, below the ports that the kernel gives
// to who asks for any: it stays free while no node has it, and a miner that dials
// it then cannot meet itself.
func keptAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := "127.0.0.1:" + strconv.Itoa(12000+rand.IntN(18000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port below the kernel's own")
	return ""
}

// begin runs a node and waits for nothing.
func (s *site) begin(t *testing.T) *node {
	t.Helper()
	n := beginProgram(t, s.program, nil, nil, s.dir, s.flags...)
	n.ports, n.admin = []string{s.port}, "http://"+s.admin
	return n
}

// start runs a node and waits until it is ready for miners.
func (s *site) start(t *testing.T) *node {
	t.Helper()
	n := s.begin(t)
	n.waitReady()
	return n
}

// rig is a miner that works here.
func (s *site) rig(wallet, worker string) rig { return rig{s.port, wallet, worker} }

// tool runs a command of assayd with the flags of the site's nodes and more.
func (s *site) tool(t *testing.T, command string, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	args := append(strings.Fields(command), append(base(s.dir), s.flags...)...)
	return runProgram(t, s.program, nil, append(args, flags...)...)
}

// audit holds the books to the journal by assayd ledger audit. What is written
// meanwhile could not be compared, so no miner may be at work.
func (s *site) audit(t *testing.T, flags ...string) {
	t.Helper()
	code, stdout, stderr := s.tool(t, "ledger audit", flags...)
	if code != 0 || !strings.Contains(stdout, "0 differences, 0 parts not compared") {
		t.Errorf("assayd ledger audit: exit %d\n%s%s", code, stdout, stderr)
	}
}

// tireless are miners that look for their node all the time.
func tireless(t *testing.T, rigs ...rig) *crew {
	t.Helper()
	return hireAs(t, miner.Config{Hashers: hashers, Batch: 1, BackoffMin: 20 * time.Millisecond, BackoffMax: 100 * time.Millisecond}, rigs...)
}

// owed is what one worker may have in the books: all it was told of, and beyond
// that no more than the shares whose answers were lost.
type owed struct {
	told
	unanswered, worth uint64 // shares, and the difficulty of each
}

// owed waits until every share has its answer, or has none for good, because its
// connection is gone.
func (c *crew) owed(t *testing.T, worth uint64) []owed {
	t.Helper()
	all := make([]owed, len(c.who))
	for i, m := range c.miners {
		waitFor(t, "the shares on their way", func() error {
			s := m.Stats()
			if open := s.Submitted - s.Accepted - s.Rejected - s.Unanswered; open != 0 {
				return fmt.Errorf("%d of miner %d", open, i)
			}
			all[i] = owed{told: c.who[i], unanswered: s.Unanswered, worth: worth}
			all[i].hashes, all[i].shares = s.Difficulty, s.Accepted
			return nil
		})
	}
	return all
}

// waitFor polls until ok returns nil, where no node need be there.
func waitFor(t *testing.T, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		<-tick.C
	}
}

// within holds the books to what workers are owed.
func (b *books) within(t *testing.T, all []owed) {
	t.Helper()
	rounds := b.sum()
	var sum owed
	wallets := map[string]uint64{}
	for _, o := range all {
		w := b.workers(o.wallet)[o.worker]
		if w.Hashes < o.hashes || w.Hashes > o.hashes+o.worth*o.unanswered || w.Shares < o.shares || w.Shares > o.shares+o.unanswered {
			t.Errorf("worker %.8s.%s: the books have %d in %d shares; it was told %d in %d, and %d shares were not answered",
				o.wallet, o.worker, w.Hashes, w.Shares, o.hashes, o.shares, o.unanswered)
		}
		wallets[o.wallet] += w.Hashes
		sum.hashes, sum.unanswered = sum.hashes+o.hashes, sum.unanswered+o.unanswered
	}
	for wallet, hashes := range wallets {
		if got := rounds[wallet].hashes; got != hashes {
			t.Errorf("wallet %.8s: the rounds have %d, its workers %d", wallet, got, hashes)
		}
	}
	if sum.hashes == 0 {
		t.Error("the miners were told of no accepted share, so this compares nothing")
	}
	t.Logf("told %d, %d unanswered, credited %d, %d blocks of %d found", sum.hashes, sum.unanswered, rounds[""].hashes, len(b.blocks()), len(b.found()))
}

// slice is how many blocks a busy monerod mines well within a call's time.
const slice = 10

// settled extends the chain until it is known which own blocks are on it, and waits
// until no block in the books is open. It returns the node that runs then: another
// one, if there were any, since a start asks for its open blocks at once.
func (s *site) settled(t *testing.T, n *node, b *books, extend func(blocks int)) *node {
	t.Helper()
	n.wait("the journal in Redis", func() error {
		if waits := n.metric("assay_ledger_pending_bytes", "", ""); waits != 0 {
			return fmt.Errorf("%v bytes wait", waits)
		}
		return nil
	})
	if len(b.open()) > 0 {
		for more := buried; more > 0; more -= slice {
			extend(min(more, slice))
		}
		n.kill()
		n = s.start(t)
	}
	n.wait("every found block to be settled", func() error {
		if open := b.open(); len(open) > 0 {
			return fmt.Errorf("%d are open, the first %s", len(open), open[0])
		}
		return nil
	})
	return n
}

// chain holds the accepted blocks in the books to the chain. On its heights [from,
// to) nobody but this pool has mined.
func (b *books) chain(t *testing.T, from, to uint64, idAt func(height uint64) [32]byte) {
	t.Helper()
	has := map[[32]byte]uint64{}
	for _, block := range b.blocks() {
		if other, ok := has[block.ID]; ok {
			t.Errorf("block %x is in the books at heights %d and %d", block.ID, other, block.Height)
		}
		has[block.ID] = block.Height
		if block.State == ledger.StateFound || block.State == ledger.StateOrphaned {
			t.Errorf("block %x has closed a round and is %s", block.ID, block.State)
		}
	}
	for height := from; height < to; height++ {
		id := idAt(height)
		if at, ok := has[id]; !ok || at != height {
			t.Errorf("height %d: the chain's block %x is not in the books", height, id)
		}
		delete(has, id)
	}
	for id, height := range has {
		if height >= to && idAt(height) == id {
			continue // it was on its way when the chain was looked at
		}
		t.Errorf("height %d: the block %x of the books is not on the chain", height, id)
	}
	if from == to {
		t.Error("the pool has found no block, so this compares nothing")
	}
}

// seeded is a source of random numbers whose seed is printed. ASSAY_SEED repeats a
// run, as far as processes repeat.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ASSAY_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ASSAY_SEED=%s: %v", text, err)
		}
	}
	t.Logf("ASSAY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// long tells whether the hour-long forms are wanted.
func long() bool { return os.Getenv("ASSAY_LONG_TESTS") != "" }

// startBoth runs a Redis, and a monerod of that difficulty. With that of a site's
// shares each is a block; with less shares would have less, too. It mines for
// [site.settled], which takes the longer the higher it is.
func startBoth(t *testing.T, difficulty uint64) (*daemontest.Monerod, *redistest.Server) {
	t.Helper()
	return daemontest.Start(t, daemontest.Options{Difficulty: difficulty}), redistest.Start(t)
}
