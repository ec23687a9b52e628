package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/internal/crash"
)

// crashing builds the node with its crash points, once.
var crashing = sync.OnceValues(func() (program string, err error) {
	program = filepath.Join(filepath.Dir(assayd), "assayd-crashpoints")
	args := append([]string{"build", "-tags", "crashpoints", "-o", program}, raceFlags()...)
	if out, err := exec.Command("go", append(args, "github.com/assay-pool/assay/cmd/assayd")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build assayd with crash points: %w\n%s", err, out)
	}
	return program, nil
})

// often is how far into a run a point is passed.
type often int

const (
	shares  often = iota // for every share, or every few
	blocks               // for every found block
	starts               // once in a start, and not again until a segment is full
	nowhere              // not by these nodes
)

// passed has every point of the node. A point that is missing here fails
// TestCrashPoints.
var passed = map[crash.Point]struct {
	often often
	why   string // of nowhere: who tests it
}{
	crash.JournalBeforeAppend:         {shares, ""},
	crash.JournalAfterWriteBeforeSync: {shares, ""},
	crash.JournalAfterSyncBeforeReply: {shares, ""},
	crash.JournalAfterReply:           {shares, ""},
	crash.JournalBeforeFound:          {blocks, ""},
	crash.JournalAfterFound:           {blocks, ""},
	crash.JournalSegmentMade:          {starts, ""},
	crash.JournalSegmentWritten:       {starts, ""},
	crash.JournalSegmentSynced:        {starts, ""},
	crash.JournalSegmentNamed:         {starts, ""},
	crash.JournalSegmentReady:         {starts, ""},
	crash.JournalBeforeRemove:         {nowhere, "--journal-keep is a minute at least; cluster/journal removes segments in milliseconds"},
	crash.JournalAfterRemove:          {nowhere, "--journal-keep is a minute at least; cluster/journal removes segments in milliseconds"},
	crash.LedgerBeforeCall:            {shares, ""},
	crash.LedgerAfterCall:             {shares, ""},
	crash.LedgerBeforeCloseEvent:      {blocks, ""},
	crash.LedgerAfterCloseEvent:       {blocks, ""},
	crash.PoolBeforeFound:             {blocks, ""},
	crash.PoolAfterFound:              {blocks, ""},
	crash.PoolBeforeSubmit:            {blocks, ""},
	crash.PoolAfterSubmit:             {blocks, ""},
	crash.PoolBeforeSettle:            {blocks, ""},
	crash.PoolAfterSettle:             {blocks, ""},
}

// TestCrashPoints ends nodes at every point between a share and its credit, and
// between a block and its round, while miners work. After each the next start goes
// on; then every worker has all it was told of and nothing but unanswered shares
// beyond, the journal and the books are equal, and at last the blocks in the books
// are those on the chain.
func TestCrashPoints(t *testing.T) {
	for p := range passed {
		if !slices.Contains(crash.Points(), p) {
			t.Errorf("there is no point %s", p)
		}
	}
	program, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	rng := seeded(t)
	m, redis := startBoth(t, 2*worth)
	s := newSite(t, program, worth, "--redis", redis.URL(), "--daemon", m.URL+",zmq="+m.ZMQ)
	b := openBooks(t, redis.URL(), "default")
	before := m.Height()
	c := tireless(t, s.rig(walletA, "one"), s.rig(walletB, "two"))
	crashes := 0
	for _, p := range crash.Points() {
		at, ok := passed[p]
		if !ok {
			t.Errorf("%s: no test ends a node there", p)
			continue
		}
		var times []int // which time it is passed
		switch {
		case at.often == nowhere:
			t.Logf("%s is left out: %s", p, at.why)
			continue
		case at.often == starts:
			times = []int{1}
		case long():
			times = []int{1, 2, 3, 5, 8, 13, 21}
		case at.often == shares:
			times = []int{1 + rng.IntN(30)}
		default:
			times = []int{1 + rng.IntN(6)}
		}
		crashes += len(times)
		t.Run(string(p), func(t *testing.T) {
			for _, n := range times {
				s.dies(t, p, n)
			}
			t.Setenv(crash.Env, "")
			n := s.start(t)
			goal := c.accepted() + 3
			n.wait("three more accepted shares", func() error {
				if got := c.accepted(); got < goal {
					return fmt.Errorf("%d of %d", got, goal)
				}
				return nil
			})
			n.stop()
			b.within(t, c.owed(t, s.worth))
			s.audit(t)
		})
	}
	after := m.Height()
	c.finish(nodeStops)
	s.settled(t, s.start(t), b, m.Generate).stop()
	b.within(t, c.owed(t, s.worth))
	s.audit(t)
	b.chain(t, before, after, m.BlockIDAt)
	t.Logf("%d crashes", crashes)
}

// dies runs a node that is to end at the n-th time of a point.
func (s *site) dies(t *testing.T, p crash.Point, times int) {
	t.Helper()
	t.Setenv(crash.Env, fmt.Sprintf("%s:%d", p, times))
	n := s.begin(t)
	select {
	case <-n.done:
	case <-time.After(patience):
		t.Fatalf("%s is not passed %d times within %v", p, times, patience)
	}
	var exit *exec.ExitError
	if !errors.As(n.err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the node ended by itself, not at %s: %v\n%s", p, n.err, n.out.String())
	}
}
