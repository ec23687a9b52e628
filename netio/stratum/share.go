package stratum

import "encoding/binary"

// NonceDigits and ResultDigits are the lengths of a share's hex texts.
const (
	NonceDigits  = 8
	ResultDigits = 64
)

// ParseNonce reads a nonce: eight hex digits in either case, four bytes in the
// order in which they stand in the blob, taken little-endian. Two spellings of
// a nonce are the same number, so a nonce cannot be sent twice in two cases.
func ParseNonce(s []byte) (nonce uint32, ok bool) {
	var raw [NonceDigits / 2]byte
	if !decodeHex(raw[:], s) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(raw[:]), true
}

// ParseResult reads the hash a miner claims: 64 hex digits in either case.
func ParseResult(s []byte, to *[32]byte) bool { return decodeHex(to[:], s) }

// decodeHex fills dst from exactly twice as many digits. encoding/hex would
// make an error value of each failure, and failures come as fast as lines do.
func decodeHex(dst, src []byte) bool {
	if len(src) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := hexDigit(src[2*i]), hexDigit(src[2*i+1])
		if hi < 0 || lo < 0 {
			return false
		}
		dst[i] = byte(hi<<4 | lo)
	}
	return true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
