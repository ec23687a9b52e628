package journal

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCreditRefuses(t *testing.T) {
	j := mustOpen(t, testConfig(t.TempDir()))
	defer mustClose(t, j)
	long := strings.Repeat("x", MaxName+1)
	for name, c := range map[string]struct {
		Credit
		want error
	}{
		"no difficulty":    {Credit{Wallet: "w"}, ErrDifficulty},
		"too difficult":    {Credit{Wallet: "w", Difficulty: math.MaxInt64 + 1}, ErrDifficulty},
		"long wallet":      {Credit{Wallet: long, Difficulty: 1}, ErrName},
		"long worker":      {Credit{Worker: long, Difficulty: 1}, ErrName},
		"longest names":    {Credit{Wallet: long[1:], Worker: long[1:], Difficulty: 1}, nil},
		"the most at once": {Credit{Wallet: "w", Difficulty: math.MaxInt64 - 1}, nil},
		"sums too large":   {Credit{Wallet: "w", Difficulty: math.MaxInt64}, ErrDifficulty},
	} {
		if name == "the most at once" || name == "sums too large" {
			continue // in this order, below
		}
		w := newWaiter(t)
		j.Credit(c.Credit, w)
		if err := w.wait(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	credit(t, j, Credit{Wallet: "w", Difficulty: math.MaxInt64 - 1})
	w := newWaiter(t)
	j.Credit(Credit{Wallet: "w", Difficulty: 1}, w)
	if err := w.wait(); !errors.Is(err, ErrDifficulty) {
		t.Errorf("sums above 2^63-1: %v", err)
	}
	if all := readAll(t, j, 0); len(all) != 2 {
		t.Errorf("%d records, want 2", len(all))
	}
}

// TestRestart: a journal goes on where it ended, whatever the segments are.
func TestRestart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	var id string
	var sums Sums
	var end Position
	for start := range 5 {
		j := mustOpen(t, cfg)
		if id == "" {
			id = j.ID()
		}
		if j.ID() != id || len(id) != 32 {
			t.Fatalf("start %d: id %s, was %s", start, j.ID(), id)
		}
		if j.End() != end {
			t.Fatalf("start %d: end %d, was %d", start, j.End(), end)
		}
		if start != 2 { // a start without a record leaves no segment of its own
			for i := range 10 {
				c := share(i)
				credit(t, j, c)
				sums.Hashes += c.Difficulty
				sums.Shares++
			}
		}
		end = j.End()
		mustClose(t, j)
	}
	files, _ := filepath.Glob(filepath.Join(cfg.Dir, "*"+suffix))
	if len(files) != 4 {
		t.Errorf("%d segments, want 4: %v", len(files), files)
	}
	j, err := OpenDir(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	all := readAll(t, j, 0)
	if len(all) != 40 || all[39].Sums != sums {
		t.Errorf("%d records, sums %v, want 40, %v", len(all), all[len(all)-1].Sums, sums)
	}
}

// TestSeek: from every boundary the rest is what it was.
func TestSeek(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.SegmentBytes = 200
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	for i := range 60 {
		credit(t, j, share(i))
	}
	all := readAll(t, j, 0)
	r, err := j.NewReader("seek", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range all {
		if err := r.Seek(all[i].End); err != nil {
			t.Fatal(err)
		}
		if rest := drain(t, r); !reflect.DeepEqual(rest, append([]Record(nil), all[i+1:]...)) {
			t.Fatalf("from the end of record %d: %d records, want %d", i, len(rest), len(all)-i-1)
		}
	}
	if err := r.Seek(j.End() + 1); !errors.Is(err, ErrAhead) {
		t.Errorf("beyond the end: %v", err)
	}
	// In the middle of a record the rest of it is lost, and said to be.
	for _, i := range []int{0, 7, 31, 59} {
		if err := r.Seek(all[i].At + 1); err != nil {
			t.Fatal(err)
		}
		rest := drain(t, r)
		if len(rest) != len(all)-i || rest[0].Kind != KindLost || rest[0].At != all[i].At+1 || rest[0].End != all[i].End || rest[0].Sums != all[i].Sums {
			t.Errorf("in record %d: %+v", i, rest[0])
		}
	}
}

// TestReady: a reader at the end is told when there is more.
func TestReady(t *testing.T) {
	j := mustOpen(t, testConfig(t.TempDir()))
	defer mustClose(t, j)
	r, err := j.NewReader("ready", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 50 {
		credit(t, j, share(i))
		select {
		case <-r.Ready():
		case <-time.After(deadline):
			t.Fatal("not told of a record")
		}
		if got := drain(t, r); len(got) != 1 || got[0].Credit.Difficulty != share(i).Difficulty {
			t.Fatalf("record %d: %+v", i, got)
		}
	}
}

func TestSyncText(t *testing.T) {
	for text, want := range map[string]Sync{"5ms": DefaultSync, "always": SyncAlways, "off": SyncOff, "0s": 0, "1s": maxSync} {
		var s Sync
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: %v, %v", text, s, err)
		}
		if b, _ := s.MarshalText(); string(b) != text {
			t.Errorf("%q becomes %q", text, b)
		}
	}
	for _, text := range []string{"", "-1ms", "2s", "sometimes", "-1ns", "-2ns", "5"} {
		if s, err := ParseSync(text); err == nil {
			t.Errorf("%q is taken as %v", text, s)
		}
	}
}
