package hashline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cryptonight"
)

// fake hashes with SHA-256 of algorithm, height, seed and input, and notes how
// the lines were grouped.
type fake struct {
	batches []int
	fail    error
}

func digest(key Key, in []byte) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%v %d %x %x", key.Algo, key.Height, key.Seed, in))
	return sum[:]
}

func (f *fake) Hash(key Key, in []byte, lens []uint32, out []byte) error {
	f.batches = append(f.batches, len(lens))
	if f.fail != nil {
		return f.fail
	}
	for i, n := range lens {
		copy(out[32*i:], digest(key, in[:n]))
		in = in[n:]
	}
	if len(in) != 0 || len(out) != 32*len(lens) {
		return errors.New("a malformed batch")
	}
	return nil
}

// want is the output for lines that are all good.
func want(t *testing.T, lines ...string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		r, err := Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%x\n", digest(r.Key, r.Input))
	}
	return b.String()
}

func TestRun(t *testing.T) {
	many := make([]string, 2*MaxBatch+3)
	for i := range many {
		many[i] = fmt.Sprintf("cn/0 %04x", i)
	}
	mixed := []string{"cn/0 01", "cn/0 02", "cn/2 01", "cn/r 01 height=1", "cn/r 02 height=1", "cn/r 03 height=2",
		"rx/0 01 seed=01", "rx/0 02 seed=01", "rx/0 02 seed=02", "cn/0 - height=5", "cn/0 03 height=6"}
	for name, tc := range map[string]struct {
		in      string
		lines   []string
		batches []int
	}{
		"nothing":        {"", nil, nil},
		"comments alone": {"# cn/0 00\n\n  \t\r\n   # more", nil, nil},
		"one":            {"cn/0 00\n", []string{"cn/0 00"}, []int{1}},
		"no end of line": {"cn/0 00", []string{"cn/0 00"}, []int{1}},
		"CRLF":           {"cn/0 00\r\n#\r\ncn/0 01\r\n", []string{"cn/0 00", "cn/0 01"}, []int{2}},
		"batches":        {strings.Join(many, "\n") + "\n", many, []int{MaxBatch, MaxBatch, 3}},
		"keys":           {strings.Join(mixed, "\n") + "\n", mixed, []int{2, 1, 2, 1, 2, 1, 2}},
		"comment inside": {"cn/0 00\n# a comment\n\ncn/0 01\n", []string{"cn/0 00", "cn/0 01"}, []int{2}},
	} {
		t.Run(name, func(t *testing.T) {
			f, out := &fake{}, &bytes.Buffer{}
			if err := Run(t.Context(), strings.NewReader(tc.in), out, f); err != nil {
				t.Fatal(err)
			}
			if out.String() != want(t, tc.lines...) || !slices.Equal(f.batches, tc.batches) {
				t.Errorf("batches %v, want %v; output %s", f.batches, tc.batches, out)
			}
			// Split at every byte the answers are the same, one by one.
			out.Reset()
			if err := Run(t.Context(), iotest.OneByteReader(strings.NewReader(tc.in)), out, &fake{}); err != nil || out.String() != want(t, tc.lines...) {
				t.Errorf("byte by byte: %v, %s", err, out)
			}
		})
	}
}

func TestRunErrors(t *testing.T) {
	broken := errors.New("broken")
	long := "cn/0 " + strings.Repeat("00", MaxLine/2)
	for name, tc := range map[string]struct {
		in   string
		hash *fake
		err  string
		out  []string
	}{
		"first":     {"nonsense\ncn/0 00\n", &fake{}, "line 1: ", nil},
		"later":     {"cn/0 00\n#\ncn/2 01\ncn/0 0\ncn/0 02\n", &fake{}, "line 4: the input has 1 hex digits", []string{"cn/0 00", "cn/2 01"}},
		"last":      {"cn/0 00\ncn/0", &fake{}, "line 2: ", []string{"cn/0 00"}},
		"overlong":  {"cn/0 00\n" + long + "\ncn/0 01\n", &fake{}, "line 2: longer than 262144 bytes", []string{"cn/0 00"}},
		"endless":   {long, &fake{}, "line 1: longer", nil},
		"no hash":   {"cn/0 00\n\ncn/0 01\n", &fake{fail: broken}, "lines 1 to 3: broken", nil},
		"no hash 1": {"\ncn/0 00", &fake{fail: broken}, "line 2: broken", nil},
	} {
		t.Run(name, func(t *testing.T) {
			out := &bytes.Buffer{}
			err := Run(t.Context(), strings.NewReader(tc.in), out, tc.hash)
			var at *LineError
			if !errors.As(err, &at) || !strings.Contains(err.Error(), tc.err) || out.String() != want(t, tc.out...) {
				t.Errorf("%v; output %q", err, out)
			}
			if tc.hash.fail != nil && !errors.Is(err, broken) {
				t.Errorf("%v hides its cause", err)
			}
		})
	}
	t.Run("longest line", func(t *testing.T) {
		line := long[:len("cn/0 ")+(MaxLine-len("cn/0 \n"))/2*2] + "\n" // an even number of digits
		if err := Run(t.Context(), strings.NewReader(line), io.Discard, &fake{}); err != nil {
			t.Errorf("%.200v", err)
		}
	})
	t.Run("reader", func(t *testing.T) {
		in := io.MultiReader(strings.NewReader("cn/0 00\n"), iotest.ErrReader(broken))
		out := &bytes.Buffer{}
		if err := Run(t.Context(), in, out, &fake{}); !errors.Is(err, broken) || out.String() != want(t, "cn/0 00") {
			t.Errorf("%v, %q", err, out)
		}
	})
	t.Run("writer", func(t *testing.T) {
		r, w := io.Pipe()
		r.CloseWithError(broken)
		if err := Run(t.Context(), strings.NewReader("cn/0 00\n"), w, &fake{}); !errors.Is(err, broken) {
			t.Error(err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Run(ctx, strings.NewReader("cn/0 00\n"), io.Discard, &fake{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// FuzzRun: any bytes, read in any pieces, give the same answers and the same
// error, and never more answers than lines.
func FuzzRun(f *testing.F) {
	f.Add([]byte("cn/0 00\n# x\ncn/0 01\r\n\ncn/2 00"))
	f.Add([]byte("cn/0 00\nbad\ncn/0 00\n"))
	f.Add([]byte("rx/0 00 seed=01\nrx/0 00 seed=02\n\x00\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var whole, pieces bytes.Buffer
		a := Run(t.Context(), bytes.NewReader(in), &whole, &fake{})
		b := Run(t.Context(), iotest.HalfReader(bytes.NewReader(in)), &pieces, &fake{})
		if fmt.Sprint(a) != fmt.Sprint(b) || !bytes.Equal(whole.Bytes(), pieces.Bytes()) {
			t.Errorf("%q: %v, %s; in pieces: %v, %s", in, a, &whole, b, &pieces)
		}
		if whole.Len()%65 != 0 || whole.Len()/65 > bytes.Count(in, []byte("\n"))+1 {
			t.Errorf("%q: %s", in, &whole)
		}
	})
}

// TestNativeFill: a width is kept by copies, and every answer is its own line's.
func TestNativeFill(t *testing.T) {
	in, lens := []byte{}, []uint32{}
	for _, n := range []int{76, 43, 100} {
		in = append(in, bytes.Repeat([]byte{byte(n)}, n)...)
		lens = append(lens, uint32(n))
	}
	var one []byte
	for _, width := range []int{1, 2, 3, 5, 8, 16, MaxBatch} {
		n := NewNative(Config{Width: width})
		out := make([]byte, 32*len(lens))
		if err := n.Hash(Key{Algo: algo.CNUPX2}, in, lens, out); err != nil {
			if errors.Is(err, cryptonight.ErrNoCgo) {
				t.Skip(err)
			}
			t.Fatal(err)
		}
		if len(n.lens)%width != 0 || len(n.lens)-len(lens) >= width {
			t.Errorf("width %d: %d lanes for %d inputs", width, len(n.lens), len(lens))
		}
		if one == nil {
			one = slices.Clone(out)
		}
		if !bytes.Equal(one, out) {
			t.Errorf("width %d gives %x, one lane %x", width, out, one)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}
