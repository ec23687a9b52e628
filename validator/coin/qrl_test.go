package coin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// The first is the good address of theQRL/validate-qrl-address test/test.js, the
// second that of its SHAKE-256 test, whose checksum is wrong.
var qrlAddresses = []string{
	"Q01070050d31c7f123995f097bc98209e9231d663dc26e06085df55dc2f6afe3c2cd62e8271a6bd",
	"Q02260060d974fd1faf2c2b0c91d9e33cae9f1b42208c62169f946373ae64198b97b6479f6c8ce5",
}

// qrlText is an address of these bytes with a right checksum.
func qrlText(body []byte) string {
	sum := sha256.Sum256(body)
	return "Q" + hex.EncodeToString(append(append([]byte(nil), body...), sum[28:]...))
}

func TestQRLAddress(t *testing.T) {
	good := qrlAddresses[0]
	for _, name := range []string{"qrl", "qrl-testnet"} {
		p := profile(t, name)
		a, err := p.ParseAddress(good)
		if err != nil {
			t.Fatal(err)
		}
		if a.Kind != Standard || a.Network != name || a.String() != good || hex.EncodeToString(a.Spend[:]) != good[7:71] || a.View != ([32]byte{}) {
			t.Errorf("%+v", a)
		}
		upper, err := p.ParseAddress("Q" + strings.ToUpper(good[1:]))
		if err != nil || upper != a {
			t.Errorf("in capitals: %v, %v", upper, err)
		}
		if qrlText(unhex(t, good[1:71])) != good {
			t.Error("the test's own encoder is wrong")
		}
		if text, err := p.EncodeAddress(Standard, a.Spend, a.View, a.PaymentID); err == nil {
			t.Errorf("%s is made of a key", text)
		}
	}
}

func TestQRLAddressRefuses(t *testing.T) {
	good := qrlAddresses[0]
	body := unhex(t, good[1:71])
	with := func(at int, b byte) string {
		changed := append([]byte(nil), body...)
		changed[at] = b
		return qrlText(changed)
	}
	tests := []struct {
		name, text string
		want       error
	}{
		{"empty", "", ErrLength},
		{"letter alone", "Q", ErrLength},
		{"cut short", good[:78], ErrLength},
		{"digit too many", good + "0", ErrLength},
		{"far too long", "Q" + strings.Repeat("0", 1<<20), ErrLength},
		{"small letter", "q" + good[1:], ErrNetwork},
		{"another letter", "A" + good[1:], ErrNetwork},
		{"no letter", good[1:] + "0", ErrNetwork},
		{"no digit", good[:40] + "g" + good[41:], ErrBadHex},
		{"typing error", good[:40] + "0" + good[41:], ErrChecksum},
		{"published with a wrong checksum", qrlAddresses[1], ErrChecksum},
		{"multi signature", with(0, 0x11), ErrNetwork},
		{"unknown hash function", with(0, 0x03), ErrNetwork},
		{"unknown form", with(1, 0x17), ErrNetwork},
	}
	p := profile(t, "qrl")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := p.ParseAddress(tt.text)
			if !errors.Is(err, tt.want) || a != (Address{}) || countKinds(err) != 1 {
				t.Fatalf("ParseAddress = %v, %v; want %v", a, err, tt.want)
			}
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d characters", len(err.Error()))
			}
		})
	}
	for at := 1; at < len(good); at++ { // each digit counts
		c := byte('0')
		if good[at] == c {
			c = '1'
		}
		if a, err := p.ParseAddress(good[:at] + string(c) + good[at+1:]); err == nil {
			t.Errorf("digit %d as %c: %v", at, c, a)
		}
	}
	for hash := range byte(qrlHashes) {
		if _, err := p.ParseAddress(with(0, hash)); err != nil {
			t.Errorf("hash function %d: %v", hash, err)
		}
	}
}
