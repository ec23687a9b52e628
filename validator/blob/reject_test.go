package blob

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*sample)
		want   error
	}{
		{"major version above a byte", func(s *sample) { s.major = 256 }, ErrLimit},
		{"minor version above a byte", func(s *sample) { s.minor = 300 }, ErrLimit},
		{"tx version 0", func(s *sample) { s.version = 0 }, ErrRule},
		{"tx version 3", func(s *sample) { s.version = 3 }, ErrRule},
		{"no input", func(s *sample) { s.inputs = 0 }, ErrRule},
		{"two inputs", func(s *sample) { s.inputs = 2 }, ErrRule},
		{"input that spends", func(s *sample) { s.input = 0x02 }, ErrRule},
		{"no outputs", func(s *sample) { s.amounts = nil }, ErrRule},
		{"too many outputs", func(s *sample) { s.amounts = make([]uint64, MaxOutputs+1) }, ErrLimit},
		{"amounts above 64 bits", func(s *sample) { s.amounts = []uint64{math.MaxUint64, 1} }, ErrLimit},
		{"output to a script", func(s *sample) { s.outputType = 0x00 }, ErrRule},
		{"output of tomorrow", func(s *sample) { s.outputType = 0x04 }, ErrRule},
		{"signatures in the miner tx", func(s *sample) { s.rct = []byte{5} }, ErrRule},
		{"no signature type", func(s *sample) { s.rct = nil }, ErrRule}, // the count of 3 is taken for it
		{"signature type in version 1", func(s *sample) { s.version = 1 }, ErrTrailing},
		{"fewer ids than counted", func(s *sample) { s.txCount = 4 }, ErrTruncated},
		{"more ids than counted", func(s *sample) { s.txCount = 2 }, ErrTrailing},
		{"absurd count of ids", func(s *sample) { s.txCount = math.MaxUint64 }, ErrLimit},
		{"count just above the limit", func(s *sample) { s.txCount = MaxTransactions + 1 }, ErrLimit},
		{"byte left over", func(s *sample) { s.behind = []byte{0} }, ErrTrailing},

		{"no extra", func(s *sample) { s.extra = nil }, ErrReserve},
		{"no nonce field", func(s *sample) { s.extra = publicKeyField() }, ErrReserve},
		{"reserve too small", func(s *sample) { s.extra = nonceField(11) }, ErrReserve},
		{"two nonce fields", func(s *sample) { s.extra = append(nonceField(12), nonceField(12)...) }, ErrReserve},
		{"nonce field too long", func(s *sample) { s.extra = nonceField(256) }, ErrLimit},
		{"nonce field cut off", func(s *sample) { s.extra = nonceField(12)[:13] }, ErrTruncated},
		{"nonce field without its length", func(s *sample) { s.extra = []byte{extraNonce} }, ErrVarintTruncated},
		{"overlong length of the nonce field", func(s *sample) { s.extra = append([]byte{extraNonce, 0x8c, 0x00}, make([]byte, 12)...) }, ErrVarintOverlong},
		{"nonce field inside a merge mining field", func(s *sample) { s.extra = append([]byte{extraMergeMining, 14}, nonceField(12)...) }, ErrReserve},
		{"nonce field behind padding", func(s *sample) { s.extra = append([]byte{extraPadding}, nonceField(12)...) }, ErrRule},
		{"public key cut off", func(s *sample) { s.extra = append(nonceField(12), publicKeyField()[:32]...) }, ErrTruncated},
		{"more keys than there are", func(s *sample) { s.extra = append(nonceField(12), extraMoreKeys, 2, 1) }, ErrTruncated},
		{"absurd count of keys", func(s *sample) {
			s.extra = append(nonceField(12), AppendVarint([]byte{extraMoreKeys}, math.MaxUint64)...)
		}, ErrLimit},
		{"unknown field", func(s *sample) { s.extra = append(nonceField(12), 0x05, 0x00) }, ErrRule},
		{"field reaching out of extra", func(s *sample) { s.extra = append(nonceField(12), extraMinergate, 40) }, ErrTruncated},
		{"extra above the limit", func(s *sample) { s.extra = append(nonceField(12), make([]byte, MaxExtra)...) }, ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := goodSample()
			tt.change(&s)
			tpl, err := Parse(CryptoNote, s.bytes(), 12)
			if !errors.Is(err, tt.want) || tpl != nil {
				t.Errorf("Parse = %v, %v; want %v", tpl, err, tt.want)
			}
		})
	}
}

func TestParseTakes(t *testing.T) {
	key, nonce := publicKeyField(), nonceField(12)
	tests := []struct {
		name  string
		extra []byte
	}{
		{"nonce alone", nonce},
		{"nonce before the key", append(bytes.Clone(nonce), key...)},
		{"padding at the end", append(bytes.Clone(nonce), 0, 0, 0, 0)},
		{"padding of one byte", append(bytes.Clone(nonce), 0)},
		{"merge mining", append([]byte{extraMergeMining, 33, 0}, append(bytes.Repeat([]byte{2}, 32), nonce...)...)},
		{"more keys", append(append([]byte{extraMoreKeys, 2}, make([]byte, 64)...), nonce...)},
		{"no more keys", append([]byte{extraMoreKeys, 0}, nonce...)},
		{"minergate", append([]byte{extraMinergate, 2, 2, 12}, nonce...)},
		{"two keys", append(append(bytes.Clone(key), key...), nonce...)},
		{"longer reserve", nonceField(255)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := goodSample()
			s.extra = tt.extra
			raw := s.bytes()
			tpl, err := Parse(CryptoNote, raw, 12)
			if err != nil {
				t.Fatal(err)
			}
			extra := []byte("twelve bytes")
			block := tpl.AppendBlock(nil, extra, 0x01020304)
			if !bytes.Equal(block[tpl.ReservedOffset:tpl.ReservedOffset+12], extra) || !bytes.Equal(block[39:43], []byte{4, 3, 2, 1}) {
				t.Errorf("extra nonce or nonce is elsewhere: %x", block)
			}
			copy(block[tpl.ReservedOffset:], make([]byte, 12))
			copy(block[39:], make([]byte, 4))
			if !bytes.Equal(block, raw) {
				t.Error("more than the extra nonce and the nonce was written")
			}
		})
	}
}

func TestParseSumsTheReward(t *testing.T) {
	s := goodSample()
	s.amounts = []uint64{math.MaxUint64 - 6, 1, 2, 3}
	tpl, err := Parse(CryptoNote, s.bytes(), 12)
	if err != nil || tpl.Reward != math.MaxUint64 {
		t.Errorf("%v, %v", tpl, err)
	}
}

// Every template cut short, and every one with a byte too many, is refused.
func TestParseCutShort(t *testing.T) {
	for name, raw := range map[string][]byte{"sample": goodSample().bytes(), "mainnet": modernTemplate(t)} {
		if _, err := Parse(CryptoNote, raw, 12); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := range raw {
			if _, err := Parse(CryptoNote, raw[:n], 12); err == nil {
				t.Errorf("%s: its first %d bytes are taken for a template", name, n)
			}
		}
		for b := range 256 {
			if _, err := Parse(CryptoNote, append(bytes.Clone(raw), byte(b)), 12); !errors.Is(err, ErrTrailing) {
				t.Errorf("%s with %#02x behind: %v", name, b, err)
			}
		}
	}
}

// The timestamp decides where the nonce is; 39 is not taken for granted.
func TestNonceOffsetIsFound(t *testing.T) {
	for timestamp, want := range map[uint64]int{0: 35, 1<<28 - 1: 38, 1 << 28: 39, 1<<35 - 1: 39, 1 << 35: 40, math.MaxUint64: 44} {
		s := goodSample()
		s.timestamp = timestamp
		tpl, err := Parse(CryptoNote, s.bytes(), 12)
		if err != nil || tpl.NonceOffset != want || tpl.HashingNonceOffset() != want || tpl.Timestamp != timestamp {
			t.Errorf("timestamp %d: %v, %v; want the nonce at %d", timestamp, tpl, err, want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	if _, err := Parse(CryptoNote, make([]byte, MaxTemplate+1), 0); !errors.Is(err, ErrLimit) {
		t.Errorf("template above the limit: %v", err)
	}
	s := goodSample() // everything at its limit fits
	s.txs, s.txCount, s.amounts = MaxTransactions, MaxTransactions, make([]uint64, MaxOutputs)
	s.extra = append(nonceField(12), make([]byte, MaxExtra-14)...)
	if tpl, err := Parse(CryptoNote, s.bytes(), 12); err != nil || tpl.TxCount != MaxTransactions {
		t.Errorf("template at its limits: %v", err)
	}
}

// Whatever parses is written again byte for byte, and hashes as it does when
// nothing is cached.
func FuzzParseTemplate(f *testing.F) {
	f.Add(uint8(CryptoNote), goodSample().bytes(), 12)
	f.Add(uint8(CryptoNote), modernTemplate(f), 17)
	for _, v := range layoutVectors(f) {
		f.Add(v.Type, unhex(f, v.Block), 17)
	}
	var vectors []daemonVector
	readVectors(f, "daemon.json", &vectors)
	for _, v := range vectors {
		f.Add(uint8(CryptoNote), unhex(f, v.Template), v.ReserveSize)
	}
	old := goodSample()
	old.version, old.rct, old.outputType, old.amounts = 1, nil, outputKey, []uint64{1, 20, 300}
	old.extra = append([]byte{extraMergeMining, 2, 0, 1}, nonceField(128)...)
	f.Add(uint8(CryptoNote), old.bytes(), 100)
	f.Add(uint8(CryptoNote), modernTemplate(f)[:200], 0)
	f.Fuzz(func(t *testing.T, typ uint8, raw []byte, reserve int) {
		tpl, err := Parse(Type(typ), raw, reserve)
		if err != nil {
			return
		}
		if tpl.ReserveSize < reserve || tpl.ReservedOffset+tpl.ReserveSize > len(raw) {
			t.Fatalf("reserve of %d at %d in %d bytes, %d wanted", tpl.ReserveSize, tpl.ReservedOffset, len(raw), reserve)
		}
		nonce := uint32(tpl.Nonce[0]) | uint32(tpl.Nonce[1])<<8 | uint32(tpl.Nonce[2])<<16 | uint32(tpl.Nonce[3])<<24
		own := bytes.Clone(raw[tpl.ReservedOffset : tpl.ReservedOffset+tpl.ReserveSize])
		if got := tpl.AppendBlock(nil, own, nonce); !bytes.Equal(got, raw) {
			t.Fatalf("%x comes back as %x", raw, got)
		}
		changed := bytes.Repeat([]byte{0xA5}, tpl.ReserveSize)
		for _, extra := range [][]byte{nil, own, changed} {
			if got, want := tpl.AppendHashing(nil, extra), plainHashing(t, tpl, extra); !bytes.Equal(got, want) {
				t.Fatalf("extra %x: %x, want %x", extra, got, want)
			}
		}
	})
}
