package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store"
)

// archiveBed has rounds 1 to n of two chunks each, with 100 and 90 hashes, and 5 not
// verified in the second. Every round is paid.
func archiveBed(t *testing.T, n int) *bed {
	b, _ := startBed(t, func(b *bed) { slow(b); b.cfg.ChunkSize = 100; b.cfg.RoundKeep = 1000 * time.Second })
	for i := 1; i <= n; i++ {
		b.credit(fmt.Sprint("w", i%3), "a", 60)
		b.credit("v", "a", 40) // full
		b.flush()
		b.credit("v", "a", 30)
		b.trust("t", "a", 5)
		b.credit(fmt.Sprint("w", i%3), "a", 60)
		b.found(i)
		b.settle(i, true)
		b.flush()
	}
	for i := 1; i <= n; i++ {
		b.state(i, StatePaid)
	}
	b.l.SetDifficulty(95) // windows of 380
	conserved(t, b)
	return b
}

func (b *bed) state(n int, s State) {
	b.Helper()
	b.do("HSET", b.l.keys.Block(hexID(n)), "state", string(s))
}

// archive runs the archiver and gives the rounds that it has put away since.
func (b *bed) archive() (rounds int) {
	b.Helper()
	rounds, err := b.l.Archive(testCtx(b.TB))
	if err != nil {
		b.Fatal(err)
	}
	return rounds
}

// left is the chunks that are cut and not archived.
func (b *bed) left() (numbers []uint64) {
	b.Helper()
	open, err := b.l.OpenChunk(testCtx(b.TB))
	if err != nil {
		b.Fatal(err)
	}
	for n := uint64(1); n < open; n++ {
		if b.do("EXISTS", b.l.keys.Chunk(n)) == "1" {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// A round that nobody can be paid from is one value, which says what its chunks said.
func TestArchive(t *testing.T) {
	b := archiveBed(t, 6)
	before := b.allRounds()
	var chunks [7][]Chunk
	var err error
	for i := 1; i <= 6; i++ {
		if chunks[i], err = b.l.RoundChunks(testCtx(t), b.rec(i)); err != nil || len(chunks[i]) != 2 {
			t.Fatalf("round %d has chunks %+v, %v", i, chunks[i], err)
		}
	}
	// The open chunk is 13. 380 of difficulty before it are the chunks 9 to 12, so
	// round 5 (9 and 10) is the first that stays.
	if n := b.archive(); n != 4 || !slices.Equal(b.left(), []uint64{9, 10, 11, 12}) {
		t.Errorf("%d rounds archived, chunks %v left", n, b.left())
	}
	if after := b.allRounds(); !slices.EqualFunc(after, before, sameRound) {
		t.Errorf("rounds %+v, were %+v", after, before)
	}
	for i := 1; i <= 6; i++ {
		if got, err := b.l.RoundChunks(testCtx(t), b.rec(i)); err != nil || !sameChunks(got, chunks[i]) {
			t.Errorf("round %d: chunks %+v, were %+v (%v)", i, got, chunks[i], err)
		}
	}
	for i := 1; i <= 4; i++ {
		if got := ttl(b, b.l.keys.Archive(hexID(i))); got < 990 || got > 1000 {
			t.Errorf("archive %d is kept for %d s, want 1000", i, got)
		}
	}
	conserved(t, b)
	if n := b.archive(); n != 0 {
		t.Errorf("%d rounds archived twice", n)
	}
	// Trust goes on in what is left.
	b.vest("t", 11)
	b.flush()
	if s := b.all()["t"]; s != (Sum{10, 20}) { // rounds 5 and 6; the archived have 20
		t.Errorf("after vesting t has %v", s)
	}
	b.clawBack("t")
	b.flush()
	audited(t, b)
	// It expires as a whole, and the audit says so.
	b.do("DEL", b.l.keys.Archive(hexID(2)))
	if _, err := b.l.Round(testCtx(t), hexID(2)); !errors.Is(err, ErrNotFound) {
		t.Errorf("an expired archive: %v", err)
	}
	if n := b.archive(); n != 0 {
		t.Errorf("%d rounds archived after one has expired", n)
	}
	report := audit(t, b)
	if len(report.Differences) != 0 || len(report.Unchecked) != 2 {
		t.Errorf("the audit says %+v, unchecked %q", report.Differences, report.Unchecked)
	}
	b.do("SET", b.l.keys.Archive(hexID(1)), "no gzip")
	if _, err := b.l.Round(testCtx(t), hexID(1)); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a damaged archive: %v", err)
	}
}

// sameRound compares times by what they mean, as sameChunks does.
func sameRound(x, y Round) bool {
	same := maps.Equal(x.Wallets, y.Wallets) && x.Started.Equal(y.Started) && x.Closed.Equal(y.Closed)
	x.Wallets, x.Started, x.Closed = y.Wallets, y.Started, y.Closed
	return same && reflect.DeepEqual(x, y)
}

func sameChunks(a, b []Chunk) bool {
	return slices.EqualFunc(a, b, func(x, y Chunk) bool {
		same := maps.Equal(x.Wallets, y.Wallets) && maps.Equal(x.Journals, y.Journals) && x.First.Equal(y.First) && x.Last.Equal(y.Last) && x.Closed.Equal(y.Closed)
		x.Wallets, x.Journals, x.First, x.Last, x.Closed = y.Wallets, y.Journals, y.First, y.Last, y.Closed
		return same && reflect.DeepEqual(x, y)
	})
}

// What somebody may still be paid from stays.
func TestArchiveKeepsWhatMayBePaid(t *testing.T) {
	b := archiveBed(t, 8) // open: 17, edge at 13
	for _, c := range []struct {
		what  string
		do    func()
		first uint64 // chunk that is left
	}{
		{"the network's difficulty is not known", func() { b.l.size.network.Store(0) }, 1},
		{"windows beyond 64 bits", func() { b.l.size.network.Store(1 << 63) }, 1},
		{"windows over all", func() { b.l.SetDifficulty(400) }, 1},
		{"the oldest is not paid", func() { b.l.SetDifficulty(95); b.state(1, StateUnlocked) }, 1},
		{"a young one is not paid", func() { b.state(1, StatePaid); b.state(5, StateImmature) }, 5}, // its first is 9
		{"a fate that is not known", func() {
			b.state(5, StatePaid)
			b.do("HSET", b.l.keys.Block(fmt.Sprintf("%064x", 7)), "state", "found", "cut", "12", "journal", b.j.ID())
			b.do("ZADD", b.l.keys.Blocks(), "12", fmt.Sprintf("%064x", 7))
		}, 7}, // 8 is reached, and its round has 7
		{"an orphan holds nothing back", func() { b.do("HSET", b.l.keys.Block(fmt.Sprintf("%064x", 7)), "state", "orphaned") }, 13},
		{"nor does a second look", func() {}, 13},
	} {
		c.do()
		b.archive()
		if left := b.left(); left[0] != c.first || uint64(len(left)) != 17-c.first {
			t.Errorf("%s: chunks %v are left, want those from %d", c.what, left, c.first)
		}
	}
	if got := b.do("HGET", b.l.keys.Stats(), "oldest"); got != "13" {
		t.Errorf("the oldest chunk is said to be %s", got)
	}
}

// Several nodes look at once: each round is archived once.
func TestArchiversAtOnce(t *testing.T) {
	b := archiveBed(t, 12)
	before := b.allRounds()
	nodes := []*bed{b}
	for i := range 3 {
		nodes = append(nodes, newBed(t, b.st, func(o *bed) { slow(o); o.cfg.Node = fmt.Sprint("n", i) }))
		nodes[i+1].l.SetDifficulty(95)
	}
	counts := make([]int, len(nodes))
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { counts[i], errs[i] = n.l.Archive(context.Background()) })
	}
	wg.Wait()
	sum := 0
	for i := range nodes {
		sum += counts[i]
		if errs[i] != nil {
			t.Error(errs[i])
		}
	}
	if sum != 10 || len(b.left()) != 4 {
		t.Errorf("%v rounds were archived, chunks %v are left", counts, b.left())
	}
	if after := b.allRounds(); !slices.EqualFunc(after, before, sameRound) {
		t.Errorf("rounds %+v, were %+v", after, before)
	}
	conserved(t, b)
}

// Chunks that are not what was read, or a round that is not paid, stay as they are.
func TestArchiveRefusesWhatHasChanged(t *testing.T) {
	b := archiveBed(t, 1)
	keys := []string{b.l.keys.Archive(hexID(1)), b.l.keys.ChunkPrefix(), b.l.keys.Stats(), b.l.keys.Rounds(), b.l.keys.Block(hexID(1))}
	right := []string{"value", "10", "1", "2"}
	for n := uint64(1); n <= 2; n++ {
		right = append(right, b.do("HLEN", b.l.keys.Chunk(n)), strconv.FormatUint(b.chunk(n).Hashes, 10), strconv.FormatUint(b.chunk(n).Unverified, 10))
	}
	try := func(args []string) string {
		reply, err := b.st.Eval(testCtx(t), store.NewScript("archive", archiveLua), keys, args).AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		return reply[0]
	}
	for at := 2; at < len(right); at++ {
		wrong := slices.Clone(right)
		wrong[at] += "1"
		if got := try(wrong); got != "changed" && got != "state" {
			t.Errorf("argument %d is %s: %s", at, wrong[at], got)
		}
	}
	for _, s := range []State{StateFound, StateImmature, StateOrphaned, StateUnlocked} {
		b.state(1, s)
		if got := try(right); got != "state" {
			t.Errorf("a round that is %s: %s", s, got)
		}
	}
	b.state(1, StatePaid)
	if len(b.left()) != 2 || b.do("EXISTS", keys[0]) != "0" {
		t.Errorf("chunks %v are left", b.left())
	}
	conserved(t, b)
	if got := try(right); got != "ok" || len(b.left()) != 0 || b.do("GET", keys[0]) != "value" {
		t.Errorf("what was read: %s", got)
	}
}

// A round may be archived between two reads of who reads it.
func TestReadersSeeARoundOnceArchived(t *testing.T) {
	b := archiveBed(t, 8)
	want := b.round(1)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if r, err := b.l.Round(context.Background(), hexID(1)); err != nil || !sameRound(r, want) {
				ended <- fmt.Errorf("%+v, %w", r, err)
				return
			}
		}
	}()
	for range 30 {
		before := b.snapshot()
		if n := b.archive(); n != 6 {
			t.Errorf("%d rounds archived", n)
		}
		b.restore(before)
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Errorf("a reader has seen %v, want %+v", err, want)
	}
}
