package stratum

import (
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxWorker bounds a worker's name in bytes: it is a field of Redis hashes,
	// once a minute and worker, and 64 bytes are 64 Latin letters, 32 Cyrillic or
	// 21 Chinese ones. The ledger cuts at the same length.
	MaxWorker = 64
	// DefaultWorker is the name of a worker that gave none.
	DefaultWorker = "default"
)

const (
	// tagSign precedes the tag of a name that was changed. No name may contain it
	// otherwise, so nobody can choose the name that another's was changed to.
	tagSign = '~'
	// tagDigits are 32 bits of a hash: of a thousand rigs with names of emoji, two
	// share one with a probability of 1 in 8,000.
	tagDigits = 8
)

// workerName makes a name safe for keys, logs and pages, and keeps it a name.
//
// Letters, digits and combining marks of every script stay, and "-_.@#"; the
// name is in Unicode's form NFC, so that one name typed on two systems is one
// rig. All else becomes "_": blanks, signs that are syntax somewhere, control,
// format and direction characters, what is drawn as nothing, bytes that are not
// UTF-8. What is longer than MaxWorker bytes is cut, never within a character.
//
// Different rigs stay different: a name that was changed by more than NFC ends
// in "~" and a hash of what was sent. Without it "rig 1" and "rig/1", or all
// names of emoji, would be one rig.
func workerName(name []byte) string {
	if len(name) <= MaxWorker && plain(name) {
		return string(name)
	}
	sent := norm.NFC.Bytes(name)
	safe, changed := keep(sent)
	if !changed && len(safe) <= MaxWorker {
		return safe
	}
	hash := fnv.New32a()
	hash.Write(sent)
	tag := [1 + tagDigits]byte{0: tagSign}
	for i, h := tagDigits, hash.Sum32(); i > 0; i, h = i-1, h>>4 {
		tag[i] = "0123456789abcdef"[h&15]
	}
	return cutName(safe, MaxWorker-len(tag)) + string(tag[:])
}

// plain reports whether a name is of ASCII and needs no change, as most are.
func plain(name []byte) bool {
	for _, c := range name {
		if c >= utf8.RuneSelf || !kept(rune(c)) {
			return false
		}
	}
	return true
}

// keep replaces what may not be in a name. Replacing, not dropping: two letters
// that become neighbours could be one in NFC, and "_" combines with nothing.
func keep(name []byte) (safe string, changed bool) {
	var b strings.Builder
	b.Grow(len(name))
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		switch {
		case r == utf8.RuneError, !kept(r),
			i == 0 && unicode.IsMark(r): // it would be drawn on whatever a log or page has before the name
			b.WriteByte('_')
			changed = true
		default:
			b.Write(name[i : i+size])
		}
		i += size
	}
	return b.String(), changed
}

// kept reports whether a character may be part of a worker's name.
func kept(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return true
	case r < utf8.RuneSelf:
		return r == '-' || r == '_' || r == '.' || r == '@' || r == '#'
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), unicode.Is(unicode.Variation_Selector, r):
		return false // letters and marks that are drawn as nothing
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// cutName is the longest part of at most so many bytes that ends with a whole
// character, its combining marks included. A single character with more marks
// than that loses marks.
func cutName(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for !utf8.RuneStart(s[end]) {
		end--
	}
	for at := end; at > 0; {
		if r, _ := utf8.DecodeRuneInString(s[at:]); !unicode.IsMark(r) {
			return s[:at]
		}
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return s[:end]
}
