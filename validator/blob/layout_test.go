package blob

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

type layoutVector struct {
	Name    string `json:"name"`
	Blob    string `json:"blob"`
	Type    uint8  `json:"blob_type"`
	Block   string `json:"block_hex"`
	Hashing string `json:"hashing_blob_hex"`
	ID      string `json:"block_id_hex"`
}

func layoutVectors(t testing.TB) []layoutVector {
	t.Helper()
	var vectors []layoutVector
	readVectors(t, "layouts.json", &vectors)
	if len(vectors) != 8 {
		t.Fatalf("%d vectors", len(vectors))
	}
	return vectors
}

// Published templates of other coins and the hashing blobs their pools make of
// them. Every implemented layout but CryptoNote's has one here.
func TestPublishedLayouts(t *testing.T) {
	seen := map[Type]bool{CryptoNote: true}
	for _, v := range layoutVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			typ, err := ParseType(v.Blob)
			if err != nil || typ != Type(v.Type) {
				t.Fatalf("ParseType(%q) = %d, %v; want %d", v.Blob, typ, err, v.Type)
			}
			seen[typ] = true
			raw := unhex(t, v.Block)
			tpl, err := Parse(typ, raw, 17)
			if err != nil {
				t.Fatal(err)
			}
			if got := tpl.AppendHashing(nil, nil); !bytes.Equal(got, unhex(t, v.Hashing)) {
				t.Fatalf("hashing blob %x\nwant %s", got, v.Hashing)
			}
			if v.ID != "" && BlockID(unhex(t, v.Hashing)) != unhex32(t, v.ID) {
				t.Errorf("block id %x, want %s", BlockID(unhex(t, v.Hashing)), v.ID)
			}
			window := cmp.Or(map[Type]uint64{Arqma: 18, Forknote1: 50}[typ], 60)
			if tpl.NonceOffset != 39 || tpl.ReserveSize != 17 || tpl.UnlockTime != tpl.Height+window || tpl.Reward == 0 {
				t.Errorf("facts %v, reward %d", facts(tpl), tpl.Reward)
			}
			if !bytes.Equal(raw[tpl.ReservedOffset-2:][:2], []byte{extraNonce, 17}) {
				t.Errorf("the reserve stands behind %x", raw[tpl.ReservedOffset-2:][:2])
			}
			extra := []byte("twelve bytes")
			block := tpl.AppendBlock(nil, extra, 0x01020304)
			want := slices.Clone(raw)
			copy(want[39:], []byte{4, 3, 2, 1})
			copy(want[tpl.ReservedOffset:], extra)
			if !bytes.Equal(block, want) {
				t.Errorf("block %x\nwant  %x", block, want)
			}
			again, err := Parse(typ, block, 17)
			if err != nil {
				t.Fatal(err)
			}
			hashing := tpl.AppendHashing(nil, extra)
			binary.LittleEndian.PutUint32(hashing[39:], 0x01020304)
			if got := again.AppendHashing(nil, nil); !bytes.Equal(got, hashing) {
				t.Errorf("the block's own hashing blob %x\nis not the job's %x", got, hashing)
			}
			if got := plainHashing(t, tpl, extra); !bytes.Equal(got, tpl.AppendHashing(nil, extra)) {
				t.Errorf("hashed as a whole: %x", got)
			}
			if n := testing.AllocsPerRun(100, func() { hashing = tpl.AppendHashing(hashing[:0], extra) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	for _, l := range layouts {
		if l.refused == "" && !seen[l.typ] {
			t.Errorf("%s is implemented and has no example", l.name)
		}
	}
}

// Each published template cut short, with a byte behind it, or taken for
// another coin's layout.
func TestLayoutsRefuseForeignBytes(t *testing.T) {
	for _, v := range layoutVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			raw := unhex(t, v.Block)
			for n := range raw {
				if _, err := Parse(Type(v.Type), raw[:n], 0); err == nil {
					t.Fatalf("its first %d bytes are taken for a template", n)
				}
			}
			if _, err := Parse(Type(v.Type), append(slices.Clone(raw), 0), 0); !errors.Is(err, ErrTrailing) {
				t.Errorf("with a byte behind: %v", err)
			}
			for _, l := range layouts {
				// A CryptoNote template of version 1 is one of type 1, by definition.
				if l.typ == Type(v.Type) || l.typ == CryptoNote && Type(v.Type) == Forknote1 {
					continue
				}
				if tpl, err := Parse(l.typ, raw, 0); err == nil {
					t.Errorf("taken for %s: %v", l.name, facts(tpl))
				}
			}
		})
	}
}

// What a layout does not cover is refused by name and not read on a guess.
func TestLayoutVersions(t *testing.T) {
	for _, v := range layoutVectors(t) {
		l, _ := layoutOf(Type(v.Type))
		raw := unhex(t, v.Block)
		tpl, err := Parse(l.typ, raw, 17)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			what  string
			at    int
			value uint64
			span  span64
		}{
			{"block version below", 0, l.majors.min - 1, l.majors},
			{"block version above", 0, l.majors.max + 1, l.majors},
			{"tx version below", tpl.txStart, l.versions.min - 1, l.versions},
			{"tx version above", tpl.txStart, l.versions.max + 1, l.versions},
		} {
			if tt.value > 127 { // no such byte: the layout has every version
				continue
			}
			changed := slices.Clone(raw)
			changed[tt.at] = byte(tt.value)
			_, err := Parse(l.typ, changed, 17)
			if !errors.Is(err, ErrRule) || !strings.Contains(err.Error(), l.name) || !strings.Contains(err.Error(), tt.span.String()) {
				t.Errorf("%s: %s, %d: %v", v.Name, tt.what, tt.value, err)
			}
		}
	}
}

// One field of a published template spoilt.
func TestLayoutFields(t *testing.T) {
	block := func(name string) []byte {
		for _, v := range layoutVectors(t) {
			if v.Blob == name {
				return unhex(t, v.Block)
			}
		}
		t.Fatalf("no example of %s", name)
		return nil
	}
	splice := func(raw []byte, at, remove int, insert ...byte) []byte {
		return slices.Concat(raw[:at], insert, raw[at+remove:])
	}
	find := func(raw []byte, text string) int {
		at := bytes.Index(raw, []byte(text))
		if at < 0 {
			t.Fatalf("no %q in %x", text, raw)
		}
		return at
	}
	arqma, loki, haven, zephyr := block("arqma"), block("loki"), block("haven"), block("zephyr")
	nonce := string(nonceField(17)) // in front of the public key in all of them
	asset, zeph := find(haven, "\x03XHV"), find(zephyr, "\x04ZEPH")
	tests := []struct {
		name string
		typ  Type
		raw  []byte
		want error
	}{
		{"arqma: type of a tx that is none", Arqma, splice(arqma, 44, 1, 1), ErrRule},
		{"arqma: unlock time missing", Arqma, splice(arqma, 45, 5, 4), ErrRule},
		{"arqma: unlock times without end", Arqma, splice(arqma, 45, 1, 0xFF, 0xFF, 0x7F), ErrLimit},
		{"arqma: unlock times cut off", Arqma, arqma[:50], ErrVarintTruncated},
		{"loki: unlock time too many", Loki, splice(loki, 44, 1, 4, 1), ErrRule},
		{"loki: type of a tx that is none", Loki, splice(loki, find(loki, nonce)+len(nonce)+66, 1, 2), ErrRule},
		{"haven: a service node", Haven, splice(haven, find(haven, nonce)+len(nonce), 1, extraWinner), ErrRule},
		{"haven: plain output", Haven, splice(haven, asset-33, 1, outputKey), ErrRule},
		{"haven: output without tag", Haven, splice(haven, asset-33, 1, 0x06), ErrRule},
		{"haven: asset of 17 letters", Haven, splice(haven, asset, 1, 17), ErrLimit},
		{"haven: price record cut off", Haven, haven[:200], ErrTruncated},
		{"haven: amount minted too wide", Haven, splice(haven, find(haven, nonce)+len(nonce)+33+2, 1, bytes.Repeat([]byte{0xFF}, 10)...), ErrVarintOverflow},
		{"zephyr: tagged output", Zephyr, splice(zephyr, zeph-33, 1, outputTagged), ErrRule},
		{"zephyr: asset cut off", Zephyr, zephyr[:zeph+2], ErrTruncated},
		{"masari: uncle cut off", MasariUncle, block("masari")[:160], ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tpl, err := Parse(tt.typ, tt.raw, 17); !errors.Is(err, tt.want) || tpl != nil {
				t.Errorf("Parse = %v, %v; want %v", tpl, err, tt.want)
			}
		})
	}
	// The reward is in the first output's asset; what is paid in another one is
	// not added to it.
	tpl, err := Parse(Haven, haven, 17)
	if err != nil {
		t.Fatal(err)
	}
	second := asset + bytes.Index(haven[asset+1:], []byte("\x03XHV")) + 1
	other, err := Parse(Haven, splice(haven, second, 4, []byte("\x04XUSD")...), 17)
	if err != nil || other.Reward >= tpl.Reward || other.Reward == 0 {
		t.Errorf("reward of %d becomes %v, %v", tpl.Reward, other, err)
	}
}

// Masari's uncle is hashed, and not only carried along.
func TestUncleCounts(t *testing.T) {
	for _, v := range layoutVectors(t) {
		if Type(v.Type) != MasariUncle {
			continue
		}
		raw := unhex(t, v.Block)
		copy(raw[len(raw)-32:], bytes.Repeat([]byte{7}, 32))
		tpl, err := Parse(MasariUncle, raw, 17)
		if err != nil {
			t.Fatal(err)
		}
		hashing := tpl.AppendHashing(nil, nil)
		if len(hashing) != 108 || !bytes.Equal(hashing[76:], bytes.Repeat([]byte{7}, 32)) || !bytes.Equal(hashing[:76], unhex(t, v.Hashing)[:76]) {
			t.Errorf("hashing blob %x", hashing)
		}
		return
	}
	t.Fatal("no example")
}

func TestTypes(t *testing.T) {
	names := make(map[string]bool)
	for _, l := range layouts {
		if names[l.name] || l.name == "" {
			t.Errorf("two layouts are called %q", l.name)
		}
		names[l.name] = true
		typ, err := ParseType(l.name)
		if typ != l.typ || typ.String() != l.name {
			t.Errorf("ParseType(%q) = %v, %v", l.name, typ, err)
		}
		if l.refused == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, ErrNotImplemented) || !strings.Contains(err.Error(), l.name) || !strings.Contains(err.Error(), l.refused) {
			t.Errorf("%s: %v", l.name, err)
		}
		if tpl, err := Parse(typ, goodSample().bytes(), 12); !errors.Is(err, ErrNotImplemented) || tpl != nil {
			t.Errorf("%s: %v, %v", l.name, tpl, err)
		}
	}
	for _, name := range []string{"", "CryptoNote", "blob type 77"} {
		if typ, err := ParseType(name); err == nil || !strings.Contains(err.Error(), "known are cryptonote") || errors.Is(err, ErrNotImplemented) {
			t.Errorf("ParseType(%q) = %v, %v", name, typ, err)
		}
	}
	if got := Type(77).String(); got != "blob type 77" {
		t.Error(got)
	}
	if _, err := Parse(Type(77), goodSample().bytes(), 12); err == nil {
		t.Error("an unknown blob type is parsed")
	}
}
