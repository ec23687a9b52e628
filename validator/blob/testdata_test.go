package blob

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// readVectors reads testdata/name into out.
func readVectors(t testing.TB, name string, out any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func unhex32(t testing.TB, s string) (out [32]byte) {
	t.Helper()
	b := unhex(t, s)
	if len(b) != 32 {
		t.Fatalf("%q is not of 32 bytes", s)
	}
	copy(out[:], b)
	return out
}

// sample writes a block template field by field, right or wrong.
type sample struct {
	major, minor, timestamp uint64
	nonce                   [4]byte
	version, unlock         uint64
	inputs                  uint64
	input                   byte
	height                  uint64
	amounts                 []uint64
	outputType              byte
	extra                   []byte
	rct                     []byte
	txs                     int
	txCount                 uint64 // what the count says
	behind                  []byte
}

// goodSample is a version 2 template of three transactions with 12 reserved bytes.
func goodSample() sample {
	return sample{
		major: 16, minor: 16, timestamp: 1_760_000_000,
		version: 2, unlock: 3_196_705, inputs: 1, input: 0xFF, height: 3_196_645,
		amounts: []uint64{600_000_000_000}, outputType: outputTagged,
		extra: append(publicKeyField(), nonceField(12)...),
		rct:   []byte{0}, txs: 3, txCount: 3,
	}
}

func publicKeyField() []byte {
	field := []byte{extraPublicKey}
	for i := range 32 {
		field = append(field, byte(i+1))
	}
	return field
}

func nonceField(size int) []byte {
	field := AppendVarint([]byte{extraNonce}, uint64(size))
	return append(field, make([]byte, size)...)
}

func (s sample) bytes() []byte {
	b := AppendVarint(nil, s.major)
	b = AppendVarint(b, s.minor)
	b = AppendVarint(b, s.timestamp)
	for i := range 32 {
		b = append(b, byte(0xA0+i))
	}
	b = append(b, s.nonce[:]...)
	for _, v := range []uint64{s.version, s.unlock, s.inputs} {
		b = AppendVarint(b, v)
	}
	b = append(b, s.input)
	b = AppendVarint(b, s.height)
	b = AppendVarint(b, uint64(len(s.amounts)))
	for _, amount := range s.amounts {
		b = append(AppendVarint(b, amount), s.outputType)
		size := 32
		if s.outputType == outputTagged {
			size = 33
		}
		for i := range size {
			b = append(b, byte(0x40+i))
		}
	}
	b = append(AppendVarint(b, uint64(len(s.extra))), s.extra...)
	b = append(b, s.rct...)
	b = AppendVarint(b, s.txCount)
	for i := range s.txs {
		id := Keccak256([]byte{byte(i), byte(i >> 8)})
		b = append(b, id[:]...)
	}
	return append(b, s.behind...)
}
