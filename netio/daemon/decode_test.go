package daemon

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/assay-pool/assay/validator/blob"
)

const reserve = 16

// answer is a well-formed get_block_template result: 2-byte versions, timestamp, parent of 0xAA,
// nonce, and a stand-in for the coinbase whose reserved bytes are at 60.
func answer() map[string]any {
	prev := strings.Repeat("aa", 32)
	return map[string]any{
		"status": "OK", "untrusted": false, "height": 3000, "difficulty": 500, "difficulty_top64": 0, "wide_difficulty": "0x1f4",
		"blocktemplate_blob": "1010" + "c0d882d806" + prev + "00000000" + strings.Repeat("02", 17) + strings.Repeat("00", 20),
		"blockhashing_blob":  strings.Repeat("10", 76),
		"prev_hash":          prev, "seed_hash": strings.Repeat("bb", 32), "next_seed_hash": "", "seed_height": 2048,
		"reserved_offset": 60, "expected_reward": 600000000000,
	}
}

func TestDecodeTemplate(t *testing.T) {
	for name, c := range map[string]struct {
		field string
		value any // nil = left out
		want  Kind
	}{
		"good":                        {"extra_field", 1, KindNone},
		"blob missing":                {"blocktemplate_blob", nil, KindMalformed},
		"blob odd hex":                {"blocktemplate_blob", "101", KindMalformed},
		"blob not hex":                {"blocktemplate_blob", strings.Repeat("zz", 100), KindMalformed},
		"blob tiny":                   {"blocktemplate_blob", "1010", KindAbsurd},
		"blob a number":               {"blocktemplate_blob", 5, KindMalformed},
		"blob all ones":               {"blocktemplate_blob", strings.Repeat("11", 96), KindAbsurd},
		"hashing blob not hex":        {"blockhashing_blob", "xx", KindMalformed},
		"hashing blob tiny":           {"blockhashing_blob", "10", KindAbsurd},
		"hashing blob huge":           {"blockhashing_blob", strings.Repeat("10", 2000), KindAbsurd},
		"hashing blob absent":         {"blockhashing_blob", nil, KindNone},
		"height missing":              {"height", nil, KindMalformed},
		"height zero":                 {"height", 0, KindAbsurd},
		"height negative":             {"height", -1, KindMalformed},
		"height fraction":             {"height", 1.5, KindMalformed},
		"height a string":             {"height", "3000", KindMalformed},
		"height beyond time":          {"height", uint64(1) << 50, KindAbsurd},
		"height beyond 64 bit":        {"height", json.Number("99999999999999999999"), KindMalformed},
		"difficulty missing":          {"difficulty", nil, KindMalformed},
		"difficulties disagree":       {"difficulty", 501, KindAbsurd},
		"top difficulty disagrees":    {"difficulty_top64", 1, KindAbsurd},
		"wide difficulty no prefix":   {"wide_difficulty", "1f4", KindMalformed},
		"wide difficulty not hex":     {"wide_difficulty", "0xzz", KindMalformed},
		"wide difficulty 132 bits":    {"wide_difficulty", "0x1" + strings.Repeat("0", 32), KindMalformed},
		"wide difficulty absent":      {"wide_difficulty", nil, KindNone},
		"offset missing":              {"reserved_offset", nil, KindMalformed},
		"offset zero":                 {"reserved_offset", 0, KindAbsurd},
		"offset in the header":        {"reserved_offset", 42, KindAbsurd},
		"offset beyond the end":       {"reserved_offset", 97, KindAbsurd},
		"offset near 2^64":            {"reserved_offset", ^uint64(0) - 3, KindAbsurd},
		"offset into used bytes":      {"reserved_offset", 50, KindAbsurd},
		"offset too near to the end":  {"reserved_offset", 90, KindAbsurd},
		"prev short":                  {"prev_hash", "aa", KindMalformed},
		"prev not hex":                {"prev_hash", strings.Repeat("gg", 32), KindMalformed},
		"prev of another block":       {"prev_hash", strings.Repeat("ab", 32), KindAbsurd},
		"prev absent":                 {"prev_hash", nil, KindNone},
		"seed long":                   {"seed_hash", strings.Repeat("bb", 33), KindMalformed},
		"seed not hex":                {"seed_hash", strings.Repeat("zz", 32), KindMalformed},
		"seed absent":                 {"seed_hash", "", KindNone},
		"next seed bad":               {"next_seed_hash", "0", KindMalformed},
		"next seed given":             {"next_seed_hash", strings.Repeat("cc", 32), KindNone},
		"seed height above the block": {"seed_height", 3000, KindAbsurd},
		"reward negative":             {"expected_reward", -5, KindMalformed},
		"status missing":              {"status", nil, KindMalformed},
		"status BUSY":                 {"status", "BUSY", KindBusy},
		"status other":                {"status", "Failed", KindRPC},
		"relayed":                     {"untrusted", true, KindNotSynced},
	} {
		t.Run(name, func(t *testing.T) {
			a := answer()
			if c.value == nil {
				delete(a, c.field)
			} else {
				a[c.field] = c.value
			}
			b, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			tpl, derr := decodeTemplate(b, reserve)
			if c.want == KindNone {
				if derr != nil {
					t.Fatalf("error %v", derr)
				}
				if tpl.Height != 3000 || tpl.Difficulty != blob.FromUint64(500) || tpl.ReservedOffset != 60 || len(tpl.Blob) != 80 {
					t.Fatalf("template %+v", tpl)
				}
				return
			}
			if derr == nil || derr.Kind != c.want || tpl != nil {
				t.Fatalf("error %v, template %v, want %s", derr, tpl, c.want)
			}
		})
	}
	t.Run("128 bits", func(t *testing.T) {
		a := answer()
		a["difficulty"], a["difficulty_top64"], a["wide_difficulty"] = 7, 3, "0x30000000000000007"
		b, _ := json.Marshal(a)
		tpl, err := decodeTemplate(b, reserve)
		if err != nil || tpl.Difficulty != (blob.Difficulty{Hi: 3, Lo: 7}) {
			t.Fatalf("%+v, %v", tpl, err)
		}
	})
	t.Run("zero difficulty", func(t *testing.T) {
		a := answer()
		a["difficulty"], a["wide_difficulty"] = 0, "0x0"
		b, _ := json.Marshal(a)
		if _, err := decodeTemplate(b, reserve); err == nil || err.Kind != KindAbsurd && err.Kind != KindMalformed {
			t.Fatalf("error %v", err)
		}
	})
}

func TestDecodeEnvelope(t *testing.T) {
	for body, want := range map[string]Kind{
		`{"jsonrpc":"2.0","id":"0","result":{"a":1}}`:                     KindNone,
		`{"jsonrpc":"2.0","id":"0","error":{"code":-9,"message":"busy"}}`: KindBusy,
		`{"jsonrpc":"2.0","id":"0","error":{"code":-7,"message":"no"}}`:   KindRPC,
		`{"jsonrpc":"2.0","id":"0","result":{"a":1}} x`:                   KindMalformed,
		`{"jsonrpc":"2.0","id":"0","result":{"a":1}`:                      KindMalformed,
		`{"jsonrpc":"1.0","id":"0","result":{"a":1}}`:                     KindMalformed,
		`{"jsonrpc":"2.0","id":"0","result":null}`:                        KindMalformed,
		`{"jsonrpc":"2.0","id":"0"}`:                                      KindMalformed,
		`[]`:                                                              KindMalformed, ``: KindMalformed, `<html>`: KindMalformed, "\x00\xff": KindMalformed,
		strings.Repeat("[", 100000): KindMalformed,
	} {
		if _, err := decodeEnvelope([]byte(body)); (err == nil) != (want == KindNone) || err != nil && err.Kind != want {
			t.Errorf("%.60s: %v, want %s", body, err, want)
		}
	}
}

func TestDecodeInfo(t *testing.T) {
	good := map[string]any{"status": "OK", "height": 5, "top_block_hash": strings.Repeat("ab", 32), "synchronized": true, "tx_pool_size": 2}
	for name, c := range map[string]struct {
		field string
		value any
		want  Kind
	}{
		"good": {"x", 1, KindNone}, "busy": {"status", "BUSY", KindBusy}, "not synced": {"synchronized", false, KindNotSynced},
		"syncing": {"busy_syncing", true, KindNotSynced}, "no tip": {"top_block_hash", "", KindMalformed},
		"bad tip": {"top_block_hash", "ab", KindMalformed}, "height zero": {"height", 0, KindAbsurd},
		"height huge": {"height", uint64(1) << 41, KindAbsurd}, "height text": {"height", "5", KindMalformed},
	} {
		a := maps.Clone(good)
		a[c.field] = c.value
		b, _ := json.Marshal(a)
		if _, err := decodeInfo(b); (err == nil) != (c.want == KindNone) || err != nil && err.Kind != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func FuzzDecodeTemplate(f *testing.F) {
	good, _ := json.Marshal(answer())
	f.Add(good)
	f.Add([]byte(`{"status":"OK","height":1e400}`))
	f.Add([]byte(strings.Repeat(`{"a":`, 50)))
	f.Fuzz(func(t *testing.T, b []byte) {
		tpl, err := decodeTemplate(b, reserve)
		if (tpl == nil) == (err == nil) {
			t.Fatal("neither or both of template and error")
		}
		if tpl == nil {
			return
		}
		if tpl.Height == 0 || tpl.Difficulty.IsZero() || tpl.ReservedOffset < minBlob || tpl.ReservedOffset+reserve > len(tpl.Blob) {
			t.Fatalf("absurd template let through: %+v", tpl)
		}
		blob.Parse(blob.CryptoNote, tpl.Blob, reserve) // what comes next must bear whatever passes here
	})
}

// The MD5 example of RFC 7616 §3.9.1.
func TestDigestVector(t *testing.T) {
	var d digest
	ok := d.challenge([]string{
		`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
		`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
	})
	if !ok {
		t.Fatal("challenge not taken")
	}
	d.count = 1
	h := d.header("Mufasa", "Circle of Life", "GET", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
	if !strings.Contains(h, `response="8ca523f5e9506fed4657c9700eebdbec"`) || !strings.Contains(h, "nc=00000001") {
		t.Fatal(h)
	}
	for _, bad := range []string{"", "Basic realm=x", `Digest algorithm=MD5-sess, qop="auth", nonce="x"`, `Digest qop="auth-int", nonce="x"`,
		`Digest qop="auth"`, `Digest qop="auth", nonce="x`, "Digest ====", `Digest nonce="a\b", qop=auth`} {
		var d digest
		if d.challenge([]string{bad}) {
			t.Errorf("challenge %q taken", bad)
		}
	}
}

func TestSplitLogin(t *testing.T) {
	for login, want := range map[string][2]string{"u:p": {"u", "p"}, "u:p:q": {"u", "p:q"}, "u:": {"u", ""}, "nocolon": {}, "": {}, ":p": {}} {
		user, password, err := splitLogin(login)
		if err == nil && (user != want[0] || password != want[1]) || (err == nil) != (want[0] != "") {
			t.Errorf("%q: %q, %q, %v", login, user, password, err)
		}
	}
}

func TestQuorumHeight(t *testing.T) {
	for _, c := range []struct {
		sorted []uint64
		want   uint64
	}{{nil, 0}, {[]uint64{5}, 5}, {[]uint64{5, 9}, 9}, {[]uint64{5, 5, 900}, 5}, {[]uint64{3, 8, 9}, 8}, {[]uint64{1, 2, 3, 4}, 3}} {
		if got := quorumHeight(c.sorted); got != c.want {
			t.Errorf("%v: %d, want %d", c.sorted, got, c.want)
		}
	}
}
