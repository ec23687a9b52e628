package blob

import "errors"

// MaxVarint is the longest varint of 64 bits: ⌈64/7⌉ bytes.
const MaxVarint = 10

// What is wrong with a varint.
var (
	ErrVarintTruncated = errors.New("varint is cut off")
	ErrVarintOverlong  = errors.New("varint is longer than it needs to be")
	ErrVarintOverflow  = errors.New("varint is wider than 64 bits")
)

// AppendVarint appends v, seven bits a byte, lowest first, the high bit set on
// all bytes but the last.
func AppendVarint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// ReadVarint reads the varint at the start of b and returns how many bytes it
// took. A value has one spelling: an encoding that ends in a needless zero byte
// is an error, because the bytes of a template must survive being parsed and
// written again.
func ReadVarint(b []byte) (v uint64, size int, err error) {
	for i, c := range b {
		switch {
		case i == MaxVarint-1 && c > 1:
			// The tenth byte has room for the 64th bit only.
			return 0, 0, ErrVarintOverflow
		case c == 0 && i > 0:
			return 0, 0, ErrVarintOverlong
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1, nil
		}
	}
	return 0, 0, ErrVarintTruncated
}
