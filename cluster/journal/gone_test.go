package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestFileRemoved: a segment that somebody removes, or puts another file in the place
// of, ends the acceptance within a second or so instead of taking shares that nobody
// will find, and a new one goes on.
func TestFileRemoved(t *testing.T) {
	for name, do := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			raw, err := os.ReadFile(path)
			if err == nil {
				err = os.Remove(path)
			}
			if err == nil {
				err = os.WriteFile(path, raw, 0o640)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, err := Open(testConfig(dir))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = j.Close(t.Context()) })
			commit := func() error {
				done := make(answer, 1)
				j.Credit(Credit{Wallet: "w", Worker: "r", Difficulty: 1, Time: time.Now()}, done)
				return <-done
			}
			if err := commit(); err != nil {
				t.Fatal(err)
			}
			segments := j.Segments()
			if err := do(filepath.Join(dir, segments[len(segments)-1].File)); err != nil {
				t.Fatal(err)
			}
			failed := false
			for deadline := time.Now().Add(30 * time.Second); ; {
				err := commit()
				if failed && err == nil {
					break // in a new segment
				}
				if err != nil && !failed {
					failed = true
					if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errReplaced) {
						t.Fatalf("the refusal says %v", err)
					}
				}
				if time.Now().After(deadline) {
					t.Fatalf("refused: %v, and then taken: never", failed)
				}
				time.Sleep(5 * time.Millisecond) // between two shares
			}
			if err := j.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Segments(); len(got) == 0 || got[len(got)-1].File == segments[len(segments)-1].File {
				t.Errorf("segments %+v: nothing new was made", got)
			}
		})
	}
}

type answer chan error

func (a answer) Committed(err error) { a <- err }

// TestTwoJournalsInAFolder: an older journal that has come further, put back beside
// the one in use, does not take its place.
func TestTwoJournalsInAFolder(t *testing.T) {
	write := func(dir string, shares int) string {
		j, err := Open(testConfig(dir))
		if err != nil {
			t.Fatal(err)
		}
		done := make(answer, shares)
		for range shares {
			j.Credit(Credit{Wallet: "w", Worker: "r", Difficulty: 1, Time: time.Now()}, done)
		}
		for range shares {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return j.ID()
	}
	old, dir := t.TempDir(), t.TempDir()
	write(old, 500)
	write(old, 1) // its last segment begins behind the other's
	for made := time.Now().UnixMilli(); time.Now().UnixMilli() <= made; {
		runtime.Gosched() // segments have their time in milliseconds
	}
	own := write(dir, 3)
	entries, err := os.ReadDir(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if base, ok := baseOf(e.Name()); !ok || base == 0 {
			continue // the lock, and the name that both have
		}
		raw, err := os.ReadFile(filepath.Join(old, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), raw, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	j, err := Open(testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close(t.Context()) }()
	if j.ID() != own {
		t.Errorf("the journal is %s, the one in use was %s", j.ID(), own)
	}
}
