package stratum

import (
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// MaxID is the longest request id that is echoed, quotes included: a quoted
// UUID is 38. It bounds what an unanswered share remembers of its request.
const MaxID = 64

// ID is a request's id as it is echoed: a JSON scalar. Its zero value is null.
type ID struct {
	raw [MaxID]byte
	len uint8
}

// Append appends the id as JSON.
func (id *ID) Append(dst []byte) []byte {
	if id.len == 0 {
		return append(dst, "null"...)
	}
	return append(dst, id.raw[:id.len]...)
}

// String is the id as JSON.
func (id *ID) String() string { return string(id.Append(nil)) }

// set takes the id from a parsed value; nil is an absent one. What would not
// be JSON again, because fastjson reads more leniently than the standard, is
// taken for null: the answer must be readable whatever was asked.
// scratch is reused from one id to the next; it comes back, perhaps grown, to
// a line's length at most.
func (id *ID) set(v *fastjson.Value, scratch []byte) []byte {
	id.len = 0
	if v == nil {
		return scratch
	}
	raw := appendScalar(scratch[:0], v)
	if len(raw) == 0 || len(raw) > MaxID {
		return raw
	}
	valid := true
	switch c := raw[0]; {
	case c == '"':
		valid = validString(raw[1 : len(raw)-1])
	case c == '-' || c >= '0' && c <= '9':
		valid = validNumber(raw)
	case c == 't' || c == 'f' || c == 'n':
		valid = string(raw) == "true" || string(raw) == "false" || string(raw) == "null"
	default:
		valid = false
	}
	if valid {
		id.len = uint8(copy(id.raw[:], raw))
	}
	return raw
}

// appendScalar appends v's own text, or nothing for an object or a filled
// array. It does not ask for v's Type, because that would unescape a string.
func appendScalar(dst []byte, v *fastjson.Value) []byte {
	if v.GetObject() != nil || len(v.GetArray()) != 0 {
		return dst
	}
	return v.MarshalTo(dst)
}

// validString reports whether the text between two quotes is a JSON string.
func validString(s []byte) bool {
	if !utf8.Valid(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] < 0x20 || s[i] == '"':
			return false
		case s[i] != '\\':
			continue
		}
		i++
		if i == len(s) {
			return false
		}
		switch s[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if len(s)-i < 5 {
				return false
			}
			for _, c := range s[i+1 : i+5] {
				if hexDigit(c) < 0 {
					return false
				}
			}
			i += 4
		default:
			return false
		}
	}
	return true
}

// validNumber reports whether s is a number by the grammar of RFC 8259 §6.
func validNumber(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	whole, s := digits(s)
	if len(whole) == 0 || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	if len(s) > 0 && s[0] == '.' {
		var frac []byte
		if frac, s = digits(s[1:]); len(frac) == 0 {
			return false
		}
	}
	if len(s) > 0 && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		var exp []byte
		if exp, s = digits(s); len(exp) == 0 {
			return false
		}
	}
	return len(s) == 0
}

func digits(s []byte) (head, tail []byte) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}
