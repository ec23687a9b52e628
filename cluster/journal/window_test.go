package journal

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

// countingReader counts what is read, and gives no more than there is.
type countingReader struct {
	r    io.ReaderAt
	read int64
}

func (c *countingReader) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(b, off)
	c.read += int64(n)
	return n, err
}

// TestSearchIsLinear: garbage and hostile lengths cost no more than one pass, and no
// memory.
func TestSearchIsLinear(t *testing.T) {
	const size = 4 << 20
	random := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(random)
	for name, b := range map[string][]byte{"random": random, "zeros": make([]byte, size), "ones": bytes.Repeat([]byte{0xff}, size)} {
		t.Run(name, func(t *testing.T) {
			c := &countingReader{r: bytes.NewReader(b)}
			w := window{f: c, salt: 12345, limit: size}
			if _, ok, err := w.search(0); ok || err != nil {
				t.Fatalf("found a record: %v, %v", ok, err)
			}
			if c.read > 2*size {
				t.Errorf("%d bytes were read to search %d", c.read, size)
			}
		})
	}
}

// TestDamagedLength: every length that passes for one is refused before it takes
// memory.
func TestDamagedLength(t *testing.T) {
	const size = 2 * MaxBlock
	b := make([]byte, size)
	w := window{salt: 99, limit: size}
	c := &countingReader{r: bytes.NewReader(b)}
	w.f = c
	for _, n := range []uint32{1, shortRecord, shortRecord + 1, windowBytes, maxRecord, maxRecord + 1, 1 << 31, 1<<32 - 1} {
		put := n ^ uint32(mixed(w.salt, 0))
		b[0], b[1], b[2], b[3] = byte(put), byte(put>>8), byte(put>>16), byte(put>>24)
		w.buf = w.buf[:0]
		if _, _, ok, err := w.frame(0); ok || err != nil {
			t.Errorf("length %d: %v, %v", n, ok, err)
		}
		if allocs := testing.AllocsPerRun(5, func() { w.buf = w.buf[:0]; w.frame(0) }); allocs > 0 || w.long != nil {
			t.Errorf("length %d takes memory: %v, %d bytes", n, allocs, cap(w.long))
		}
	}
	if c.read > 100*windowBytes {
		t.Errorf("%d bytes were read", c.read)
	}
}

// TestReadErrors are the caller's to repeat: nothing is skipped for them.
func TestReadErrors(t *testing.T) {
	dir, all := threeSegments(t)
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	under, fail := j.fs, true
	fs := *under
	fs.Open = func(name string) (File, error) {
		f, err := under.Open(name)
		return &flakyFile{File: f, fail: &fail}, err
	}
	j.fs = &fs
	r, err := j.NewReader("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var is []Record
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if errors.Is(err, errFlaky) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		is = append(is, own(rec))
	}
	if !reflect.DeepEqual(is, all) {
		t.Errorf("%d records, want %d", len(is), len(all))
	}
}

var errFlaky = errors.New("flaky")

type flakyFile struct {
	File
	fail *bool
}

func (f *flakyFile) ReadAt(b []byte, off int64) (int, error) {
	if *f.fail = !*f.fail; *f.fail {
		return 0, errFlaky
	}
	return f.File.ReadAt(b, off)
}
