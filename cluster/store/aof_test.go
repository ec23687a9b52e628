package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// resp is a command as redis-server writes it.
func resp(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func walk(t testing.TB, file string) aofShape {
	t.Helper()
	s, err := walkAOF(newAOFReader(strings.NewReader(file), int64(len(file))))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func follows(t testing.TB, file string, from int64) (int64, error) {
	t.Helper()
	at, err := newAOFReader(strings.NewReader(file), int64(len(file))).follows(from)
	if err != nil && !errors.Is(err, errAOFUnclear) {
		t.Fatal(err)
	}
	return at, err
}

func TestWalkAOF(t *testing.T) {
	set, multi, exec := resp("SET", "a", "1"), resp("MULTI"), resp("EXEC")
	const zeros = "\x00\x00\x00\x00"
	for _, c := range []struct {
		name, keep, within, rest string // end and bad lie between them
		torn                     bool
	}{
		{name: "empty"},
		{name: "commands", keep: set + resp("INCR", "b") + set},
		{name: "a transaction", keep: multi + set + set + exec},
		{name: "names in small letters", keep: resp("multi") + set + resp("exec") + set},
		{name: "annotations", keep: "#TS:1234567890\r\n" + set + "#TS:1234567891\r\n"},
		{name: "an empty value", keep: resp("SET", "a", "")},
		{name: "a value of line ends", keep: resp("SET", "a", "\r\n\r\n$1\r\n")},
		{name: "long values", keep: resp("SET", "a", strings.Repeat("x", 3*aofWindow)) + set},
		{name: "open transaction", keep: set, within: multi + set},
		{name: "zeros", keep: set, rest: zeros},
		{name: "zeros in a transaction", keep: set, within: multi + set, rest: zeros},
		{name: "zeros behind one", keep: multi + set + exec, rest: zeros},
		{name: "half a value", keep: set, rest: "*2\r\n$3\r\nGET\r\n$5\r\nab", torn: true},
		{name: "half a value, then fewer zeros than are missing", keep: set, rest: "*2\r\n$3\r\nGET\r\n$9\r\nab" + zeros, torn: true},
		{name: "half a value, then more zeros", keep: set, rest: "*2\r\n$3\r\nGET\r\n$3\r\nab" + zeros},
		{name: "zeros in place of the last line end", keep: set, rest: "*2\r\n$3\r\nGET\r\n$1\r\na\x00\x00"},
		{name: "zero in place of a line feed", keep: set, rest: "*2\r\n$3\r\nGET\r\n$1\r\na\r\x00"},
		{name: "torn in a transaction", keep: set, within: multi + set, rest: "*3\r\n$3\r\n", torn: true},
		{name: "star", keep: set, rest: "*", torn: true},
		{name: "star and digit", keep: set, rest: "*1", torn: true},
		{name: "star and half a line end", keep: set, rest: "*1\r", torn: true},
		{name: "count only", keep: set, rest: "*1\r\n", torn: true},
		{name: "dollar", keep: set, rest: "*1\r\n$", torn: true},
		{name: "no line end yet", keep: set, rest: "*1\r\n$4\r\nPING", torn: true},
		{name: "no line feed yet", keep: set, rest: "*1\r\n$4\r\nPING\r", torn: true},
		{name: "no count", keep: set, rest: "*\r\n"},
		{name: "no arguments", keep: set, rest: "*0\r\n"},
		{name: "negative length", keep: set, rest: "*1\r\n$-1\r\n"},
		{name: "negative count", keep: set, rest: "*-1\r\n"},
		{name: "sign", keep: set, rest: "*+1\r\n"},
		{name: "leading zero", keep: set, rest: "*01\r\n$4\r\nPING\r\n"},
		{name: "count too high", keep: set, rest: "*1048577\r\n"},
		{name: "count too high for 64 bits", keep: set, rest: "*99999999999999999999\r\n"},
		{name: "length too high", keep: set, rest: "*1\r\n$536870913\r\n"},
		{name: "line feed alone", keep: set, rest: "*1\n$4\nPING\n"},
		{name: "blank line", keep: set, rest: "\r\n"},
		{name: "inline command", keep: set, rest: "PING\r\n"},
		{name: "an annotation cut short", keep: set, rest: "#TS:12"},
		{name: "an annotation without line feed", keep: set, rest: "#TS:12\r"},
		{name: "an annotation of zeros", keep: set, rest: "#" + zeros + "\r\n"},
		{name: "an annotation too long", keep: set, rest: "#" + strings.Repeat("x", aofNote) + "\r\n"},
		{name: "transaction in a transaction", keep: set, within: multi + set, rest: multi + set + exec},
		{name: "end of no transaction", keep: set, rest: exec + set},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := aofShape{size: int64(len(c.keep + c.within + c.rest)), end: int64(len(c.keep)),
				bad: int64(len(c.keep + c.within)), torn: c.torn}
			if got := walk(t, c.keep+c.within+c.rest); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// Every cut of a file with values around the window's size.
func TestWalkAOFCutAnywhere(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var file strings.Builder
	ends := []int{0}
	for range 12 {
		value := strings.Repeat("\r\n*1\r\n$4\r\nPING", rnd.IntN(aofWindow/7))
		if rnd.IntN(2) == 0 {
			file.WriteString(resp("MULTI") + resp("SET", "k", value) + resp("INCR", "n") + resp("EXEC"))
		} else {
			file.WriteString(resp("SET", "k", value))
		}
		ends = append(ends, file.Len())
	}
	whole := file.String()
	for cut := 0; cut <= len(whole); cut += 1 + rnd.IntN(900) {
		want := 0
		for _, e := range ends {
			if e <= cut {
				want = e
			}
		}
		if s := walk(t, whole[:cut]); s.end != int64(want) || !s.torn && s.bad != s.size {
			t.Fatalf("cut at %d: %+v, want end %d", cut, s, want)
		}
	}
}

func TestAOFFollows(t *testing.T) {
	set := resp("SET", "a", "1")
	for _, c := range []struct {
		name, damaged, rest string
		want                bool
	}{
		{"nothing", "x", "", false},
		{"zeros", "\x00", strings.Repeat("\x00", 3*aofWindow), false},
		{"stars", "*", strings.Repeat("*", 3*aofWindow), false},
		{"headers", "*", strings.Repeat("*1\r\n$", aofWindow), false},
		{"a command", "\x00\x00", set, true},
		{"a command and zeros", "\x00\x00", set + "\x00\x00", true},
		{"a command far away", "*" + strings.Repeat("\x00", 5*aofWindow), set, true},
		{"a command over the window's end", strings.Repeat("\x00", aofWindow-5), set, true},
		{"a torn command", "\x00\x00", set[:len(set)-1], false},
		{"a command within a value", "*2\r\n$3\r\nGET\r\n$99\r\nname=", set + "\x00\x00", true},
		{"a command within a command's beginning", "*2\r\n*1\r\n$4", "*1\r\n$4\r\nPING\r\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, err := follows(t, c.damaged+c.rest, 1)
			if err != nil || (at >= 0) != c.want || c.want && at != int64(len(c.damaged)) {
				t.Errorf("got %d, %v", at, err)
			}
		})
	}
}

// Values chosen so that each is the start of a command that shares its tail with
// all others: looked at one by one that is quadratic.
func TestAOFFollowsIsLinear(t *testing.T) {
	const n = 200_000
	arg := "*1000000\r\n$1\r\nx"
	file := "*1000000\r\n" + strings.Repeat(fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg), n) + "\x00"
	r := newAOFReader(strings.NewReader(file), int64(len(file)))
	if _, err := r.follows(0); !errors.Is(err, errAOFUnclear) {
		t.Errorf("got %v", err)
	}
	if most := 3*int64(len(file)) + 2*aofWindow; r.work > most {
		t.Errorf("work %d for %d bytes", r.work, len(file))
	}
}

func TestAOFReaderReportsErrors(t *testing.T) {
	file := resp("SET", "a", strings.Repeat("x", 2*aofWindow))
	r := newAOFReader(strings.NewReader(file[:aofWindow]), int64(len(file))) // shrank meanwhile
	if _, err := walkAOF(r); err == nil {
		t.Error("no error from walkAOF")
	}
	if _, err := r.follows(1); err == nil {
		t.Error("no error from follows")
	}
}

func FuzzAOF(f *testing.F) {
	set := resp("SET", "a", "1")
	for _, s := range []string{"", set, set + "\x00\x00", resp("MULTI") + set + resp("EXEC"), resp("MULTI") + set,
		"#TS:1\r\n" + set, resp("MULTI") + resp("MULTI"), set[:9] + "\x00\x00\x00", "*1\r\n$5\r\n*1\r\n$1\r\na\r\n"} {
		f.Add([]byte(s), uint16(3))
	}
	f.Fuzz(func(t *testing.T, file []byte, cut uint16) {
		size := int64(len(file))
		s := walk(t, string(file))
		if s.end < 0 || s.end > s.bad || s.bad > s.size || s.size != size || s.torn && s.bad == size {
			t.Fatalf("%+v of %d bytes", s, size)
		}
		// What is kept is complete, and says the same again.
		if kept := walk(t, string(file[:s.end])); kept != (aofShape{size: s.end, end: s.end, bad: s.end}) {
			t.Fatalf("%+v, what is kept: %+v", s, kept)
		}
		// A shorter file never keeps more, and nothing else.
		{
			n := int64(cut) % (size + 1)
			if p := walk(t, string(file[:n])); p.end > s.end || n >= s.end && p.end < s.end {
				t.Fatalf("%+v, of the first %d bytes %+v", s, n, p)
			}
		}
		// Zeros behind a file with nothing bad in it change nothing that is kept.
		if s.bad == size || s.torn {
			if z := walk(t, string(file)+strings.Repeat("\x00", int(cut%512))); z.end != s.end {
				t.Fatalf("%+v, with zeros %+v", s, z)
			}
		}
		at, err := follows(t, string(file), s.end)
		if err != nil || at < 0 {
			return
		}
		if at < s.end || at >= size || file[at] != '*' {
			t.Fatalf("a command at %d of %d, behind %d", at, size, s.end)
		}
		if first := walk(t, string(file[at:])); first.bad == 0 && !isTransactionWord(file[at:]) {
			t.Fatalf("no command at %d: %+v", at, first)
		}
	})
}

// isTransactionWord: a lone EXEC is whole for follows and out of place for walkAOF.
func isTransactionWord(b []byte) bool {
	name, _, v, err := newAOFReader(bytes.NewReader(b), int64(len(b))).command(0)
	return err == nil && v == whole && name == execName
}

func BenchmarkWalkAOF(b *testing.B) {
	file := strings.Repeat(resp("MULTI")+resp("HINCRBY", "{pool}:chunk:17", strings.Repeat("4", 95), "120000")+
		resp("HSET", "{pool}:marks", "0123456789abcdef", "123456 7890 12 34")+resp("EXEC"), 50_000)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		walk(b, file)
	}
}
