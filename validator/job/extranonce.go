package job

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

const (
	// ExtraSize is the number of reserved bytes a job fills in a template: a
	// Prefix, the session's number and the job's.
	ExtraSize = PrefixSize + 8
	// PrefixSize is what all extra nonces of one start of a pool begin with: four
	// random bytes and the node prefix.
	PrefixSize = 8
)

// Prefix begins every extra nonce of one start of one pool. The node prefix is
// counted in Redis over all pools, so that no two starts on one Redis have the
// same; the random part keeps pools apart that know nothing of each other: one
// wallet on two Redis instances, or a Redis that was emptied.
type Prefix [PrefixSize]byte

// NewPrefix draws the random part.
func NewPrefix(node uint32) Prefix {
	var p Prefix
	rand.Read(p[:4]) // never fails (crypto/rand)
	binary.BigEndian.PutUint32(p[4:], node)
	return p
}

// Session tells whether an extra nonce begins with p, and which session number
// it names. extra is a coinbase's and may have any length.
func (p Prefix) Session(extra []byte) (session uint32, ours bool) {
	if len(extra) < ExtraSize || !bytes.Equal(extra[:PrefixSize], p[:]) {
		return 0, false
	}
	return binary.BigEndian.Uint32(extra[PrefixSize:]), true
}

// Extra is a job's extra nonce as it stands in the block template.
type Extra [ExtraSize]byte

// MakeExtra lays out the extra nonce of one job; see the package drawing.
func MakeExtra(prefix Prefix, session, job uint32) Extra {
	var e Extra
	copy(e[:], prefix[:])
	binary.BigEndian.PutUint32(e[PrefixSize:], session)
	binary.BigEndian.PutUint32(e[PrefixSize+4:], job)
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
