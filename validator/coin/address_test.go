package coin

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"

	"github.com/assay-pool/assay/validator/blob"
)

type addressVector struct {
	Address   string `json:"address"`
	What      string `json:"kind"`
	Prefix    uint64 `json:"prefix"`
	Spend     string `json:"spend_key_hex"`
	View      string `json:"view_key_hex"`
	PaymentID string `json:"payment_id_hex"`
}

func addressVectors(t testing.TB) []addressVector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "addresses.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []addressVector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func profile(t testing.TB, name string) *Profile {
	t.Helper()
	p, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every vector is taken by the networks that own its prefix, and refused by the
// others, which say whose it is.
func TestAddressVectors(t *testing.T) {
	vectors := addressVectors(t)
	if len(vectors) != 6 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.What, func(t *testing.T) {
			taken := 0
			for _, name := range Names() {
				p := profile(t, name)
				a, err := p.ParseAddress(v.Address)
				kind, ok := kindWith(p, v.Prefix)
				if !ok {
					if !errors.Is(err, ErrNetwork) || a != (Address{}) {
						t.Errorf("%s: %v, %v; want %v", name, a, err, ErrNetwork)
					}
					// What is none of QRL's is not read far enough to tell whose it is.
					if owner := ownerOf(t, v.Prefix); p.form == formBase58 && !strings.Contains(err.Error(), owner) || !strings.Contains(err.Error(), name) {
						t.Errorf("%q tells neither %s nor %s", err, owner, name)
					}
					continue
				}
				taken++
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if a.Kind != kind || a.Network != name || a.String() != v.Address || !bytes.Equal(a.Spend[:], unhex(t, v.Spend)) ||
					!bytes.Equal(a.View[:], unhex(t, v.View)) {
					t.Errorf("%s: %+v", name, a)
				}
				if kind == Integrated != (v.PaymentID != "") || v.PaymentID != "" && !bytes.Equal(a.PaymentID[:], unhex(t, v.PaymentID)) {
					t.Errorf("%s: payment id %x, want %s", name, a.PaymentID, v.PaymentID)
				}
				if text, err := p.EncodeAddress(a.Kind, a.Spend, a.View, a.PaymentID); err != nil || text != v.Address {
					t.Errorf("%s: encoded %s, %v", name, text, err)
				}
			}
			if taken == 0 {
				t.Error("no network takes it")
			}
		})
	}
}

func kindWith(p *Profile, prefix uint64) (Kind, bool) {
	for _, known := range p.Prefixes {
		if known.Value == prefix {
			return known.Kind, true
		}
	}
	return 0, false
}

func ownerOf(t *testing.T, prefix uint64) string {
	for _, name := range Names() {
		if _, ok := kindWith(profile(t, name), prefix); ok {
			return name
		}
	}
	t.Fatalf("nobody owns prefix %d", prefix)
	return ""
}

// payload is an address in bytes, checksum right whatever the rest says.
func payload(prefix []byte, rest ...[]byte) []byte {
	body := append([]byte(nil), prefix...)
	for _, r := range rest {
		body = append(body, r...)
	}
	sum := blob.Keccak256(body)
	return append(body, sum[:checksumBytes]...)
}

// The keys that decide between decoders: what ge_frombytes_vartime refuses, and
// what it takes though nobody should use it.
var (
	identity    = append([]byte{1}, make([]byte, 31)...)               // y = 1: order 1
	minusOne    = append(append([]byte{0xec}, ones(30)...), 0x7f)      // y = p-1: order 2
	negIdentity = append(append([]byte{1}, make([]byte, 30)...), 0x80) // y = 1, x = -0
	negMinusOne = append(append([]byte{0xec}, ones(30)...), 0xff)      // y = p-1, x = -0
	zeroAsPrime = append(append([]byte{0xed}, ones(30)...), 0x7f)      // y = p, that is 0
	oneAsPrime  = append(append([]byte{0xee}, ones(30)...), 0x7f)      // y = p+1, that is 1
	offCurve    = append([]byte{2}, make([]byte, 31)...)               // y = 2 has no x
	orderFour   = make([]byte, 32)                                     // y = 0
	base        = edwards25519.NewGeneratorPoint().Bytes()             // y = 4/5
	orderFourB  = append(make([]byte, 31), 0x80)                       // y = 0, the other x
	maxKey      = append(append([]byte(nil), ones(31)...), byte(0xff)) // y = 2^255-1, that is 18
	maxPosKey   = append(append([]byte(nil), ones(31)...), byte(0x7f)) // the same, x even
)

func ones(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }

func TestKeyEncodings(t *testing.T) {
	tests := []struct {
		name string
		key  []byte
		want bool
	}{
		{"generator", base, true},
		{"identity", identity, true},
		{"order 2", minusOne, true},
		{"order 4", orderFour, true},
		{"order 4, negative x", orderFourB, true},
		{"identity with negative zero", negIdentity, false},
		{"order 2 with negative zero", negMinusOne, false},
		{"0 written as p", zeroAsPrime, false},
		{"1 written as p+1", oneAsPrime, false},
		{"18 written as 2^255-1", maxPosKey, false},
		{"18 written as 2^255-1, negative x", maxKey, false},
		{"no point", offCurve, false},
	}
	p := profile(t, "monero")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.key) != keyBytes {
				t.Fatalf("%d bytes", len(tt.key))
			}
			for place, data := range map[string][]byte{
				"spend": payload([]byte{18}, tt.key, base),
				"view":  payload([]byte{18}, base, tt.key),
			} {
				a, err := p.ParseAddress(string(appendBase58(nil, data)))
				switch {
				case tt.want && err != nil:
					t.Errorf("%s key: %v", place, err)
				case !tt.want && (!errors.Is(err, ErrPoint) || a != (Address{}) || !strings.Contains(err.Error(), place)):
					t.Errorf("%s key: %v, %v; want %v", place, a, err, ErrPoint)
				}
			}
		})
	}
}

func TestParseAddressRefuses(t *testing.T) {
	good := addressVectors(t)[0].Address
	id := make([]byte, paymentIDBytes)
	encode := func(data []byte) string { return string(appendBase58(nil, data)) }
	swap := func(at int, c byte) string { return good[:at] + string(c) + good[at+1:] }
	tests := []struct {
		name, text string
		want       error
	}{
		{"empty", "", ErrLength},
		{"one digit", "4", ErrBadBase58},
		{"last digit missing", good[:94], ErrBadBase58}, // six digits hold four bytes, these are more
		{"half", good[:44], ErrLength},
		{"digit too many", good + "1", ErrBadBase58},
		{"typing error", swap(50, 'x'), ErrChecksum},
		{"two digits exchanged", good[:20] + good[21:22] + good[20:21] + good[22:], ErrChecksum},
		{"wrong first digit", swap(0, '5'), ErrChecksum},
		{"zero", swap(10, '0'), ErrBadBase58},
		{"capital o", swap(10, 'O'), ErrBadBase58},
		{"capital i", swap(10, 'I'), ErrBadBase58},
		{"small l", swap(10, 'l'), ErrBadBase58},
		{"space before", " " + good, ErrBadBase58},
		{"line end behind", good + "\n", ErrBadBase58},
		{"nul inside", swap(10, 0), ErrBadBase58},
		{"not ascii", swap(10, 0xc3), ErrBadBase58},
		{"block too large", "zzzzzzzzzzz" + good[11:], ErrBadBase58},
		{"block just too large", "jpXCZedGfVR" + good[11:], ErrBadBase58}, // 2^64
		{"last block too large", good[:88] + "zzzzzzz", ErrBadBase58},
		{"far too long", strings.Repeat("1", 1<<20), ErrLength},
		{"just too long", strings.Repeat("1", maxAddressText+1), ErrLength},
		{"all ones", strings.Repeat("1", 95), ErrChecksum},
		{"hexadecimal", strings.Repeat("ab", 48), ErrBadBase58},
		{"unknown prefix", encode(payload([]byte{17}, base, base)), ErrNetwork},
		{"overlong prefix", encode(payload([]byte{18 | 0x80, 0}, base, base)), ErrNetwork},
		{"endless prefix", encode(payload(ones(32), ones(32), ones(5))), ErrNetwork},
		{"another coin's prefix", encode(payload([]byte{0xb2, 0x01}, base, base)), ErrNetwork}, // Aeon
		{"standard with a payment id", encode(payload([]byte{18}, base, base, id)), ErrLength},
		{"subaddress with a payment id", encode(payload([]byte{42}, base, base, id)), ErrLength},
		{"integrated without payment id", encode(payload([]byte{19}, base, base)), ErrLength},
		{"integrated with a long payment id", encode(payload([]byte{19}, base, base, id, []byte{0})), ErrLength},
		{"key too short", encode(payload([]byte{18}, base, base[:31])), ErrLength},
		{"nothing but a checksum", encode(payload(nil)), ErrLength},
	}
	p := profile(t, "monero")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := p.ParseAddress(tt.text)
			if !errors.Is(err, tt.want) || a != (Address{}) {
				t.Fatalf("ParseAddress = %v, %v; want %v", a, err, tt.want)
			}
			if kinds := countKinds(err); kinds != 1 {
				t.Errorf("%v is %d kinds of error", err, kinds)
			}
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d characters", len(err.Error()))
			}
		})
	}
}

func countKinds(err error) (n int) {
	for _, kind := range []error{ErrBadBase58, ErrBadHex, ErrLength, ErrChecksum, ErrNetwork, ErrPoint} {
		if errors.Is(err, kind) {
			n++
		}
	}
	return n
}

// No address is left when any one of its digits is changed to any other.
func TestEveryTypingErrorIsFound(t *testing.T) {
	p := profile(t, "monero")
	good := addressVectors(t)[0].Address
	for at := range len(good) {
		for _, c := range []byte(base58Alphabet) {
			if c == good[at] {
				continue
			}
			if a, err := p.ParseAddress(good[:at] + string(c) + good[at+1:]); err == nil {
				t.Fatalf("digit %d as %c: %v", at, c, a)
			}
		}
	}
}

func TestBase58Blocks(t *testing.T) {
	tests := []struct {
		data, text string
	}{ // the smallest and the greatest block of each length
		{"00", "11"}, {"ff", "5Q"},
		{"0000", "111"}, {"ffff", "LUv"},
		{"000000", "11111"}, {"ffffff", "2UzHL"},
		{"00000000", "111111"}, {"ffffffff", "7YXq9G"},
		{"0000000000", "1111111"}, {"ffffffffff", "VtB5VXc"},
		{"000000000000", "111111111"}, {"ffffffffffff", "3CUsUpv9t"},
		{"00000000000000", "1111111111"}, {"ffffffffffffff", "Ahg1opVcGW"},
		{"0000000000000000", "11111111111"}, {"ffffffffffffffff", "jpXCZedGfVQ"},
		{"06156013762879f7ffffffffff", "22222222222VtB5VXc"},
	}
	for _, tt := range tests {
		data := unhex(t, tt.data)
		if got := string(appendBase58(nil, data)); got != tt.text {
			t.Errorf("%s encodes to %s, want %s", tt.data, got, tt.text)
		}
		got, err := decodeBase58(nil, tt.text)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s decodes to %x, %v; want %s", tt.text, got, err, tt.data)
		}
	}
	// One above the greatest block of each length.
	for _, text := range []string{"5R", "LUw", "2UzHM", "7YXq9H", "VtB5VXd", "3CUsUpv9u", "Ahg1opVcGX", "jpXCZedGfVR", "1", "1111", "11111111", "111111111111"} {
		if got, err := decodeBase58(nil, text); !errors.Is(err, ErrBadBase58) {
			t.Errorf("%s decodes to %x, %v", text, got, err)
		}
	}
	for c := range 256 {
		if got, want := base58Digit(byte(c)), strings.IndexByte(base58Alphabet, byte(c)); got != want {
			t.Errorf("digit %#02x is %d, want %d", c, got, want)
		}
	}
}

func TestEncodeAddress(t *testing.T) {
	var spend, view [32]byte
	copy(spend[:], base)
	copy(view[:], minusOne)
	for _, name := range Names() {
		p := profile(t, name)
		for _, kind := range []Kind{Standard, Integrated, Subaddress, Short} {
			text, err := p.EncodeAddress(kind, spend, view, [8]byte{1, 2})
			has := slices.ContainsFunc(p.Prefixes, func(known Prefix) bool { return known.Kind == kind })
			if (err == nil) != has {
				t.Fatalf("%s %v: %q, %v", name, kind, text, err)
			}
			if !has {
				continue
			}
			wantView := view
			if kind == Short {
				wantView = spend
			}
			a, err := p.ParseAddress(text)
			if err != nil || a.Kind != kind || a.Spend != spend || a.View != wantView || a.Network != name || (a.PaymentID == [8]byte{1, 2}) != (kind == Integrated) {
				t.Errorf("%s %v: %+v, %v", name, kind, a, err)
			}
			if want := map[Kind]int{Standard: 95, Integrated: 106, Subaddress: 95}[kind]; strings.HasPrefix(name, "monero") && len(text) != want {
				t.Errorf("%s %v: %d characters, want %d", name, kind, len(text), want)
			}
		}
		if _, err := p.EncodeAddress(Kind(9), spend, view, [8]byte{}); err == nil {
			t.Error("an address of no kind")
		}
	}
}

// A parsed address does not change with the buffer it was read from, and two
// equal addresses are equal.
// TestAccounts: the addresses of one key pair are accounts of their own, and the
// name of each leads back to all that a payment needs.
func TestAccounts(t *testing.T) {
	p := profile(t, "monero")
	cache, err := NewAddressCache(p, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	var spend, view [keyBytes]byte
	copy(spend[:], edwards25519.NewGeneratorPoint().Bytes())
	copy(view[:], new(edwards25519.Point).Add(edwards25519.NewGeneratorPoint(), edwards25519.NewGeneratorPoint()).Bytes())
	accounts := map[string]Address{}
	for _, a := range []Address{
		{Kind: Standard}, {Kind: Subaddress}, {Kind: Integrated},
		{Kind: Integrated, PaymentID: [paymentIDBytes]byte{1}}, {Kind: Integrated, PaymentID: [paymentIDBytes]byte{7: 1}},
	} {
		login, err := p.EncodeAddress(a.Kind, spend, view, a.PaymentID)
		if err != nil {
			t.Fatal(err)
		}
		read, err := cache.Parse(login)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := accounts[read.String()]; ok {
			t.Errorf("%+v and %+v are one account", read, other)
		}
		accounts[read.String()] = read
	}
	for name, want := range accounts {
		payee, err := p.ParseAddress(name)
		if err != nil || payee != want || payee.Spend != spend || payee.View != view {
			t.Errorf("account %s is read as %+v, want %+v (%v)", name, payee, want, err)
		}
	}
}

func TestAddressIsAValue(t *testing.T) {
	p := profile(t, "monero")
	text := addressVectors(t)[0].Address
	a, err := p.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.ParseAddress(strings.Clone(text))
	if err != nil || a != b {
		t.Errorf("%v and %v differ: %v", a, b, err)
	}
	for kind, want := range map[Kind]string{Standard: "standard", Integrated: "integrated", Subaddress: "subaddress", Short: "short", 0: "kind 0"} {
		if kind.String() != want {
			t.Errorf("%d is %q", kind, kind)
		}
	}
}

// What parses is encoded to the same text; what is encoded parses.
func FuzzAddress(f *testing.F) {
	for _, v := range addressVectors(f) {
		f.Add(v.Address)
		f.Add(v.Address[1:])
	}
	for _, key := range [][]byte{identity, negIdentity, zeroAsPrime, offCurve, maxKey} {
		f.Add(string(appendBase58(nil, payload([]byte{18}, key, base))))
	}
	for _, v := range coinVectors(f) {
		f.Add(v.Address)
	}
	for _, v := range qrlAddresses {
		f.Add(v)
		f.Add(v[1:71])
	}
	f.Add("")
	f.Add("jpXCZedGfVR")
	f.Add(string(appendBase58(nil, payload([]byte{18 | 0x80, 0}, base, base))))
	var profiles []*Profile
	for _, name := range Names() {
		profiles = append(profiles, profile(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if data, err := decodeBase58(nil, text); err == nil {
			if again := string(appendBase58(nil, data)); again != text {
				t.Fatalf("%q comes back as %q", text, again)
			}
		}
		// A checksum is beyond guessing: give the text the right one, and the
		// keys, prefixes and lengths behind it are reached as well.
		for _, candidate := range []string{text, string(appendBase58(nil, payload([]byte(text)))), qrlText([]byte(text))} {
			for _, p := range profiles {
				a, err := p.ParseAddress(candidate)
				if err != nil {
					if countKinds(err) != 1 || a != (Address{}) {
						t.Fatalf("%q: %v, %v", candidate, a, err)
					}
					continue
				}
				if p.form == formQRL {
					if a.String() != candidate[:1]+strings.ToLower(candidate[1:]) {
						t.Fatalf("%q is kept as %q", candidate, a)
					}
					continue
				}
				again, err := p.EncodeAddress(a.Kind, a.Spend, a.View, a.PaymentID)
				if err != nil || again != candidate || a.String() != candidate {
					t.Fatalf("%q comes back as %q, %v", candidate, again, err)
				}
			}
		}
	})
}

func BenchmarkParseAddress(b *testing.B) {
	p := profile(b, "monero")
	text := addressVectors(b)[0].Address
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.ParseAddress(text); err != nil {
			b.Fatal(err)
		}
	}
}
