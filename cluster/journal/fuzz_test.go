package journal

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// seedSegment is a good segment's file.
func seedSegment(f *testing.F) []byte {
	f.Helper()
	cfg := testConfig(f.TempDir())
	cfg.FS = quickFS()
	j := mustOpen(f, cfg)
	credit(f, j, share(1))
	found(f, j, Found{Block: block(1), Bytes: []byte("bytes")})
	mustClose(f, j)
	j = mustOpen(f, cfg) // with a carry
	for i := range 3 {
		credit(f, j, share(i))
	}
	settle(f, j, Settled{Block: block(1)})
	mustClose(f, j)
	b, err := os.ReadFile(segmentFiles(f, cfg.Dir)[1])
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// FuzzOpen starts on a folder with any file in it: it never panics, gives no record
// that was not written, and can be written and started again.
func FuzzOpen(f *testing.F) {
	good := seedSegment(f)
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(append(bytes.Clone(good), make([]byte, 100)...))
	f.Add([]byte(magic))
	h, _ := parseHeader(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := testConfig(t.TempDir())
		cfg.FS = quickFS()
		if err := os.WriteFile(filepath.Join(cfg.Dir, fileName(h.base)), b, 0o640); err != nil {
			t.Fatal(err)
		}
		j, err := Open(cfg)
		if err != nil {
			return // another identity
		}
		before := j.End()
		credit(t, j, Credit{Wallet: "after", Difficulty: 77, Time: noon})
		all := readAll(t, j, 0)
		if last := all[len(all)-1]; last.Kind != KindCredit || last.Credit.Difficulty != 77 || last.At != before {
			t.Fatalf("ends with %+v", last)
		}
		mustClose(t, j)
		j = mustOpen(t, cfg)
		if again := readAll(t, j, 0); len(again) != len(all) {
			t.Fatalf("%d records, the second time %d", len(all), len(again))
		}
		mustClose(t, j)
	})
}

// FuzzReader reads a segment with a good header and anything behind it, and from any
// position: it ends, in order, and what it takes for a record is one.
func FuzzReader(f *testing.F) {
	good := seedSegment(f)
	h, err := parseHeader(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[h.data():], uint64(0))
	f.Add(good[h.data()+5:], uint64(9))
	f.Add(bytes.Repeat([]byte{0}, 300), uint64(h.base))
	f.Fuzz(func(t *testing.T, b []byte, from uint64) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName(h.base)), append(bytes.Clone(good[:h.data()]), b...), 0o640); err != nil {
			t.Fatal(err)
		}
		j, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close(context.Background())
		r, err := j.NewReader("fuzz", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if r.Seek(Position(from)) != nil {
			from = 0
		}
		at := Position(from)
		for n := 0; ; n++ {
			rec, err := r.Next()
			if err == io.EOF {
				return
			}
			if err != nil || n > len(b)+2 {
				t.Fatalf("after %d records: %v", n, err)
			}
			if rec.At < at || rec.End <= rec.At || rec.End > max(j.End(), h.base) {
				t.Fatalf("[%d, %d) after %d", rec.At, rec.End, at)
			}
			at = rec.End
		}
	})
}

// FuzzPayload gives any payload a good checksum: only form stands between it and the
// books.
func FuzzPayload(f *testing.F) {
	pairs, seeds := newBook[pair](10), newBook[[32]byte](10)
	pairs.begin()
	seeds.begin()
	c := share(3)
	f.Add(appendCredit(nil, &c, 0, &pairs, &seeds))
	f.Add(appendCredit(nil, &c, 0, &pairs, &seeds))
	f.Add(appendFound(nil, &Found{Block: block(1), Bytes: []byte("b")}))
	f.Add(appendSettled(nil, &Settled{Block: block(1)}))
	f.Add(appendVest(nil, &Vest{Wallet: "w"}))
	f.Add(appendClawBack(nil, &ClawBack{Wallet: "w"}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) == 0 || len(payload) > maxRecord {
			return
		}
		b, start := beginFrame(nil)
		b = endFrame(append(b, payload...), start, 42, 1000)
		var w walker
		h := header{base: 1000, salt: 42}
		w.open(&memoryFile{r: bytes.NewReader(b)}, &h, 1000+Position(len(b)))
		for {
			step, err := w.step()
			if err != nil {
				t.Fatal(err)
			}
			switch step {
			case stepEnd:
				return
			case stepTorn:
				t.Fatal("a good checksum is torn")
			case stepDamage:
				if w.rec.Lost.Reason == "damaged" {
					t.Fatal("a good checksum is damaged")
				}
			case stepRecord:
				if w.rec.End != 1000+Position(len(b)) || len(w.names.pairs) > maxNames {
					t.Fatalf("%+v", w.rec)
				}
			}
		}
	})
}

type memoryFile struct {
	File
	r io.ReaderAt
}

func (m *memoryFile) ReadAt(b []byte, off int64) (int, error) { return m.r.ReadAt(b, off) }
