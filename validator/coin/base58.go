package coin

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// CryptoNote's base58 works on blocks of eight bytes, each a big-endian number
// written in eleven digits; the last block may be shorter:
//
//	bytes   1  2  3  4  5  6  7  8
//	digits  2  3  5  6  7  9 10 11
//
// Both lengths of a block fix each other, and the digits leave room above the
// block's largest number, so decoding refuses lengths 1, 4 and 8 and numbers
// that do not fit. What is left has exactly one spelling.
const (
	base58Alphabet    = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	base58Block       = 8
	base58BlockDigits = 11
)

// digitsFor is the number of digits for a block of i bytes.
func digitsFor(i int) int {
	return [base58Block + 1]int{0, 2, 3, 5, 6, 7, 9, 10, base58BlockDigits}[i]
}

// bytesFor is the length of the block written in so many digits, -1 for none.
func bytesFor(digits int) int {
	for i := range base58Block + 1 {
		if digitsFor(i) == digits {
			return i
		}
	}
	return -1
}

// base58Digit is the value of a digit, or -1.
func base58Digit(c byte) int {
	switch {
	case c >= '1' && c <= '9':
		return int(c - '1')
	case c >= 'A' && c <= 'H':
		return int(c-'A') + 9
	case c >= 'J' && c <= 'N':
		return int(c-'J') + 17
	case c >= 'P' && c <= 'Z':
		return int(c-'P') + 22
	case c >= 'a' && c <= 'k':
		return int(c-'a') + 33
	case c >= 'm' && c <= 'z':
		return int(c-'m') + 44
	}
	return -1
}

// appendBase58 appends the digits of data to dst.
func appendBase58(dst, data []byte) []byte {
	for len(data) > 0 {
		n := min(len(data), base58Block)
		var raw [base58Block]byte
		copy(raw[base58Block-n:], data[:n])
		v := binary.BigEndian.Uint64(raw[:])
		digits := digitsFor(n)
		var text [base58BlockDigits]byte
		for i := digits - 1; i >= 0; i-- {
			text[i] = base58Alphabet[v%58]
			v /= 58
		}
		dst = append(dst, text[:digits]...)
		data = data[n:]
	}
	return dst
}

// decodeBase58 appends the bytes that s stands for to dst.
func decodeBase58(dst []byte, s string) ([]byte, error) {
	for at := 0; at < len(s); {
		digits := min(len(s)-at, base58BlockDigits)
		size := bytesFor(digits)
		if size < 0 {
			return nil, fmt.Errorf("%w: no block is written in %d digits", ErrBadBase58, digits)
		}
		var v uint64
		for i := at; i < at+digits; i++ {
			d := base58Digit(s[i])
			if d < 0 {
				return nil, fmt.Errorf("%w: %q is no digit", ErrBadBase58, s[i])
			}
			over, low := bits.Mul64(v, 58)
			sum, carry := bits.Add64(low, uint64(d), 0)
			if over+carry != 0 {
				return nil, fmt.Errorf("%w: a block is too large for its digits", ErrBadBase58)
			}
			v = sum
		}
		if size < base58Block && v>>(8*size) != 0 {
			return nil, fmt.Errorf("%w: a block is too large for its digits", ErrBadBase58)
		}
		var raw [base58Block]byte
		binary.BigEndian.PutUint64(raw[:], v)
		dst = append(dst, raw[base58Block-size:]...)
		at += digits
	}
	return dst, nil
}
