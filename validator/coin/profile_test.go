package coin

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
)

func TestMoneroProfiles(t *testing.T) {
	tests := []struct {
		name, network string
		prefixes      [3]uint64 // standard, integrated, subaddress
	}{
		{"monero", "mainnet", [3]uint64{18, 19, 42}},
		{"monero-testnet", "testnet", [3]uint64{53, 54, 63}},
		{"monero-stagenet", "stagenet", [3]uint64{24, 25, 36}},
		{"monero-regtest", "regtest", [3]uint64{18, 19, 42}},
	}
	var names []string
	for _, tt := range tests {
		names = append(names, tt.name)
		t.Run(tt.name, func(t *testing.T) {
			p := profile(t, tt.name)
			if p.Name != tt.name || p.Coin != "Monero" || p.Network != tt.network || p.Symbol != "XMR" {
				t.Errorf("names %q %q %q %q", p.Name, p.Coin, p.Network, p.Symbol)
			}
			if p.AtomicUnit != 1_000_000_000_000 || p.Decimals != 12 || p.BlockTime != 2*time.Minute || p.Maturity != 60 ||
				p.BlobType != blob.CryptoNote || p.NonceBytes != 4 || p.SeedEpoch != 2048 || p.SeedLag != 64 {
				t.Errorf("facts %+v", *p)
			}
			want := []Prefix{{Standard, tt.prefixes[0]}, {Integrated, tt.prefixes[1]}, {Subaddress, tt.prefixes[2]}}
			if !slices.Equal(p.Prefixes, want) {
				t.Errorf("prefixes %v, want %v", p.Prefixes, want)
			}
			checkMajors(t, p)
		})
	}
	if !slices.Equal(Names()[:4], names) {
		t.Errorf("Names = %v, want %v first", Names(), names)
	}
}

// checkMajors holds a profile against Monero's rule for every block version.
func checkMajors(t *testing.T, p *Profile) {
	for major := range 256 {
		want := algo.Unknown
		switch {
		case major == 0 || major > 16:
		case major >= 12:
			want = algo.RX0
		default: // variant major-6 from 7 on; 3 is 2 and 5 is 4, CN/R
			want = map[int]algo.ID{0: algo.CN0, 1: algo.CN1, 2: algo.CN2, 3: algo.CN2, 4: algo.CNR, 5: algo.CNR}[max(major-6, 0)]
		}
		got, err := p.Algo(uint8(major), uint64(major)*1000)
		if got != want || (err == nil) != (want != algo.Unknown) {
			t.Errorf("major %d: %v, %v; want %v", major, got, err, want)
		}
	}
}

func TestLookupUnknown(t *testing.T) {
	for _, name := range []string{"", "Monero", "monero-mainnet", "bitcoin"} {
		p, err := Lookup(name)
		if err == nil {
			t.Errorf("Lookup(%q) = %v", name, p.Name)
			continue
		}
		for _, known := range Names() {
			if !strings.Contains(err.Error(), known) {
				t.Errorf("%q does not name %s", err, known)
			}
		}
	}
}

func TestSeedHeight(t *testing.T) {
	p := profile(t, "monero")
	tests := []struct{ height, seed, next uint64 }{
		{0, 0, 0}, {1, 0, 0}, {2048, 0, 0}, {2049, 0, 2048}, {2112, 0, 2048}, {2113, 2048, 2048},
		{4096, 2048, 2048}, {4097, 2048, 4096}, {4160, 2048, 4096}, {4161, 4096, 4096},
		{3196645, 3194880, 3194880},
		{math.MaxUint64, (math.MaxUint64 - 65) &^ 2047, (math.MaxUint64 - 65) &^ 2047},
	}
	for _, tt := range tests {
		if got := p.SeedHeight(tt.height); got != tt.seed {
			t.Errorf("seed of %d is %d, want %d", tt.height, got, tt.seed)
		}
		if got := p.NextSeedHeight(tt.height); got != tt.next {
			t.Errorf("next seed of %d is %d, want %d", tt.height, got, tt.next)
		}
	}
	if got := (&Profile{}).SeedHeight(1_000_000); got != 0 {
		t.Errorf("a coin without seeds has one at %d", got)
	}
}

// A seed lasts an epoch, is at least a lag and a block old, and the next one is
// announced exactly a lag ahead.
func TestSeedScheduleProperties(t *testing.T) {
	p := profile(t, "monero")
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.Uint64Range(0, 1<<40).Draw(t, "height")
		seed := p.SeedHeight(h)
		if seed%p.SeedEpoch != 0 || seed > 0 && (h-seed <= p.SeedLag || h-seed > p.SeedLag+p.SeedEpoch) {
			t.Fatalf("seed of %d is %d", h, seed)
		}
		if next := p.NextSeedHeight(h); next != p.SeedHeight(h+p.SeedLag) || next < seed || next-seed > p.SeedEpoch {
			t.Fatalf("after the seed %d of %d comes %d", seed, h, next)
		}
	})
}

// catalogueWith is a whole, correct catalogue of one coin that a test spoils.
func catalogueWith(t *testing.T, change func(coin map[string]any)) []byte {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal(embedded, &c); err != nil {
		t.Fatal(err)
	}
	change(c["coins"].([]any)[0].(map[string]any))
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// byHeights makes an algorithms entry as QRL's.
func byHeights(ranges ...map[string]any) map[string]any {
	return map[string]any{"by": "height", "source": "test", "ranges": ranges}
}

func rng(from, to any, name string) map[string]any {
	r := map[string]any{"from": from, "algo": name}
	if to != nil {
		r["to"] = to
	}
	return r
}

func TestAlgorithmByHeight(t *testing.T) {
	profiles, err := load(catalogueWith(t, func(c map[string]any) {
		c["algorithms"] = byHeights(rng(0, 942374, "cn/1"), rng(942375, nil, "rx/0"))
		// One network forked before its first block, as QRL's public testnet.
		c["networks"].([]any)[1].(map[string]any)["algorithms"] = byHeights(rng(0, nil, "rx/0"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	for height, want := range map[uint64]algo.ID{0: algo.CN1, 942374: algo.CN1, 942375: algo.RX0, math.MaxUint64: algo.RX0} {
		for _, major := range []uint8{0, 1, 255} {
			if got, err := profiles[0].Algo(major, height); got != want || err != nil {
				t.Errorf("height %d: %v, %v; want %v", height, got, err, want)
			}
		}
		if got, err := profiles[1].Algo(1, height); got != algo.RX0 || err != nil {
			t.Errorf("height %d of the other network: %v, %v", height, got, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	byMajors := func(ranges ...map[string]any) map[string]any {
		return map[string]any{"by": "major", "source": "test", "ranges": ranges}
	}
	algorithms := func(a map[string]any) func(map[string]any) {
		return func(c map[string]any) { c["algorithms"] = a }
	}
	value := func(field string, v any) func(map[string]any) {
		return func(c map[string]any) { c[field].(map[string]any)["value"] = v }
	}
	network := func(field string, v any) func(map[string]any) {
		return func(c map[string]any) { c["networks"].([]any)[0].(map[string]any)[field] = v }
	}
	tests := []struct {
		name   string
		change func(map[string]any)
		want   string
	}{
		{"overlapping majors", algorithms(byMajors(rng(1, 7, "cn/0"), rng(7, 9, "cn/1"))), "overlap"},
		{"missing majors", algorithms(byMajors(rng(1, 7, "cn/0"), rng(9, 9, "cn/1"))), "between them is none"},
		{"majors out of order", algorithms(byMajors(rng(7, 9, "cn/0"), rng(1, 6, "cn/1"))), "overlap"},
		{"endless majors", algorithms(byMajors(rng(1, nil, "cn/0"))), "ends at 255"},
		{"majors above a byte", algorithms(byMajors(rng(1, 256, "cn/0"))), "ends at 255"},
		{"empty range", algorithms(byMajors(rng(5, 4, "cn/0"))), "is empty"},
		{"overlapping heights", algorithms(byHeights(rng(0, 10, "cn/0"), rng(10, nil, "cn/1"))), "overlap"},
		{"missing heights", algorithms(byHeights(rng(0, 10, "cn/0"), rng(12, nil, "cn/1"))), "between them is none"},
		{"no algorithm for the first blocks", algorithms(byHeights(rng(1, nil, "cn/0"))), "no algorithm below"},
		{"heights that end", algorithms(byHeights(rng(0, 10, "cn/0"))), "has no end"},
		{"an end in the middle", algorithms(byHeights(rng(0, nil, "cn/0"), rng(10, nil, "cn/1"))), "has no end"},
		{"end at the greatest number", algorithms(byHeights(rng(0, uint64(math.MaxUint64), "cn/0"), rng(0, nil, "cn/1"))), "overlap"},
		{"no ranges", algorithms(byMajors()), "no algorithms"},
		{"by day", algorithms(map[string]any{"by": "day", "source": "test", "ranges": []any{rng(0, 1, "cn/0")}}), "neither"},
		{"unknown algorithm", algorithms(byMajors(rng(1, 2, "sha256"))), "unknown algorithm"},
		{"algorithms without source", algorithms(map[string]any{"by": "major", "ranges": []any{rng(0, 1, "cn/0")}}), "no source"},
		{"fact without source", func(c map[string]any) { delete(c["maturity"].(map[string]any), "source") }, "maturity has no source"},
		{"seed lag without source", func(c map[string]any) { delete(c["seed_lag"].(map[string]any), "source") }, "seed_lag has no source"},
		{"fact left out", func(c map[string]any) { delete(c, "nonce_bytes") }, "nonce_bytes has no source"},
		{"blob without source", func(c map[string]any) { delete(c["blob"].(map[string]any), "source") }, "blob has no source"},
		{"block time without source", func(c map[string]any) { delete(c["block_seconds"].(map[string]any), "source") }, "block_seconds has no source"},
		{"neither algorithm nor reason", algorithms(byMajors(rng(1, 2, ""))), "either an algorithm or the reason"},
		{"algorithm and reason", algorithms(byMajors(map[string]any{"from": 1, "to": 2, "algo": "cn/0", "refused": "is old"})), "either an algorithm or the reason"},
		{"empty range without algorithm", algorithms(byMajors(map[string]any{"from": 2, "to": 1, "refused": "is old"})), "is empty"},
		{"unknown form of address", network("prefixes", map[string]any{"source": "test", "form": "bech32"}), "unknown form"},
		{"prefixes of QRL", network("prefixes", map[string]any{"source": "test", "form": "qrl", "standard": []any{1}}), "have no prefixes"},
		{"no seed epoch for RandomX", func(c map[string]any) { delete(c, "seed_epoch") }, "seed epoch"},
		{"odd seed epoch", value("seed_epoch", 2047), "power of two"},
		{"lag of an epoch", value("seed_lag", 2048), "power of two"},
		{"no maturity", value("maturity", 0), "maturity"},
		{"no block time", value("block_seconds", 0), "a block every"},
		{"decimals above 64 bits", value("decimals", 20), "decimals"},
		{"odd nonce", value("nonce_bytes", 5), "nonce"},
		{"unknown blob", value("blob", "moonero"), "unknown blob type"},
		{"no symbol", value("symbol", ""), "name is empty"},
		{"negative maturity", value("maturity", -1), "maturity"},
		{"no networks", func(c map[string]any) { c["networks"] = []any{} }, "no network"},
		{"network without name", network("name", ""), "name is empty"},
		{"two networks of one name", network("name", "monero-testnet"), "two of that name"},
		{"prefix of two kinds", network("prefixes", map[string]any{"source": "test", "standard": []any{18}, "subaddress": []any{18}}), "used twice"},
		{"no standard prefix", network("prefixes", map[string]any{"source": "test", "subaddress": []any{18}}), "no prefix"},
		{"prefixes without source", network("prefixes", map[string]any{"standard": []any{18}}), "prefixes has no source"},
		{"misspelt field", func(c map[string]any) { c["matuirty"] = 60 }, "unknown field"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			profiles, err := load(catalogueWith(t, tt.change))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("load = %d profiles, %v; want an error with %q", len(profiles), err, tt.want)
			}
		})
	}
	for name, data := range map[string]string{"nothing": "", "no object": "[]", "two catalogues": string(embedded) + string(embedded)} {
		if _, err := load([]byte(data)); err == nil {
			t.Errorf("%s is loaded", name)
		}
	}
	if profiles, err := load(catalogueWith(t, func(map[string]any) {})); err != nil || len(profiles) != len(Names()) {
		t.Errorf("the unspoilt catalogue: %d profiles, %v", len(profiles), err)
	}
}

// A coin may have prefixes of several bytes, two of a kind, or none of a kind.
func TestPrefixesOfOtherCoins(t *testing.T) {
	profiles, err := load(catalogueWith(t, func(c map[string]any) {
		c["networks"].([]any)[0].(map[string]any)["prefixes"] = map[string]any{"source": "test", "standard": []any{0x2ce192, 0x2c6192}, "integrated": []any{uint64(math.MaxUint64)}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := profiles[0]
	var spend, view [32]byte
	copy(spend[:], base)
	copy(view[:], base)
	for kind, want := range map[Kind]int{Standard: 99, Integrated: maxAddressText} {
		text, err := p.EncodeAddress(kind, spend, view, [8]byte{7})
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.ParseAddress(text)
		if err != nil || a.Kind != kind || len(text) != want {
			t.Errorf("%v, %d characters: %+v, %v", kind, len(text), a, err)
		}
	}
	second := string(appendBase58(nil, payload(blob.AppendVarint(nil, 0x2c6192), base, base)))
	if a, err := p.ParseAddress(second); err != nil || a.Kind != Standard {
		t.Errorf("second standard prefix: %+v, %v", a, err)
	}
	if text, err := p.EncodeAddress(Subaddress, spend, view, [8]byte{}); err == nil {
		t.Errorf("a subaddress of a coin without: %s", text)
	}
}
