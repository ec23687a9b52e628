package journal

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// segmentFiles are a journal's segments by base.
func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// threeSegments makes a journal of three segments with all kinds of records, and
// gives what is read of it.
func threeSegments(t testing.TB) (dir string, all []Record) {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.FS = quickFS()
	for s := range 3 {
		j := mustOpen(t, cfg)
		for i := range 4 {
			credit(t, j, share(10*s+i))
		}
		found(t, j, Found{Block: block(s), Bytes: []byte("the bytes of a block")})
		if s > 0 {
			settle(t, j, Settled{Block: block(s - 1), Accepted: true, Daemon: "d"})
		}
		credit(t, j, share(10*s+9))
		credit(t, j, share(10*s)) // of a known name
		if s == 2 {
			all = readAll(t, j, 0)
		}
		mustClose(t, j)
	}
	if n := len(segmentFiles(t, cfg.Dir)); n != 3 {
		t.Fatalf("%d segments", n)
	}
	return cfg.Dir, all
}

// restore writes files as they were.
func snapshot(t testing.TB, dir string) (restore func()) {
	t.Helper()
	contents := make(map[string][]byte)
	for _, f := range segmentFiles(t, dir) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		contents[f] = b
	}
	return func() {
		for _, f := range segmentFiles(t, dir) {
			if _, ok := contents[f]; !ok {
				os.Remove(f)
			}
		}
		for f, b := range contents {
			if err := os.WriteFile(f, b, 0o640); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkDamaged: what is read is what was written, but for parts that are said to be
// lost. It gives the number of those.
func checkDamaged(t testing.TB, was, is []Record) (lost int) {
	t.Helper()
	byPosition := make(map[Position]Record)
	for _, r := range was {
		byPosition[r.At] = r
	}
	var at Position
	for _, r := range is {
		if r.At != at {
			t.Fatalf("[%d, %d) is missing and nobody says so", at, r.At)
		}
		at = r.End
		if r.Kind == KindLost {
			lost++
			if r.Lost.From != r.At || r.Lost.To != r.End || r.Lost.Reason == "" {
				t.Fatalf("lost: %+v of [%d, %d)", *r.Lost, r.At, r.End)
			}
			continue
		}
		w := byPosition[r.At]
		w.Sums = r.Sums // readAll has checked them
		if !reflect.DeepEqual(r, w) {
			t.Fatalf("read %+v, was %+v", r, w)
		}
	}
	return lost
}

// TestBitFlips damages each byte of the first, middle and last of three segments.
func TestBitFlips(t *testing.T) {
	dir, all := threeSegments(t)
	restore := snapshot(t, dir)
	final := all[len(all)-1]
	for s, file := range segmentFiles(t, dir) {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			for _, flip := range []byte{1, 0x80, 0xff} {
				b := bytes.Clone(whole)
				b[i] ^= flip
				if err := os.WriteFile(file, b, 0o640); err != nil {
					t.Fatal(err)
				}
				j, err := OpenDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				is := readAll(t, j, 0)
				lost := checkDamaged(t, all, is)
				header, _ := parseHeader(whole)
				inCarry := int64(i) >= header.headerLength && int64(i) < header.data()
				switch last := is[len(is)-1]; {
				case inCarry:
					if lost != 0 || last.Sums != final.Sums {
						t.Fatalf("segment %d, byte %d of the carry: %d parts lost, sums %v", s, i, lost, last.Sums)
					}
				case s < 2:
					if lost == 0 || last.Sums != final.Sums || last.End != final.End {
						t.Fatalf("segment %d, byte %d: %d parts lost, ends with %+v", s, i, lost, last)
					}
				}
			}
		}
		restore()
	}
}

// TestFlippedThenWritten: a node starts on each damage of the last segment, and goes
// on; nothing that was intact is gone, nothing comes twice.
func TestFlippedThenWritten(t *testing.T) {
	dir, all := threeSegments(t)
	restore := snapshot(t, dir)
	file := segmentFiles(t, dir)[2]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		if err := os.WriteFile(file, b, 0o640); err != nil {
			t.Fatal(err)
		}
		cfg := testConfig(dir)
		cfg.FS = quickFS()
		j := mustOpen(t, cfg)
		begin := j.End()
		credit(t, j, Credit{Wallet: "after", Worker: "w", Difficulty: 77, Time: noon})
		is := readAll(t, j, 0)
		last := is[len(is)-1]
		if last.Credit.Difficulty != 77 || last.At != begin {
			t.Fatalf("byte %d: ends with %+v", i, last)
		}
		checkDamaged(t, all, is[:len(is)-1])
		if parsed, _ := parseHeader(b); parsed.headerLength == 0 && begin < all[len(all)-1].End {
			t.Fatalf("byte %d: the header is damaged, and position %d, given out before, is given out again", i, begin)
		}
		mustClose(t, j)
		again, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if twice := readAll(t, again, 0); !reflect.DeepEqual(twice, is) {
			t.Fatalf("byte %d: read again it is\n%+v, was\n%+v", i, twice, is)
		}
		restore()
	}
}

// TestTornTail cuts the last records at each byte, and puts zeros or garbage behind.
func TestTornTail(t *testing.T) {
	dir, all := threeSegments(t)
	restore := snapshot(t, dir)
	file := segmentFiles(t, dir)[2]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	header, err := parseHeader(whole)
	if err != nil {
		t.Fatal(err)
	}
	garbage := make([]byte, 70_000)
	rand.NewChaCha8([32]byte{1}).Read(garbage)
	for name, tail := range map[string][]byte{"nothing": nil, "a zero": {0}, "zeros": make([]byte, 70_000), "garbage": garbage,
		"recycled": whole[header.data():]} {
		t.Run(name, func(t *testing.T) {
			for size := header.data(); size <= int64(len(whole)); size++ {
				if err := os.WriteFile(file, slices.Concat(whole[:size], tail), 0o640); err != nil {
					t.Fatal(err)
				}
				size := size // what is there of the original, which the tail may go on with
				for rest := tail; size < int64(len(whole)) && len(rest) > 0 && rest[0] == whole[size]; rest = rest[1:] {
					size++
				}
				intact := slices.DeleteFunc(slices.Clone(all), func(r Record) bool { return int64(r.End-header.base)+header.data() > size })
				end := intact[len(intact)-1].End
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				torn := info.Size() - header.data() - int64(end-header.base)
				lines := newLogLines()
				cfg := testConfig(dir)
				cfg.FS, cfg.Log = quickFS(), slog.New(lines)
				j := mustOpen(t, cfg)
				if got := readAll(t, j, 0); !reflect.DeepEqual(got, intact) || j.End() != end {
					t.Fatalf("%d bytes: %d records to %d, want %d to %d", size, len(got), j.End(), len(intact), end)
				}
				if said := lines.count(fmt.Sprintf("bytes=%d err=", torn)); said != 1 && torn > 0 {
					t.Fatalf("%d bytes: %d are cut off; the log has %q", size, torn, lines.lines)
				}
				credit(t, j, Credit{Wallet: "after", Difficulty: 77, Time: noon})
				if got := readAll(t, j, end); len(got) != 1 || got[0].Credit.Wallet != "after" {
					t.Fatalf("%d bytes: behind the end there is %+v", size, got)
				}
				mustClose(t, j)
				restore()
			}
		})
	}
}

// TestTruncated: any segment ends at any byte.
func TestTruncated(t *testing.T) {
	dir, all := threeSegments(t)
	restore := snapshot(t, dir)
	final := all[len(all)-1]
	for s, file := range segmentFiles(t, dir) {
		whole, _ := os.ReadFile(file)
		for size := range whole {
			if err := os.Truncate(file, int64(size)); err != nil {
				t.Fatal(err)
			}
			cfg := testConfig(dir)
			cfg.FS = quickFS()
			j := mustOpen(t, cfg)
			credit(t, j, Credit{Wallet: "after", Difficulty: 77, Time: noon})
			is := readAll(t, j, 0)
			lost := checkDamaged(t, all, is[:len(is)-1])
			if s < 2 && (lost == 0 || is[len(is)-1].Sums.Hashes != final.Sums.Hashes+77) {
				t.Fatalf("segment %d of %d bytes: %d parts lost, ends with %+v", s, size, lost, is[len(is)-1])
			}
			mustClose(t, j)
			restore()
		}
	}
}

// TestMisplaced: segments that are missing, copied, exchanged or another journal's.
func TestMisplaced(t *testing.T) {
	other, _ := threeSegments(t)
	for name, c := range map[string]struct {
		do   func(t *testing.T, files []string)
		lost bool
		all  bool // sums are known in spite of it
	}{
		"missing": {func(t *testing.T, f []string) { os.Remove(f[1]) }, true, true},
		"copied": {func(t *testing.T, f []string) {
			b, _ := os.ReadFile(f[0])
			os.WriteFile(filepath.Join(filepath.Dir(f[0]), fileName(99_999)), b, 0o640)
			os.WriteFile(filepath.Join(filepath.Dir(f[0]), fileName(5)), b, 0o640)
			os.WriteFile(filepath.Join(filepath.Dir(f[0]), fileName(1<<63+5)), b, 0o640)
		}, false, true},
		"repeated in place of another": {func(t *testing.T, f []string) {
			b, _ := os.ReadFile(f[0])
			os.WriteFile(f[1], b, 0o640)
		}, true, true},
		"exchanged": {func(t *testing.T, f []string) {
			os.Rename(f[0], f[0]+"x")
			os.Rename(f[1], f[0])
			os.Rename(f[0]+"x", f[1])
		}, true, false},
		"of another journal": {func(t *testing.T, f []string) {
			b, _ := os.ReadFile(segmentFiles(t, other)[1])
			h, _ := parseHeader(b)
			os.WriteFile(filepath.Join(filepath.Dir(f[0]), fileName(h.base)), b, 0o640)
		}, true, true},
		"zeroed": {func(t *testing.T, f []string) { os.WriteFile(f[1], make([]byte, 5000), 0o640) }, true, true},
		"empty":  {func(t *testing.T, f []string) { os.WriteFile(f[1], nil, 0o640) }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, all := threeSegments(t)
			c.do(t, segmentFiles(t, dir))
			lines := newLogLines()
			cfg := testConfig(dir)
			cfg.Log = slog.New(lines)
			j := mustOpen(t, cfg)
			defer mustClose(t, j)
			is := readAll(t, j, 0)
			if lost := checkDamaged(t, all, is); lost > 0 != c.lost {
				t.Errorf("%d parts lost", lost)
			}
			if last := is[len(is)-1]; c.all && last.Sums != all[len(all)-1].Sums {
				t.Errorf("sums %v, want %v", last.Sums, all[len(all)-1].Sums)
			}
			if j.End() != all[len(all)-1].End {
				t.Errorf("end %d, want %d", j.End(), all[len(all)-1].End)
			}
			if said := lines.count("a file in the journal's folder") + lines.count("a segment of the journal cannot be read"); said == 0 && name != "missing" {
				t.Errorf("the log has %q", lines.lines)
			}
		})
	}
}

// TestLastUnreadable: the start falls back on the segment before, says so, and gives
// no position a second time.
func TestLastUnreadable(t *testing.T) {
	dir, all := threeSegments(t)
	files := segmentFiles(t, dir)
	b, _ := os.ReadFile(files[2])
	b[20] ^= 1
	os.WriteFile(files[2], b, 0o640)
	lines := newLogLines()
	cfg := testConfig(dir)
	cfg.Log = slog.New(lines)
	j := mustOpen(t, cfg)
	defer mustClose(t, j)
	if lines.count("the last segment of the journal cannot be read") != 1 {
		t.Errorf("the log has %q", lines.lines)
	}
	if j.End() < all[len(all)-1].End {
		t.Errorf("end %d, was %d", j.End(), all[len(all)-1].End)
	}
	if u := j.Unsettled(); len(u) != 1 || u[0].Height != 101 {
		t.Errorf("unsettled of the segment before: %+v", u)
	}
	credit(t, j, Credit{Wallet: "after", Difficulty: 77, Time: noon})
	is := readAll(t, j, 0)
	if n := len(is); is[n-1].Credit.Difficulty != 77 || is[n-2].Kind != KindLost || is[n-2].Lost.Known {
		t.Errorf("ends with %+v", is[n-2:])
	}
	// A reader that had come to the old end goes on behind the hole.
	if rest := readAll(t, j, all[len(all)-1].End); rest[len(rest)-1].Credit.Difficulty != 77 {
		t.Errorf("from the old end: %+v", rest)
	}
}

// TestOnlyUnreadable: with no header left it is another journal, and says so by its id.
func TestOnlyUnreadable(t *testing.T) {
	cfg := testConfig(t.TempDir())
	j := mustOpen(t, cfg)
	credit(t, j, share(0))
	id, end := j.ID(), j.End()
	mustClose(t, j)
	file := segmentFiles(t, cfg.Dir)[0]
	b, _ := os.ReadFile(file)
	b[0] ^= 1
	os.WriteFile(file, b, 0o640)
	j = mustOpen(t, cfg)
	defer mustClose(t, j)
	if j.ID() == id || j.End() < end {
		t.Errorf("id %s, end %d", j.ID(), j.End())
	}
	if is := readAll(t, j, 0); len(is) != 1 || is[0].Kind != KindLost {
		t.Errorf("read %+v", is)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(after, b) {
		t.Error("the unreadable file was changed")
	}
}

// TestNamesThatAreRecords: a miner's name is the bytes of a record of this very
// segment, at the place where the name will be; damage before it brings it to light.
func TestNamesThatAreRecords(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.FS = quickFS()
	j := mustOpen(t, cfg)
	credit(t, j, Credit{Wallet: "rich", Worker: "w", Difficulty: 1 << 40, Time: noon})
	file := segmentFiles(t, cfg.Dir)[0]
	b, _ := os.ReadFile(file)
	h, err := parseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	record := string(b[h.data():])
	var names []string
	for _, pad := range []string{"", "x", "xx", "xxx"} {
		names = append(names, pad+record+record)
	}
	names = append(names, string(b)) // and a whole segment
	for i, name := range names {
		credit(t, j, Credit{Wallet: name, Worker: record, Difficulty: uint64(i + 1), Time: noon})
	}
	credit(t, j, Credit{Wallet: "end", Difficulty: 1000, Time: noon})
	all := readAll(t, j, 0)
	mustClose(t, j)
	whole, _ := os.ReadFile(file)
	for i := h.data(); i < int64(len(whole)); i++ {
		b := bytes.Clone(whole)
		b[i] ^= 0x55
		os.WriteFile(file, b, 0o640)
		d, err := OpenDir(cfg.Dir)
		if err != nil {
			t.Fatal(err)
		}
		checkDamaged(t, all, readAll(t, d, 0))
	}
}
