package blob

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

func TestVarint(t *testing.T) {
	tests := []struct {
		hex  string
		want uint64
		err  error
	}{
		{"00", 0, nil},
		{"7f", 127, nil},
		{"8001", 128, nil},
		{"8204", 514, nil}, // the transaction count of Monero's block 202612
		{"ffff03", 65535, nil},
		{"ffffffffffffffffff01", math.MaxUint64, nil},
		{"80808080808080808001", 1 << 63, nil},
		{"", 0, ErrVarintTruncated},
		{"80", 0, ErrVarintTruncated},
		{"ffffffffffffffffff", 0, ErrVarintTruncated},
		{"8000", 0, ErrVarintOverlong},
		{"ff00", 0, ErrVarintOverlong},
		{"80808080808080808000", 0, ErrVarintOverlong},
		{"ffffffffffffffffff02", 0, ErrVarintOverflow},
		{"ffffffffffffffffff81", 0, ErrVarintOverflow},
		{"8080808080808080808001", 0, ErrVarintOverflow},
	}
	for _, tt := range tests {
		t.Run(tt.hex, func(t *testing.T) {
			in := unhex(t, tt.hex)
			got, size, err := ReadVarint(in)
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Fatalf("ReadVarint = %d, %v; want %d, %v", got, err, tt.want, tt.err)
			}
			if err == nil && (size != len(in) || !bytes.Equal(AppendVarint(nil, got), in)) {
				t.Errorf("size %d, written again %x", size, AppendVarint(nil, got))
			}
		})
	}
}

// The standard library's varint has the same layout but takes overlong forms.
func FuzzVarint(f *testing.F) {
	for _, seed := range []string{"", "00", "7f", "8001", "8000", "ffffffffffffffffff01", "ffffffffffffffffff02", "8080808080808080808001"} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, size, err := ReadVarint(in)
		want, wantSize := binary.Uvarint(in)
		canonical := wantSize > 0 && bytes.Equal(binary.AppendUvarint(nil, want), in[:wantSize])
		if (err == nil) != canonical {
			t.Fatalf("ReadVarint(%x) = %v, but canonical is %v", in, err, canonical)
		}
		if err == nil && (v != want || size != wantSize) {
			t.Fatalf("ReadVarint(%x) = %d in %d, want %d in %d", in, v, size, want, wantSize)
		}
	})
}
