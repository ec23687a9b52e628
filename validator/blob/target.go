package blob

import (
	"encoding/binary"
	"encoding/hex"
	"math"
)

// WideTargetFrom is the difficulty from which a target is sent in 16 digits.
// The 8-digit form keeps 32 bits of the target only, so a miner that expands it
// works harder than it is paid for: by at most 0.025 % below 10^6, by 0.1 % at
// 5·10^6, and without limit near 2^32. All miners read the 8-digit form, and
// the maintained ones the 16-digit form too.
const WideTargetFrom = 1_000_000

// Target is the target a miner was sent. Both ends of the wire compare with the
// same number: XMRig's expansion of what was sent, not the difficulty it was
// made from. The zero value is met by no hash. Targets may be compared by ==.
type Target struct {
	expanded uint64
	wire     uint64 // what the hex digits say, little-endian on the wire
	wide     bool   // 16 digits, else 8
}

// TargetFor is the target of a share of the given difficulty; 0 counts as 1.
func TargetFor(diff uint64) Target {
	diff = max(diff, 1)
	if diff >= WideTargetFrom {
		t := math.MaxUint64 / diff
		return Target{expanded: t, wire: t, wide: true}
	}
	t32 := math.MaxUint32 / diff
	return Target{expanded: math.MaxUint64 / (math.MaxUint32 / t32), wire: t32}
}

// Hex is the "target" field of a job: the top 4 or 8 bytes of the 256-bit
// target, little-endian.
func (t Target) Hex() string { return string(t.AppendHex(nil)) }

// AppendHex appends [Target.Hex] to dst.
func (t Target) AppendHex(dst []byte) []byte {
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], t.wire)
	if t.wide {
		return hex.AppendEncode(dst, raw[:])
	}
	return hex.AppendEncode(dst, raw[:4])
}

// Expanded is the 64-bit number XMRig makes of the target: the 8 bytes as they
// are, or of 4 bytes t the quotient (2^64-1) / ((2^32-1) / t).
func (t Target) Expanded() uint64 { return t.expanded }

// Meets reports whether a miner that was sent t would submit this hash: its top
// 64 bits are below the expanded target.
func (t Target) Meets(hash *[32]byte) bool {
	return binary.LittleEndian.Uint64(hash[24:]) < t.expanded
}
