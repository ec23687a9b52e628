package stratum

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// FuzzParseShare holds the nonce and the result of a share against
// encoding/hex: the same texts are taken, with the same bytes.
func FuzzParseShare(f *testing.F) {
	for _, s := range []string{
		"", "0000000a", "0000000A", "DEADbeef", "0000000", "000000000", "0x000000", "0000000g", "\x00\x00\x00\x00\x00\x00\x00\x00",
		strings.Repeat("0f", 32), strings.Repeat("F0", 32), strings.Repeat("0f", 31) + "0", strings.Repeat("0f", 32) + "0",
		strings.Repeat("zz", 32), "０００００００１",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		given := bytes.Clone(s)
		raw, err := hex.DecodeString(string(s))

		nonce, ok := ParseNonce(s)
		if want := err == nil && len(raw) == 4; ok != want {
			t.Fatalf("nonce %q: %v, want %v", s, ok, want)
		}
		if ok {
			back := []byte{byte(nonce), byte(nonce >> 8), byte(nonce >> 16), byte(nonce >> 24)}
			if !bytes.Equal(back, raw) {
				t.Fatalf("nonce %q is %x", s, back)
			}
			if other, _ := ParseNonce(bytes.ToUpper(s)); other != nonce {
				t.Fatalf("nonce %q is %08x, and %08x in upper case", s, nonce, other)
			}
		} else if nonce != 0 {
			t.Fatalf("nonce %q is refused, but %08x", s, nonce)
		}

		var result [32]byte
		ok = ParseResult(s, &result)
		if want := err == nil && len(raw) == 32; ok != want {
			t.Fatalf("result %q: %v, want %v", s, ok, want)
		}
		if ok && !bytes.Equal(result[:], raw) {
			t.Fatalf("result %q is %x", s, result)
		}
		if !bytes.Equal(s, given) {
			t.Fatal("the input was written to")
		}
	})
}
