package stratum

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestWorkerNameIsKept(t *testing.T) {
	tests := []struct{ name, sent, want string }{
		{"latin", "rig-1_a.b@c#d", "rig-1_a.b@c#d"},
		{"cyrillic", "ферма7", "ферма7"},
		{"chinese", "矿机七号", "矿机七号"},
		{"arabic, with its own digits", "حفار٣", "حفار٣"},
		{"hebrew", "כורה", "כורה"},
		{"devanagari, with its vowel signs", "खनिक", "खनिक"},
		{"thai, with its tone marks", "เครื่อง", "เครื่อง"},
		{"korean", "채굴기", "채굴기"},
		{"outside of the first plane", "𠀀𝟘", "𠀀𝟘"},
		{"composed", "é", "é"},
		{"decomposed", "e\u0301", "é"},
		{"jamo", "\u1112\u1161\u11ab", "한"},
		{"a mark that has no composed form", "x\u0301", "x\u0301"},
		{"64 bytes", strings.Repeat("ж", 32), strings.Repeat("ж", 32)},
		{"shorter than it was sent", strings.Repeat("e\u0301", 32), strings.Repeat("é", 32)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := workerName([]byte(tt.sent))
			if got != tt.want {
				t.Fatalf("%q became %q, want %q", tt.sent, got, tt.want)
			}
			checkWorker(t, got)
		})
	}
}

// TestWorkerNameIsMadeSafe: what is replaced, and that the tag begins where it
// should.
func TestWorkerNameIsMadeSafe(t *testing.T) {
	tests := []struct{ name, sent, want string }{
		{"syntax", "a b/c\"d\\e{f}g:h*i'j<k>l~m", "a_b_c_d_e_f_g_h_i_j_k_l_m"},
		{"control", "a\x00b\x1bc\x7fd\u0085e", "a_b_c_d_e"},
		{"direction", "a\u202eb\u2066c\u200fd", "a_b_c_d"},
		{"format", "a\u200db\ufeffc\u00add", "a_b_c_d"},
		{"drawn as nothing", "a\u034fb\u3164c\ufe0fd\u180be", "a_b_c_d_e"},
		{"emoji", "a😀b", "a_b"},
		{"separators", "a\u2028b\u3000c", "a_b_c"},
		{"private use, unassigned", "a\ue000b\U000e0fffc", "a_b_c"},
		{"not UTF-8", "a\xffb\xc0\xafc\xed\xa0\x80d", "a_b__c___d"},
		{"the replacement character", "a\ufffdb", "a_b"},
		{"a mark without a base", "\u0301a", "_a"},
		{"65 letters", strings.Repeat("w", 65), strings.Repeat("w", 55)},
		{"33 letters of two bytes", strings.Repeat("ж", 33), strings.Repeat("ж", 27)},
		{"cut before the letter that has the mark", strings.Repeat("w", 52) + "ж\u0301" + strings.Repeat("w", 20), strings.Repeat("w", 52)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := workerName([]byte(tt.sent))
			if got[:len(got)-1-tagDigits] != tt.want {
				t.Fatalf("%q became %q, want %q and a tag", tt.sent, got, tt.want)
			}
			checkWorker(t, got)
		})
	}
	if got := workerName([]byte("a" + strings.Repeat("\u0301", 100))); len(got) < 40 {
		t.Errorf("a letter with a hundred marks became %q", got)
	}
}

// TestWorkersStayDifferent: names that look alike once they are safe are rigs
// of their own; one name in two forms is one.
func TestWorkersStayDifferent(t *testing.T) {
	long := strings.Repeat("w", 200)
	seen := map[string]string{}
	for _, sent := range []string{
		"rig 1", "rig_1", "rig/1", "rig\\1", "rig\u20281", "rig:1", "rig~1", "rig\x001", "rig\u202e1",
		"😀", "😃", "😀😀", "_", "__", "?", "!", "\xff", "\xfe", "\u0301", "\u0302", "\u200d", "\ufeff",
		long + "1", long + "2", long[:64], long[:65], long[:55],
		"ферма", "forma", "фарма",
	} {
		got := workerName([]byte(sent))
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q are both %q", sent, other, got)
		}
		seen[got] = sent
		if again := workerName([]byte(sent)); again != got {
			t.Errorf("%q is %q, and then %q", sent, got, again)
		}
		// Nobody can choose the name that another one was changed to.
		if strings.ContainsRune(got, tagSign) && workerName([]byte(got)) == got {
			t.Errorf("%q is another rig's name", got)
		}
	}
	for a, b := range map[string]string{"é 1": "e\u0301 1", "ガ😀": "カ\u3099😀"} {
		if x, y := workerName([]byte(a)), workerName([]byte(b)); x != y {
			t.Errorf("%q and %q are %q and %q", a, b, x, y)
		}
	}
}

// checkWorker holds a name to what keys, logs, pages and JSON need.
func checkWorker(t *testing.T, name string) {
	t.Helper()
	if len(name) == 0 || len(name) > MaxWorker {
		t.Fatalf("worker %q of %d bytes", name, len(name))
	}
	if !utf8.ValidString(name) || !norm.NFC.IsNormalString(name) {
		t.Fatalf("worker %q is not UTF-8 in NFC", name)
	}
	for i, r := range name {
		switch {
		case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), unicode.Is(unicode.Variation_Selector, r),
			i == 0 && unicode.IsMark(r):
			t.Fatalf("worker %q has %U", name, r)
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r), strings.ContainsRune("-_.@#~", r):
		default:
			t.Fatalf("worker %q has %U", name, r)
		}
	}
	if raw, err := json.Marshal(name); err != nil || bytes.ContainsRune(raw, '\\') {
		t.Fatalf("worker %q is %s in JSON, %v", name, raw, err)
	}
}

func FuzzWorkerName(f *testing.F) {
	for _, s := range []string{
		"rig", "a b", "ферма", "e\u0301", "\u0301", "\xff\xfe", "\u202e", strings.Repeat("x\u0301", 60), strings.Repeat("\u0301", 90),
		"\U0001d160", "\u0958", "\u1100\u1161\u11a8", "a~1234abcd", strings.Repeat("각", 30),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) == 0 {
			return // ParseLogin never asks
		}
		given := bytes.Clone(sent)
		name := workerName(sent)
		checkWorker(t, name)
		if !bytes.Equal(given, sent) {
			t.Fatal("the input was written to")
		}
		if len(sent) <= MaxWorker && plain(sent) && name != string(sent) {
			t.Fatalf("%q became %q", sent, name)
		}
		if !strings.ContainsRune(name, tagSign) && name != string(norm.NFC.Bytes(sent)) {
			t.Fatalf("%q became %q and has no tag", sent, name)
		}
	})
}

func TestUsualWorkerNameIsCheap(t *testing.T) {
	name := []byte("rig-17")
	if n := testing.AllocsPerRun(100, func() { _ = workerName(name) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
