package verify

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/pow"
)

// from is a share of a wallet at an address.
func from(key pow.Key, addr, wallet string, nonce uint32) *Task {
	s := queued(key, nonce, 0)
	s.From, s.Wallet = netip.MustParseAddr(addr), wallet
	return s
}

// order takes n batches of a width and returns who was served.
func order(q *queue, n, width int) (hosts []string) {
	for range n {
		for _, s := range took(q, fixed(width, 0)) {
			hosts = append(hosts, s.From.String()+" "+s.Wallet)
		}
	}
	return hosts
}

func served(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("served\n%q, want\n%q", got, want)
	}
}

const forger, one, two = "10.0.0.9", "10.0.0.1", "10.0.0.2"

// TestServiceGoesRoundByHost: a host with many shares, of many wallets, is
// served no more often than one with a few.
func TestServiceGoesRoundByHost(t *testing.T) {
	q := defaults(1000, 10, time.Hour)
	key := seeded(1)
	for i := range uint32(80) {
		mustPush(t, q, from(key, forger, fmt.Sprint("f", i%5), i))
	}
	mustPush(t, q, from(key, one, "a", 100), from(key, two, "b", 101), from(key, one, "a", 102))
	served(t, order(q, 7, 1),
		"10.0.0.9 f0", "10.0.0.1 a", "10.0.0.2 b", "10.0.0.9 f1", "10.0.0.1 a", "10.0.0.9 f2", "10.0.0.9 f3")
	// One that comes late waits for one round, not for all of the line.
	mustPush(t, q, from(key, two, "b", 103))
	served(t, order(q, 2, 1), "10.0.0.9 f4", "10.0.0.2 b")
}

// TestBatchesAreOfManySenders: so is one wide batch, and within a host it is
// the wallets that take turns.
func TestBatchesAreOfManySenders(t *testing.T) {
	q := defaults(1000, 10, time.Hour)
	key := seeded(1)
	for i := range uint32(50) {
		mustPush(t, q, from(key, forger, "flood", i))
	}
	mustPush(t, q, from(key, forger, "neighbour", 100), from(key, one, "a", 101), from(key, one, "a", 102))
	served(t, order(q, 1, 6),
		"10.0.0.9 flood", "10.0.0.1 a", "10.0.0.9 neighbour", "10.0.0.1 a", "10.0.0.9 flood", "10.0.0.9 flood")
}

// TestHostsOfIPv6: addresses of one /64 are one host, others are not; IPv4 is
// the same in its mapped form.
func TestHostsOfIPv6(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1%eth0", "2001:db8::2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"10.0.0.1", "::ffff:10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
	} {
		if got := hostOf(netip.MustParseAddr(tt.a)) == hostOf(netip.MustParseAddr(tt.b)); got != tt.same {
			t.Errorf("%s and %s are one host: %v", tt.a, tt.b, got)
		}
	}
	if hostOf(netip.Addr{}) != (netip.Addr{}) {
		t.Error("a share of no address is of some host")
	}
	q := defaults(1000, 10, time.Hour)
	for i := range uint32(20) {
		mustPush(t, q, from(seeded(1), fmt.Sprintf("2001:db8::%x", i+1), "w", i))
	}
	mustPush(t, q, from(seeded(1), one, "a", 100))
	order(q, 1, 1)
	served(t, order(q, 1, 1), "10.0.0.1 a")
}

// TestLongestLineGivesWay: a full queue sheds the flood's newest share for any
// newcomer, and the newcomer's only once nobody has more.
func TestLongestLineGivesWay(t *testing.T) {
	q := defaults(8, 1, time.Hour)
	key := seeded(1)
	for i := range uint32(8) {
		wallet := "flood"
		if i < 2 {
			wallet = "neighbour"
		}
		mustPush(t, q, from(key, forger, wallet, i))
	}
	gives := func(s *Task, want uint32) {
		t.Helper()
		if out, closed := q.push(s); out == nil || closed || nonceOf(out) != want {
			t.Errorf("share %d: gave way %v, want %d", nonceOf(s), out, want)
		}
	}
	gives(from(key, forger, "flood", 20), 20)                          // its own line is the longest
	gives(from(key, forger, "neighbour", 21), 7)                       // the host's, but another wallet's line is longer
	gives(from(key, one, "a", 22), 6)                                  // another host's
	gives(from(key, one, "a", 23), 5)                                  // flood 3, neighbour 3 (21 is the newest)
	gives(from(key, two, "b", 24), uint32(longestOf(q, forger)))       // either of them
	gives(from(seeded(2), two, "b", 25), uint32(longestOf(q, forger))) // of another key
	if shares, _ := q.depth(ClassShare); shares != 8 {
		t.Fatalf("%d shares in a queue of 8", shares)
	}
	// Everybody has as much as they can have.
	q = defaults(3, 1, time.Hour)
	for i := range uint32(3) {
		mustPush(t, q, from(key, fmt.Sprintf("10.0.0.%d", i), "w", i))
	}
	gives(from(key, forger, "w", 9), 9)
	gives(from(key, "10.0.0.1", "w", 10), 10)
}

// longestOf is the nonce of the newest share of a host's longest wallet.
func longestOf(q *queue, host string) uint32 {
	l := q.tiers[ClassShare].bins[0]
	return nonceOf(l.hosts[netip.MustParseAddr(host)].newest())
}

// TestForgersDoNotFillCandidates: a flood of claims gives way to another host's
// claim; what gives way is a plain share from then on.
func TestForgersDoNotFillCandidates(t *testing.T) {
	q := defaults(10, 4, time.Hour)
	key := seeded(1)
	claim := func(addr string, nonce uint32) *Task {
		s := from(key, addr, "w", nonce)
		s.Class = ClassCandidate
		return s
	}
	flood := make([]*Task, 6)
	for i := range flood {
		flood[i] = claim(forger, uint32(i))
		mustPush(t, q, flood[i])
	}
	honest := claim(one, 100)
	mustPush(t, q, honest)
	if honest.Class != ClassCandidate {
		t.Error("an honest claim has no place among candidates")
	}
	for i, s := range flood {
		if got := s.Class == ClassCandidate; got != (i < 3) {
			t.Errorf("claim %d of the flood is a candidate: %v", i, got)
		}
	}
	expect(t, took(q, fixed(1, 0)), 0)
	expect(t, took(q, fixed(1, 0)), 4) // the crowded claims' turn; 3 stands behind 4 and 5 now
	expect(t, took(q, fixed(1, 0)), 100)
}

// TestCrowdedClaimIsNeverLate: with claims of as many hosts as there are places a
// further host's claim waits longer, but is not given up: it may be a block.
func TestCrowdedClaimIsNeverLate(t *testing.T) {
	for _, class := range []Class{ClassCandidate, ClassUnprovenCandidate} {
		q := defaults(100, 4, time.Millisecond)
		key := seeded(1)
		long := time.Now().Add(-time.Minute)
		claim := func(addr string, nonce uint32) *Task {
			s := from(key, addr, "w", nonce)
			s.Class, s.Received = class, long
			return s
		}
		for i := range uint32(8) {
			mustPush(t, q, claim(fmt.Sprintf("10.0.2.%d", i), i))
		}
		honest := claim(one, 100)
		mustPush(t, q, honest)
		plain := from(key, one, "w", 200)
		plain.Received = long
		mustPush(t, q, plain)
		var served []uint32
		for len(served) < 9 {
			batch, late, ok := q.take(nil, nil, fixed(1, 0))
			if !ok {
				t.Fatal("the queue is closed")
			}
			for _, s := range late {
				if s != plain {
					t.Errorf("the claim %d is given up", nonceOf(s))
				}
			}
			for _, s := range batch {
				served = append(served, nonceOf(s))
			}
		}
		if !slices.Contains(served, 100) {
			t.Errorf("served are %v, the honest claim is not", served)
		}
	}
}

// TestUnprovenSessionsWait: however many shares come from sessions that have
// proven nothing, and whatever they claim, proven ones have two batches of
// three, and a first share is served soon all the same.
func TestUnprovenSessionsWait(t *testing.T) {
	q := defaults(1000, 100, time.Hour)
	key := seeded(1)
	for i := range uint32(90) {
		s := from(key, fmt.Sprintf("10.0.1.%d", i), "f", i)
		if s.Class = ClassUnproven; i%2 == 0 {
			s.Class = ClassUnprovenCandidate
		}
		mustPush(t, q, s, from(key, one, "a", 1000+i))
	}
	proven := 0
	for range 30 {
		if s := took(q, fixed(1, 0)); s[0].Class == ClassShare {
			proven++
		}
	}
	if proven < 19 || proven > 21 {
		t.Errorf("%d of 30 batches were of proven sessions, want 20", proven)
	}
	// Alone, they have it all.
	q = defaults(1000, 100, time.Hour)
	first := from(key, two, "b", 1)
	first.Class = ClassUnproven
	mustPush(t, q, first)
	expect(t, took(q, fixed(1, 0)), 1)
}

// TestKeysShareByHosts: of two keys neither starves the other, and each is
// served by the number of hosts that wait.
func TestKeysShareByHosts(t *testing.T) {
	q := defaults(10_000, 1, time.Hour)
	many, few := seeded(1), seeded(2)
	for i := range uint32(1000) {
		mustPush(t, q, from(few, forger, "f", i))
		mustPush(t, q, from(many, fmt.Sprintf("10.1.0.%d", i%9), "w", i))
	}
	counts := map[pow.Key]int{}
	for range 100 {
		for _, s := range took(q, fixed(4, 0)) {
			counts[s.Key]++
		}
	}
	if counts[few] < 36 || counts[few] > 44 {
		t.Errorf("%d of 400 shares were of the key that one of ten hosts waits with, want about 40", counts[few])
	}
}

// anyClass is one a share may come with.
func anyClass(rng *rand.Rand) Class {
	switch candidate, unproven := rng.IntN(4) == 0, rng.IntN(3) == 0; {
	case candidate && unproven:
		return ClassUnprovenCandidate
	case candidate:
		return ClassCandidate
	case unproven:
		return ClassUnproven
	}
	return ClassShare
}

// TestQueueAgainstModel: random arrivals and batches; after each step every
// structure of the queue agrees with a plain count of what waits.
func TestQueueAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	q := defaults(60, 10, time.Hour)
	keys := []pow.Key{seeded(1), seeded(2), seeded(3)}
	waiting := map[*Task]bool{}
	for step := range 30_000 {
		if rng.IntN(5) < 3 {
			s := from(keys[rng.IntN(len(keys))], fmt.Sprintf("10.0.0.%d", rng.IntN(1+rng.IntN(9))), fmt.Sprint(rng.IntN(3)), uint32(step))
			s.Received = s.Received.Add(-time.Duration(rng.IntN(1000)))
			s.Class = anyClass(rng)
			waiting[s] = true
			if out, _ := q.push(s); out != nil {
				if !waiting[out] {
					t.Fatal("a share that does not wait gave way")
				}
				delete(waiting, out)
			}
		} else if len(waiting) > 0 {
			batch := took(q, fixed(1+rng.IntN(6), 0))
			for _, s := range batch {
				if !waiting[s] || s.place != (place{}) || s.Key != batch[0].Key {
					t.Fatal("a batch has a share that was not waiting, keeps its place, or has another key")
				}
				delete(waiting, s)
			}
		}
		check(t, q, waiting)
	}
}

// check counts everything anew.
func check(t *testing.T, q *queue, waiting map[*Task]bool) {
	t.Helper()
	total := 0
	for c := range q.tiers {
		k, sum := &q.tiers[c], 0
		for _, l := range k.bins {
			n := checkParty(t, &l.root)
			wallets := 0
			for _, h := range l.hosts {
				wallets += h.children
			}
			if n != l.len() || l.root.children != len(l.hosts) || wallets != len(l.wallets) {
				t.Fatalf("a bin of %d shares says %d; %d of %d hosts, %d of %d wallets", n, l.len(), l.root.children, len(l.hosts), wallets, len(l.wallets))
			}
			aged := 0
			for s := l.oldest; s != nil; s = s.younger {
				if aged++; !waiting[s] || s.younger != nil && s.younger.Received.Before(s.Received) {
					t.Fatal("the order of arrival is wrong")
				}
			}
			if aged != n {
				t.Fatalf("%d of %d shares are in the order of arrival", aged, n)
			}
			sum += n
		}
		if sum != k.size || sum > k.Limit {
			t.Fatalf("class %s has %d shares, says %d, limit %d", k.Name, sum, k.size, k.Limit)
		}
		total += sum
	}
	if total != len(waiting) {
		t.Fatalf("%d shares wait, %d should", total, len(waiting))
	}
}

// checkParty checks a party's ring, ranks and line, and returns its shares.
func checkParty(t *testing.T, p *party) int {
	t.Helper()
	if p.turn == nil {
		n := 0
		for s := p.first; s != nil; s = s.behind {
			n++
		}
		if n != p.size || p.children != 0 {
			t.Fatalf("a wallet of %d shares says %d", n, p.size)
		}
		return n
	}
	sum, children := 0, 0
	for c := p.turn; ; c = c.next {
		if c.size == 0 || c.rank == nil || c.rank.size != c.size || c.next.prev != c {
			t.Fatalf("a child of %d shares is ranked %v", c.size, c.rank)
		}
		sum, children = sum+checkParty(t, c), children+1
		if c.next == p.turn {
			break
		}
	}
	ranked := 0
	for r := p.shortest; r != nil; r = r.longer {
		for c := r.members; c != nil; c = c.after {
			ranked++
		}
		if r.members == nil || r.longer != nil && r.longer.size <= r.size || r.longer == nil && p.longest != r {
			t.Fatal("the ranks are out of order")
		}
	}
	if sum != p.size || children != p.children || ranked != children {
		t.Fatalf("a party of %d shares in %d children, %d ranked, says %d in %d", sum, children, ranked, p.size, p.children)
	}
	return sum
}

// TestQueueAllocatesNothing: shares of many senders come and go, senders too,
// and the queue lives on what it has.
func TestQueueAllocatesNothing(t *testing.T) {
	q := defaults(100, 10, time.Hour)
	keys := []pow.Key{seeded(1), seeded(2)}
	shares := make([]*Task, 400)
	for i := range shares {
		shares[i] = from(keys[i/200], fmt.Sprintf("10.0.%d.%d", i%7, i%31), fmt.Sprint(i%3), uint32(i))
	}
	var batch, late []*Task
	rule := fixed(8, 0)
	n := 0
	turn := func() {
		for range 120 { // more than there is room for
			s := shares[n%len(shares)]
			n++
			if s.line != nil {
				continue // still waits
			}
			if s.Class = ClassShare; n%9 == 0 {
				s.Class = ClassCandidate
			}
			q.push(s)
		}
		for range 12 {
			batch, late, _ = q.take(batch[:0], late, rule)
		}
	}
	for range 20 {
		turn()
	}
	if allocs := testing.AllocsPerRun(200, turn); allocs != 0 {
		t.Errorf("%v allocations for 120 shares", allocs)
	}
	for {
		shares, _ := q.depth(ClassShare)
		if claims, _ := q.depth(ClassCrowded); shares+claims == 0 {
			break
		}
		batch, late, _ = q.take(batch[:0], late, rule)
	}
	parties, ranks := 0, 0
	for p := q.spares.parties; p != nil; p = p.next {
		parties++
	}
	for r := q.spares.ranks; r != nil; r = r.longer {
		ranks++
	}
	if parties > 2*210 || ranks > 2*210 || len(q.spareBins) > sparesPerClass*len(q.tiers) {
		t.Errorf("%d parties, %d ranks and %d bins are kept of a queue of 10 candidates, 100 crowded ones and 100 shares", parties, ranks, len(q.spareBins))
	}
}

// BenchmarkQueue is one share in and out of a queue that others fill, by how
// many hosts they are.
func BenchmarkQueue(b *testing.B) {
	for _, hosts := range []int{1, 100, 4000} {
		b.Run(fmt.Sprintf("hosts-%d", hosts), func(b *testing.B) {
			q := defaults(4096, 64, time.Hour)
			key := seeded(1)
			for i := range 4095 {
				q.push(from(key, netip.AddrFrom4([4]byte{10, 1, byte(i % hosts >> 8), byte(i % hosts)}).String(), "w", uint32(i)))
			}
			var batch, late []*Task
			rule := fixed(1, 0)
			s := from(key, one, "w", 0)
			b.ReportAllocs()
			for b.Loop() {
				s.Received = time.Now()
				q.push(s)
				batch, late, _ = q.take(batch[:0], late, rule)
				s = batch[0]
			}
		})
	}
}
