package journal

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// longSegment makes a journal whose first segment has n credits of one worker, and
// gives its file's name and content, and the header.
func longSegment(t *testing.T, n int) (dir, file string, b []byte, h header) {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.FS = quickFS()
	j := mustOpen(t, cfg)
	var pending sync.WaitGroup
	pending.Add(n)
	d := &countDone{pending: &pending, failed: new(atomic.Int64)}
	for range n {
		j.Credit(Credit{Wallet: "wallet", Worker: "rig", Difficulty: 1000, Time: noon}, d)
	}
	pending.Wait()
	mustClose(t, j)
	j = mustOpen(t, cfg)
	credit(t, j, share(0)) // a header behind it
	mustClose(t, j)
	file = segmentFiles(t, cfg.Dir)[0]
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if h, err = parseHeader(b); err != nil {
		t.Fatal(err)
	}
	return cfg.Dir, file, b, h
}

// TestLostDefinition: the credits of a worker are lost up to the next time that its
// name is written, each by its own sums.
func TestLostDefinition(t *testing.T) {
	const n = 1000
	dir, file, b, h := longSegment(t, n)
	b[h.data()+frameHead] ^= 0xff // in the record that says who number 0 is
	if err := os.WriteFile(file, b, 0o640); err != nil {
		t.Fatal(err)
	}
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	lost, read := 0, 0
	all := readAll(t, j, 0)
	for _, rec := range all {
		if rec.Kind == KindLost {
			lost++
			if rec.Lost.Sums != (Sums{Hashes: 1000, Shares: 1}) {
				t.Errorf("lost %+v", rec.Lost)
			}
		} else if read++; rec.Credit.Wallet != "wallet" && read < n-lost {
			t.Fatalf("read %+v", rec)
		}
	}
	if lost != repeatName || read != n+1-repeatName {
		t.Errorf("%d lost and %d read, want %d and %d", lost, read, repeatName, n+1-repeatName)
	}
	if last := all[len(all)-1]; last.Sums != (Sums{Hashes: 1000*n + share(0).Difficulty, Shares: n + 1}) {
		t.Errorf("sums %v", last.Sums)
	}
}

// countingFile counts what is read of all files.
type countingFile struct {
	File
	read *int64
}

func (c countingFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.File.ReadAt(b, off)
	*c.read += int64(n)
	return n, err
}

// TestManyDamages in one segment cost two passes, not one each.
func TestManyDamages(t *testing.T) {
	dir, file, b, h := longSegment(t, 20_000)
	for i := h.data() + 100; i < int64(len(b)); i += 500 {
		b[i] ^= 0xff
	}
	if err := os.WriteFile(file, b, 0o640); err != nil {
		t.Fatal(err)
	}
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var read int64
	fs := *j.fs
	fs.Open = func(name string) (File, error) {
		f, err := OS().Open(name)
		return countingFile{f, &read}, err
	}
	j.fs = &fs
	all := readAll(t, j, 0)
	lost := 0
	for _, rec := range all {
		if rec.Kind == KindLost {
			lost++
		}
	}
	if last := all[len(all)-1]; lost < 500 || last.Sums.Shares != 20_001 {
		t.Errorf("%d parts lost, sums %v", lost, last.Sums)
	}
	if most := int64(8 * len(b)); read > most {
		t.Errorf("%d bytes were read of %d", read, len(b))
	}
}
