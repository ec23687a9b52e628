package hashline

import (
	"bytes"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/randomx"
)

// blob is an input long enough for every variant.
var blob = strings.Repeat("ab", 43)

func TestParse(t *testing.T) {
	for line, want := range map[string]Request{
		"cn/0 00ff":                                {Key{Algo: algo.CN0}, []byte{0, 0xff}},
		"\t CN/0   00Ff \r":                        {Key{Algo: algo.CN0}, []byte{0, 0xff}},
		"cryptonight 01":                           {Key{Algo: algo.CN0}, []byte{1}},
		"cn/gpu -":                                 {Key{Algo: algo.CNGPU}, []byte{}},
		"cn/r 01 height=1806260":                   {Key{Algo: algo.CNR, Height: 1806260}, []byte{1}},
		"cn/wow 01 height=0":                       {Key{Algo: algo.CNWOW}, []byte{1}},
		"cn/r 01 height=18446744073709551615":      {Key{Algo: algo.CNR, Height: 1<<64 - 1}, []byte{1}},
		"rx/0 01 seed=74657374206b657920303030":    {Key{Algo: algo.RX0, Seed: "test key 000"}, []byte{1}},
		"rx/0 - height=7 seed=00":                  {Key{Algo: algo.RX0, Seed: "\x00"}, []byte{}},
		"cn/2 01 seed=ff height=9":                 {Key{Algo: algo.CN2}, []byte{1}}, // neither matters
		"cn/1 " + blob:                             {Key{Algo: algo.CN1}, bytes.Repeat([]byte{0xab}, 43)},
		"rx/0 01 seed=" + strings.Repeat("5", 120): {Key{Algo: algo.RX0, Seed: strings.Repeat("U", 60)}, []byte{1}},
	} {
		got, err := Parse(line)
		if err != nil || got.Key != want.Key || !bytes.Equal(got.Input, want.Input) {
			t.Errorf("%q: %+v, %v; want %+v", line, got, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                                    "is not ALGO INPUT_HEX",
		"cn/0":                                "is not ALGO INPUT_HEX",
		"cn/9 00":                             `unknown algorithm "cn/9"; known are cn/0,`,
		"unknown 00":                          "unknown algorithm",
		"rx/2 00 seed=00":                     "rx/2 needs RandomX v2",
		"cn/0 0g":                             `the input is not hex: 'g' at digit 2`,
		"cn/0 0x00":                           `'x' at digit 2`,
		"cn/0 000":                            "the input has 3 hex digits, an odd number",
		"cn/1 " + blob[2:]:                    "cn/1 needs an input of at least 43 bytes, this one has 42",
		"cn-lite/1 -":                         "at least 43 bytes, this one has 0",
		"cn/r 00":                             "cn/r needs height=N",
		"cn/wow 00 seed=00":                   "cn/wow needs height=N",
		"cn/r 00 height=":                     `height "" is not a decimal number`,
		"cn/r 00 height=-1":                   "is not a decimal number",
		"cn/r 00 height=0x10":                 "is not a decimal number",
		"cn/r 00 height=18446744073709551616": "is not a decimal number of 64 bits",
		"cn/r 00 height=1 height=1":           "height is given twice",
		"cn/0 00 seed=00 seed=00":             "seed is given twice",
		"cn/0 00 height=x":                    "is not a decimal number", // though cn/0 ignores it
		"rx/0 00":                             "rx/0 needs seed=HEX",
		"rx/0 00 seed=":                       "the seed has 0 bytes",
		"rx/0 00 seed=-":                      "the seed has 0 bytes",
		"rx/0 00 seed=0":                      "the seed has 1 hex digits, an odd number",
		"rx/0 00 seed=zz":                     "the seed is not hex",
		"rx/0 00 seed=" + strings.Repeat("00", 61): "the seed has 61 bytes",
		"cn/0 00 nonce=1":                          `unknown option "nonce=1"`,
		"cn/0 00 height":                           `unknown option "height"`,
		"cn/0 00 HEIGHT=1":                         "unknown option",
		"cn/0 00 11":                               `unknown option "11"`,
		"cn/0 00 " + strings.Repeat("x", 9000):     "…",
	} {
		if _, err := Parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", line, err, want)
		} else if len(err.Error()) > 500 {
			t.Errorf("%.60q: an error of %d bytes", line, len(err.Error()))
		}
	}
}

// FuzzParse: whatever is accepted can be hashed as it stands.
func FuzzParse(f *testing.F) {
	for _, line := range []string{"cn/0 00ff", "cn/gpu -", "cn/r 01 height=1806260", "rx/0 01 seed=74657374", "cn/1 " + blob, "rx/2 00 seed=00", "#", "cn/0 00 height=1 seed=5 x"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := Parse(line)
		if err != nil {
			if r.Input != nil {
				t.Errorf("%q: refused, yet an input", line)
			}
			return
		}
		if supports(r.Algo) != nil || 2*len(r.Input) > len(line) {
			t.Errorf("%q: %+v", line, r)
		}
		if r.Algo.NeedsSeed() != (r.Seed != "") || len(r.Seed) > randomx.MaxKeyBytes || !r.Algo.NeedsHeight() && r.Height != 0 {
			t.Errorf("%q: key %+v", line, r.Key)
		}
	})
}
