package blob

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

type targetVector struct {
	Difficulty uint64  `json:"difficulty"`
	Wide       string  `json:"target8_hex"`
	Narrow     string  `json:"target4_hex"`
	Expanded   uint64  `json:"target4_as_expanded_by_xmrig"`
	Effective  *uint64 `json:"effective_difficulty_of_target4"`
}

func TestTargetVectors(t *testing.T) {
	var vectors []targetVector
	readVectors(t, "targets.json", &vectors)
	if len(vectors) != 12 {
		t.Fatalf("%d vectors", len(vectors))
	}
	narrow := 0
	for _, v := range vectors {
		target := TargetFor(v.Difficulty)
		want, expanded := v.Wide, uint64(0)
		if v.Difficulty < WideTargetFrom {
			narrow++
			want, expanded = v.Narrow, v.Expanded
			if got := math.MaxUint64 / target.Expanded(); got != *v.Effective {
				t.Errorf("%d: XMRig shows difficulty %d, want %d", v.Difficulty, got, *v.Effective)
			}
		} else {
			expanded = binary.LittleEndian.Uint64(unhex(t, v.Wide))
		}
		if target.Hex() != want || target.Expanded() != expanded {
			t.Errorf("%d: %s, %d; want %s, %d", v.Difficulty, target.Hex(), target.Expanded(), want, expanded)
		}
	}
	if narrow != 6 {
		t.Errorf("%d vectors of the narrow form", narrow)
	}
}

// xmrigExpand is what XMRig makes of the digits (base/net/stratum/Job.cpp).
func xmrigExpand(digits string) (uint64, bool) {
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return 0, false
	}
	switch len(raw) {
	case 4:
		return math.MaxUint64 / (math.MaxUint32 / uint64(binary.LittleEndian.Uint32(raw))), true
	case 8:
		return binary.LittleEndian.Uint64(raw), true
	}
	return 0, false
}

// checkTarget holds a target against its definition at 256 bits, XMRig's
// reading of it, and the share rule: what the miner submits is worth its pay.
func checkTarget(t interface{ Fatalf(string, ...any) }, diff uint64, hash [32]byte) {
	target := TargetFor(diff)
	expanded, ok := xmrigExpand(target.Hex())
	if !ok || expanded != target.Expanded() {
		t.Fatalf("difficulty %d: %s is %d to XMRig, %d to us", diff, target.Hex(), expanded, target.Expanded())
	}
	worth := max(diff, 1)
	exact := new(big.Int).Div(new(big.Int).Sub(two256, one), new(big.Int).SetUint64(worth))
	top := exact.Rsh(exact, 192).Uint64() // the top 8 bytes, or of them the top 4
	raw, err := hex.DecodeString(target.Hex())
	if err != nil {
		t.Fatalf("%s: %v", target.Hex(), err)
	}
	wide := worth >= WideTargetFrom
	if wide && (len(raw) != 8 || binary.LittleEndian.Uint64(raw) != top) || !wide && (len(raw) != 4 || binary.LittleEndian.Uint32(raw) != uint32(top>>32)) {
		t.Fatalf("difficulty %d: %s, but the target begins with %016x", diff, target.Hex(), top)
	}
	submits := binary.LittleEndian.Uint64(hash[24:]) < expanded
	if target.Meets(&hash) != submits {
		t.Fatalf("difficulty %d, hash %x: meets %v, the miner submits %v", diff, hash, target.Meets(&hash), submits)
	}
	if submits && !FromUint64(worth).Meets(&hash) {
		t.Fatalf("hash %x is submitted for difficulty %d and not worth it", hash, worth)
	}
	// At the last hash XMRig submits, and the first it does not.
	edge := hash
	binary.LittleEndian.PutUint64(edge[24:], expanded-1)
	if !target.Meets(&edge) || !FromUint64(worth).Meets(&edge) {
		t.Fatalf("difficulty %d is not met by %x", diff, edge)
	}
	binary.LittleEndian.PutUint64(edge[24:], expanded)
	if target.Meets(&edge) {
		t.Fatalf("difficulty %d is met by %x, which no miner submits", diff, edge)
	}
}

func TestTargetAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		diff := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 2*WideTargetFrom)).Draw(t, "difficulty")
		checkTarget(t, diff, drawHash(t))
	})
	for _, diff := range []uint64{0, 1, 2, 3, 255, 256, 65535, 65536, WideTargetFrom - 1, WideTargetFrom, WideTargetFrom + 1,
		math.MaxUint32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64 - 1, math.MaxUint64} {
		checkTarget(t, diff, [32]byte{})
	}
}

// What the narrow form costs a miner is bounded where it is used.
func TestNarrowTargetIsCloseToNominal(t *testing.T) {
	for diff := uint64(1); diff < WideTargetFrom; diff++ {
		effective := math.MaxUint64 / TargetFor(diff).Expanded()
		if effective < diff || effective-diff > diff/4000 {
			t.Fatalf("difficulty %d works like %d", diff, effective)
		}
	}
}

func TestZeroTargetIsNeverMet(t *testing.T) {
	if (Target{}).Meets(&[32]byte{}) {
		t.Error("met")
	}
	if TargetFor(0) != TargetFor(1) {
		t.Error("difficulty 0 is not 1")
	}
}
