package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Difficulty is a network difficulty of 128 bits. The zero value is no
// difficulty: no hash meets it.
type Difficulty struct{ Hi, Lo uint64 }

var errDifficulty = errors.New("not a difficulty of at most 128 bits")

// FromUint64 is a difficulty of 64 bits.
func FromUint64(d uint64) Difficulty { return Difficulty{Lo: d} }

// ParseDifficulty reads decimal digits, or hexadecimal ones behind "0x" as in
// monerod's wide_difficulty.
func ParseDifficulty(s string) (Difficulty, error) {
	digits, base := s, uint64(10)
	if rest, ok := strings.CutPrefix(s, "0x"); ok {
		digits, base = rest, 16
	}
	if digits == "" {
		return Difficulty{}, fmt.Errorf("%w: %q has no digits", errDifficulty, s)
	}
	var d Difficulty
	for i := range len(digits) {
		digit, ok := digitValue(digits[i])
		if !ok || digit >= base {
			return Difficulty{}, fmt.Errorf("%w: %.40q", errDifficulty, s)
		}
		carry, lo := bits.Mul64(d.Lo, base)
		over, hi := bits.Mul64(d.Hi, base)
		var c uint64
		lo, c = bits.Add64(lo, digit, 0)
		hi, c = bits.Add64(hi, carry, c)
		if over != 0 || c != 0 {
			return Difficulty{}, fmt.Errorf("%w: %.40q", errDifficulty, s)
		}
		d = Difficulty{Hi: hi, Lo: lo}
	}
	return d, nil
}

func digitValue(c byte) (uint64, bool) {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0'), true
	case c >= 'a' && c <= 'f':
		return uint64(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return uint64(c-'A') + 10, true
	}
	return 0, false
}

// String is the difficulty in decimal digits.
func (d Difficulty) String() string {
	if d.Hi == 0 {
		return strconv.FormatUint(d.Lo, 10)
	}
	const e19 = 10_000_000_000_000_000_000 // the largest power of ten in 64 bits
	hi, rest := bits.Div64(d.Hi%e19, d.Lo, e19)
	upper := Difficulty{Hi: d.Hi / e19, Lo: hi}
	return upper.String() + fmt.Sprintf("%019d", rest)
}

// IsZero reports whether d is no difficulty at all.
func (d Difficulty) IsZero() bool { return d == Difficulty{} }

// Cmp is -1, 0 or +1 as d is less than, equal to or greater than o.
func (d Difficulty) Cmp(o Difficulty) int {
	switch {
	case d == o:
		return 0
	case d.Hi < o.Hi, d.Hi == o.Hi && d.Lo < o.Lo:
		return -1
	}
	return 1
}

// Uint64 is d, and whether it fits.
func (d Difficulty) Uint64() (uint64, bool) { return d.Lo, d.Hi == 0 }

// Meets reports whether a hash is good enough: read as a little-endian number
// of 256 bits, hash·d does not reach 2^256. This is Monero's consensus rule.
func (d Difficulty) Meets(hash *[32]byte) bool {
	if d.IsZero() {
		return false
	}
	return d.fits(limbs(hash))
}

// limbs are the 64-bit words of a hash, lowest first.
func limbs(hash *[32]byte) [4]uint64 {
	return [4]uint64{
		binary.LittleEndian.Uint64(hash[0:]),
		binary.LittleEndian.Uint64(hash[8:]),
		binary.LittleEndian.Uint64(hash[16:]),
		binary.LittleEndian.Uint64(hash[24:]),
	}
}

// fits reports h·d < 2^256.
//
//	           h3  h2  h1  h0
//	      ×            Hi  Lo
//	─────────────────────────
//	       c   l3  l2  l1  l0    h·Lo: c must be zero
//	  c'   m3  m2  m1  m0        h·Hi: c' and m3 must be zero
func (d Difficulty) fits(h [4]uint64) bool {
	low, carry := mul256(h, d.Lo)
	if carry != 0 {
		return false
	}
	if d.Hi == 0 {
		return true
	}
	high, carry := mul256(h, d.Hi)
	if carry != 0 || high[3] != 0 {
		return false
	}
	_, c := bits.Add64(low[1], high[0], 0)
	_, c = bits.Add64(low[2], high[1], c)
	_, c = bits.Add64(low[3], high[2], c)
	return c == 0
}

// mul256 is h·m in four words and the fifth.
func mul256(h [4]uint64, m uint64) (p [4]uint64, carry uint64) {
	for i, w := range h {
		hi, lo := bits.Mul64(w, m)
		var c uint64
		p[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c // hi is at most 2^64-2
	}
	return p, carry
}

// HashDifficulty is the greatest difficulty a hash meets,
// floor((2^256-1) / hash), at most 2^128-1: so for a hash of zero.
func HashDifficulty(hash *[32]byte) Difficulty {
	h := limbs(hash)
	if h[3] == 0 && h[2] == 0 {
		return Difficulty{Hi: math.MaxUint64, Lo: math.MaxUint64}
	}
	// A hash of b bits is worth less than 2^(257-b): try the bits from there
	// down. At the difficulties of real shares that is some twenty steps.
	length := 128 + bits.Len64(h[2])
	if h[3] != 0 {
		length = 192 + bits.Len64(h[3])
	}
	var d Difficulty
	for bit := min(256-length, 127); bit >= 0; bit-- {
		try := d
		if bit >= 64 {
			try.Hi |= 1 << (bit - 64)
		} else {
			try.Lo |= 1 << bit
		}
		if try.fits(h) {
			d = try
		}
	}
	return d
}
