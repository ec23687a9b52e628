package coin

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
)

type coinVector struct {
	Coin string `json:"coin"`
	Kind string `json:"kind"`
	addressVector
}

func coinVectors(t testing.TB) []coinVector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "coins.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []coinVector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// What the addresses of each prefix begin with, as the comments of the coins'
// own sources have it, or as their users know it.
var beginnings = map[uint64]string{
	0x2bb39a: "Sumo", 0x29339a: "Sumi", 0x8319a: "Subo",
	0x2ce192: "RYoL", 0x2de192: "RYoN", 0x2fe192: "RYoS", 0x2c6192: "RYoK",
	0x7ad4: "ccx7", 0x5af4: "hvx", 0xcd774: "hvi", 0x12d974: "hvs",
	28: "5", 29: "5", 52: "9", 90: "G", 91: "G", 102: "J",
	0xB2: "Wm", 0x2733: "Wz", 0x06B8: "Xn", 0x3bbb1d: "TRTL",
	0x161f23: "UPX", 0x1661a3: "UPi", 294: "Um",
}

// Every prefix of every other coin has an address, some published, and each is
// taken by its own network alone.
func TestCoinAddresses(t *testing.T) {
	seen := make(map[Prefix]bool)
	for _, v := range coinVectors(t) {
		t.Run(v.Coin+" "+v.Address[:12], func(t *testing.T) {
			begin, ok := beginnings[v.Prefix]
			if !ok || !strings.HasPrefix(v.Address, begin) {
				t.Errorf("%s begins with neither %q nor anything known", v.Address, begin)
			}
			for _, name := range Names() {
				a, err := profile(t, name).ParseAddress(v.Address)
				if name != v.Coin {
					if !errors.Is(err, ErrNetwork) || a != (Address{}) {
						t.Errorf("%s: %v, %v", name, a, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				seen[Prefix{a.Kind, v.Prefix}] = true
				if a.Kind.String() != v.Kind || a.Network != name || a.String() != v.Address || !bytes.Equal(a.Spend[:], unhex(t, v.Spend)) || !bytes.Equal(a.View[:], unhex(t, v.View)) ||
					(a.Kind == Integrated) != (v.PaymentID != "") || v.PaymentID != "" && !bytes.Equal(a.PaymentID[:], unhex(t, v.PaymentID)) {
					t.Errorf("%+v", a)
				}
				if text, err := profile(t, name).EncodeAddress(a.Kind, a.Spend, a.View, a.PaymentID); err != nil || text != v.Address {
					t.Errorf("encoded %s, %v", text, err)
				}
				for at := range len(v.Address) {
					if _, err := profile(t, name).ParseAddress(v.Address[:at]); err == nil {
						t.Errorf("its first %d digits are taken", at)
					}
				}
			}
		})
	}
	for _, name := range Names() {
		for _, prefix := range profile(t, name).Prefixes {
			if !seen[prefix] && !strings.HasPrefix(name, "monero") {
				t.Errorf("%s: no address of prefix %#x", name, prefix.Value)
			}
		}
	}
}

func TestShortAddressRefuses(t *testing.T) {
	p := profile(t, "ryo")
	prefix := blob.AppendVarint(nil, 0x2c6192)
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"two keys":      {payload(prefix, base, base), ErrLength},
		"a short key":   {payload(prefix, base[:31]), ErrLength},
		"no point":      {payload(prefix, offCurve), ErrPoint},
		"the long form": {payload(blob.AppendVarint(nil, 0x2ce192), base), ErrLength},
		"a subaddress":  {payload(blob.AppendVarint(nil, 0x3fe192), base), ErrNetwork}, // which Ryo refuses too
	} {
		if a, err := p.ParseAddress(string(appendBase58(nil, tt.data))); !errors.Is(err, tt.want) || a != (Address{}) {
			t.Errorf("%s: %v, %v; want %v", name, a, err, tt.want)
		}
	}
}

const (
	never  = math.MaxUint64
	refuse = algo.Unknown
)

// step is the first major or height of an algorithm; at never the chain's known
// part ends.
type step struct {
	from uint64
	algo algo.ID
	why  string // of a refusal
}

// The schedules, once more and apart from the data: the last major or height
// before each change and the first of it are looked up.
func TestCoinSchedules(t *testing.T) {
	tests := []struct {
		coin     string
		byHeight bool
		steps    []step
		end      uint64 // first major that is not known
	}{
		{"sumokoin", false, []step{{1, algo.CN0, ""}, {3, algo.CNHeavy0, ""}, {4, refuse, "present source does not tell"}, {7, algo.CNR, ""}}, 12},
		{"ryo", false, []step{{1, algo.CN0, ""}, {3, algo.CNHeavy0, ""}, {6, algo.CNGPU, ""}}, 10},
		{"conceal", false, []step{{1, algo.CN0, ""}, {3, algo.CNFast, ""}, {7, algo.CNCCX, ""}, {8, algo.CNGPU, ""}}, 9},
		{"haven", false, []step{{1, algo.CN0, ""}, {2, algo.CNHeavy0, ""}, {3, algo.CNHeavyXHV, ""}}, 24},
		{"masari", false, []step{{1, algo.CN0, ""}, {5, algo.CN1, ""}, {7, algo.CNFast, ""}, {8, algo.CNHalf, ""}}, 9},
		{"graft", false, []step{{7, algo.CN0, ""}, {8, algo.CN1, ""}, {11, algo.CN2, ""}, {12, algo.CNRWZ, ""}, {17, refuse, "rx/graft"}}, 18},
		{"aeon", true, []step{{0, algo.CN0, ""}, {592000, algo.CNLite0, ""}, {963500, algo.CNLite1, ""}, {1146200, refuse, "KangarooTwelve"}}, never},
		{"turtlecoin", false, []step{{1, algo.CN0, ""}, {4, algo.CNLite1, ""}, {5, algo.CNPico, ""}, {6, refuse, "Chukwa"}}, 8},
		{"uplexa", false, []step{{1, refuse, "UPX"}, {11, algo.CNUPX2, ""}}, 12},
		{"qrl", true, []step{{0, algo.CN1, ""}, {942375, algo.RX0, ""}}, never},
		{"qrl-testnet", true, []step{{0, algo.RX0, ""}}, never},
	}
	covered := []string{"monero", "monero-testnet", "monero-stagenet", "monero-regtest"}
	for _, tt := range tests {
		covered = append(covered, tt.coin)
		t.Run(tt.coin, func(t *testing.T) {
			p := profile(t, tt.coin)
			ask := func(at uint64) (algo.ID, error) {
				if tt.byHeight {
					return p.Algo(uint8(at), at)
				}
				return p.Algo(uint8(at), 1_000_000)
			}
			check := func(at uint64, s step) {
				got, err := ask(at)
				if got != s.algo || (err == nil) != (s.algo != refuse) {
					t.Errorf("%d: %v, %v; want %v", at, got, err, s.algo)
				}
				if err != nil && (!strings.Contains(err.Error(), s.why) || !strings.Contains(err.Error(), tt.coin)) {
					t.Errorf("%d: %q does not name %s and %q", at, err, tt.coin, s.why)
				}
			}
			unknown := step{why: "no known algorithm"}
			for i, s := range tt.steps {
				check(s.from, s)
				if i > 0 {
					check(s.from-1, tt.steps[i-1])
				} else if s.from > 0 {
					check(s.from-1, unknown)
				}
			}
			last := tt.steps[len(tt.steps)-1]
			if tt.end == never {
				check(never, last)
			} else {
				check(tt.end-1, last)
				check(tt.end, unknown)
				check(255, unknown)
			}
		})
	}
	if !slices.Equal(covered, Names()) {
		t.Errorf("Names = %v, tested %v", Names(), covered)
	}
}

func TestCoinFacts(t *testing.T) {
	tests := []struct {
		coin, symbol string
		decimals     int
		blockTime    time.Duration // 0: not known
		maturity     uint64        // 0: not known
		nonce        int
		blob         blob.Type
		refusal      string // of Serviceable
	}{
		{"sumokoin", "SUMO", 9, 240 * time.Second, 60, 4, blob.CryptoNote, ""},
		{"ryo", "RYO", 9, 240 * time.Second, 60, 4, blob.Ryo, ""},
		{"conceal", "CCX", 6, 120 * time.Second, 10, 4, blob.CryptoNote, ""},
		{"haven", "XHV", 12, 120 * time.Second, 60, 4, blob.Haven, ""},
		{"masari", "MSR", 12, 0, 60, 4, blob.MasariUncle, ""},
		{"graft", "GRFT", 10, 120 * time.Second, 60, 4, blob.CryptoNote, "graft from block version 17 uses rx/graft"},
		{"aeon", "AEON", 12, 240 * time.Second, 60, 8, 7, `blob type "aeon" (7) is known but not implemented`},
		{"turtlecoin", "TRTL", 2, 30 * time.Second, 0, 4, 2, `blob type "forknote2" (2) is known but not implemented`},
		{"uplexa", "UPX", 2, 0, 60, 4, 0, "the type of its block templates is not known"},
		{"qrl", "QRL", 9, 60 * time.Second, 0, 4, 200, `blob type "qrl" (200) is known but not implemented`},
	}
	for _, tt := range tests {
		p := profile(t, tt.coin)
		if p.Symbol != tt.symbol || p.Decimals != tt.decimals || p.AtomicUnit != uint64(math.Pow10(tt.decimals)) || p.BlockTime != tt.blockTime ||
			p.Maturity != tt.maturity || p.NonceBytes != tt.nonce || p.BlobType != tt.blob || p.Network != "mainnet" {
			t.Errorf("%s: %+v", tt.coin, *p)
		}
		err := p.Serviceable()
		if (err == nil) != (tt.refusal == "") || err != nil && (!strings.Contains(err.Error(), tt.refusal) || !strings.HasPrefix(err.Error(), tt.coin+" cannot be served: ")) {
			t.Errorf("%s: Serviceable = %v, want %q", tt.coin, err, tt.refusal)
		}
	}
	for _, name := range Names()[:4] {
		if err := profile(t, name).Serviceable(); err != nil {
			t.Error(err)
		}
	}
}

// The blocks whose layout is published are those their coin's profile reads and
// has an algorithm for.
func TestProfilesReadTheirTemplates(t *testing.T) {
	var vectors []struct {
		Blob  string `json:"blob"`
		Block string `json:"block_hex"`
	}
	data, err := os.ReadFile(filepath.Join("..", "blob", "testdata", "layouts.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	want := map[string]algo.ID{"ryo": algo.CNGPU, "haven": algo.CNHeavyXHV, "masari": algo.CNHalf}
	for _, v := range vectors {
		id, ok := want[v.Blob]
		if !ok {
			continue
		}
		delete(want, v.Blob)
		p := profile(t, v.Blob) // the layout has the coin's name
		tpl, err := blob.Parse(p.BlobType, unhex(t, v.Block), 12)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Algo(tpl.Major, tpl.Height); got != id || err != nil {
			t.Errorf("%s, major %d: %v, %v; want %v", p.Name, tpl.Major, got, err, id)
		}
		if tpl.UnlockTime-tpl.Height != p.Maturity {
			t.Errorf("%s: a reward can be spent after %d blocks, the profile says %d", p.Name, tpl.UnlockTime-tpl.Height, p.Maturity)
		}
	}
	if len(want) != 0 {
		t.Errorf("no template of %v", want)
	}
}

func TestForcedAlgorithm(t *testing.T) {
	for _, tt := range []struct {
		coin    string
		algo    algo.ID
		refusal string
	}{
		{"monero", algo.CN0, ""},
		{"monero-testnet", algo.CNR, ""},
		{"graft", algo.CNRWZ, ""}, // what it refuses otherwise is the algorithm of today
		{"sumokoin", algo.CNHeavy0, ""},
		{"sumokoin", algo.RX0, "takes a seed"},
		{"monero", algo.Unknown, "with the algorithm unknown"},
		{"monero", algo.ID(250), "with the algorithm unknown"},
		{"aeon", algo.CNLite1, "blob type"},
		{"qrl", algo.RX0, "blob type"},
	} {
		p := profile(t, tt.coin)
		before, beforeErr := p.Algo(7, 2_000_000)
		forced := p.WithAlgo(tt.algo)
		for _, at := range []uint64{0, 7, 255, 2_000_000, never} {
			if got, err := forced.Algo(uint8(at), at); got != tt.algo || err != nil {
				t.Errorf("%s with %v at %d: %v, %v", tt.coin, tt.algo, at, got, err)
			}
		}
		if after, err := p.Algo(7, 2_000_000); after != before || (err == nil) != (beforeErr == nil) {
			t.Errorf("%s itself now answers %v, %v", tt.coin, after, err)
		}
		if forced.Name != p.Name || forced.BlobType != p.BlobType || !slices.Equal(forced.Prefixes, p.Prefixes) || forced.SeedHeight(100_000) != p.SeedHeight(100_000) {
			t.Errorf("%s differs in more than its algorithm", tt.coin)
		}
		if err := forced.Serviceable(); (err == nil) != (tt.refusal == "") || err != nil && !strings.Contains(err.Error(), tt.refusal) {
			t.Errorf("%s with %v: %v, want %q", tt.coin, tt.algo, err, tt.refusal)
		}
	}
	// A nonce that miners do not write is refused whatever the blob and algorithm.
	profiles, err := load(catalogueWith(t, func(c map[string]any) { c["nonce_bytes"].(map[string]any)["value"] = 8 }))
	if err != nil {
		t.Fatal(err)
	}
	if err := profiles[0].WithAlgo(algo.CN0).Serviceable(); err == nil || !strings.Contains(err.Error(), "nonce has 8 bytes") {
		t.Errorf("a nonce of 8 bytes: %v", err)
	}
}
