package job

import (
	"encoding/binary"
	"encoding/hex"
)

// ExtraSize is the number of reserved bytes a job fills in a template.
const ExtraSize = 12

// Extra is a job's extra nonce as it stands in the block template.
type Extra [ExtraSize]byte

// MakeExtra lays out the extra nonce of one job; see the package drawing.
func MakeExtra(prefix, session, job uint32) Extra {
	var e Extra
	binary.BigEndian.PutUint32(e[0:], prefix)
	binary.BigEndian.PutUint32(e[4:], session)
	binary.BigEndian.PutUint32(e[8:], job)
	return e
}

// IDSize is the length of a job id: 16 hex digits, session number then job number.
const IDSize = 16

// AppendID appends the job id of the session's job to dst.
func AppendID(dst []byte, session, job uint32) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint32(raw[0:], session)
	binary.BigEndian.PutUint32(raw[4:], job)
	return hex.AppendEncode(dst, raw[:])
}

// ParseID reads a job id. Upper-case digits are not ours, so they are refused:
// a job has one spelling.
func ParseID(id []byte) (session, job uint32, ok bool) {
	if len(id) != IDSize {
		return 0, 0, false
	}
	var v uint64
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, 0, false
		}
	}
	return uint32(v >> 32), uint32(v), true
}
