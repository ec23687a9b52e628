package blob

import (
	"encoding/binary"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	two256 = new(big.Int).Lsh(big.NewInt(1), 256)
	two128 = new(big.Int).Lsh(big.NewInt(1), 128)
	one    = big.NewInt(1)
)

// bigHash reads a hash as the little-endian number it is.
func bigHash(hash *[32]byte) *big.Int {
	b := slices.Clone(hash[:])
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// hashOf writes a number as a hash.
func hashOf(n *big.Int) (hash [32]byte) {
	n.FillBytes(hash[:])
	slices.Reverse(hash[:])
	return hash
}

func bigDifficulty(d Difficulty) *big.Int {
	n := new(big.Int).SetUint64(d.Hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(d.Lo))
}

func fromBig(n *big.Int) Difficulty {
	return Difficulty{Hi: new(big.Int).Rsh(n, 64).Uint64(), Lo: new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64)).Uint64()}
}

// bigMeets is the consensus rule in plain words.
func bigMeets(d Difficulty, hash *[32]byte) bool {
	product := new(big.Int).Mul(bigHash(hash), bigDifficulty(d))
	return d != Difficulty{} && product.Cmp(two256) < 0
}

// bigHashDifficulty is floor((2^256-1)/h), at most 2^128-1.
func bigHashDifficulty(hash *[32]byte) Difficulty {
	limit := new(big.Int).Sub(two128, one)
	h := bigHash(hash)
	if h.Sign() == 0 {
		return fromBig(limit)
	}
	q := new(big.Int).Div(new(big.Int).Sub(two256, one), h)
	if q.Cmp(limit) > 0 {
		q = limit
	}
	return fromBig(q)
}

// checkHash holds every judgement of one hash and one difficulty against
// math/big, also at the greatest hash that meets it and the one above.
func checkHash(t interface{ Fatalf(string, ...any) }, d Difficulty, hash [32]byte) {
	if got, want := d.Meets(&hash), bigMeets(d, &hash); got != want {
		t.Fatalf("%v meets %x: %v, want %v", d, hash, got, want)
	}
	if got, want := HashDifficulty(&hash), bigHashDifficulty(&hash); got != want {
		t.Fatalf("difficulty of %x: %v, want %v", hash, got, want)
	}
	if d.IsZero() {
		return
	}
	edge := new(big.Int).Div(new(big.Int).Sub(two256, one), bigDifficulty(d))
	best := hashOf(edge)
	if !d.Meets(&best) {
		t.Fatalf("%v is not met by %x, the greatest hash that does", d, best)
	}
	if HashDifficulty(&best).Cmp(d) < 0 {
		t.Fatalf("%x meets %v but is worth %v", best, d, HashDifficulty(&best))
	}
	if above := edge.Add(edge, one); above.Cmp(two256) < 0 {
		worse := hashOf(above)
		if d.Meets(&worse) {
			t.Fatalf("%v is met by %x, just above the limit", d, worse)
		}
	}
}

// drawHash draws hashes of every magnitude, not only great ones.
func drawHash(t *rapid.T) [32]byte {
	var hash [32]byte
	copy(hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
	for i := 32 - rapid.IntRange(0, 32).Draw(t, "zeros"); i < 32; i++ {
		hash[i] = 0
	}
	return hash
}

func drawDifficulty(t *rapid.T) Difficulty {
	d := Difficulty{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
	if rapid.Bool().Draw(t, "narrow") {
		d.Hi = 0
	}
	return d
}

func TestDifficultyAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkHash(t, drawDifficulty(t), drawHash(t)) })
}

func TestDifficultyEdges(t *testing.T) {
	powers := []Difficulty{{}, {0, 1}, {0, 2}, {0, 3}, {0, math.MaxUint64}, {1, 0}, {1, 1}, {math.MaxUint64, 0}, {math.MaxUint64, math.MaxUint64}}
	for _, d := range powers {
		for shift := range 257 {
			n := new(big.Int).Lsh(one, uint(shift))
			for _, delta := range []int64{-1, 0, 1} {
				h := new(big.Int).Add(n, big.NewInt(delta))
				if h.Sign() >= 0 && h.Cmp(two256) < 0 {
					checkHash(t, d, hashOf(h))
				}
			}
		}
	}
	var zero [32]byte
	if got := HashDifficulty(&zero); got != (Difficulty{math.MaxUint64, math.MaxUint64}) {
		t.Errorf("a hash of zero is worth %v", got)
	}
	if (Difficulty{}).Meets(&zero) {
		t.Error("no difficulty is met by a hash of zero")
	}
}

func TestDifficultyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDifficulty(t)
		if got, want := d.String(), bigDifficulty(d).String(); got != want {
			t.Fatalf("String = %s, want %s", got, want)
		}
		for _, text := range []string{d.String(), "0x" + bigDifficulty(d).Text(16), "0x" + strings.ToUpper(bigDifficulty(d).Text(16))} {
			if got, err := ParseDifficulty(text); err != nil || got != d {
				t.Fatalf("ParseDifficulty(%s) = %v, %v; want %v", text, got, err, d)
			}
		}
		o := drawDifficulty(t)
		if got, want := d.Cmp(o), bigDifficulty(d).Cmp(bigDifficulty(o)); got != want {
			t.Fatalf("%v against %v: %d, want %d", d, o, got, want)
		}
		if d.Cmp(d) != 0 || d.IsZero() != (bigDifficulty(d).Sign() == 0) {
			t.Fatalf("%v: not itself, or zero and not", d)
		}
	})
}

func TestParseDifficultyRefuses(t *testing.T) {
	for _, text := range []string{
		"", "0x", "-1", "+1", " 1", "1 ", "1_0", "1e3", "0X1", "a", "0xg", "1.5", "０",
		"340282366920938463463374607431768211456",                   // 2^128
		"3402823669209384634633746074317682114550",                  // ten times as much
		"0x100000000000000000000000000000000",                       // 2^128
		"0x" + strings.Repeat("f", 33), strings.Repeat("9", 10_000), // far above
	} {
		if d, err := ParseDifficulty(text); err == nil {
			t.Errorf("ParseDifficulty(%.40q) = %v, want an error", text, d)
		}
	}
	if d, err := ParseDifficulty("340282366920938463463374607431768211455"); err != nil || d != (Difficulty{math.MaxUint64, math.MaxUint64}) {
		t.Errorf("2^128-1 = %v, %v", d, err)
	}
}

func TestDifficultyUint64(t *testing.T) {
	if v, ok := FromUint64(math.MaxUint64).Uint64(); !ok || v != math.MaxUint64 {
		t.Errorf("%d, %v", v, ok)
	}
	if _, ok := (Difficulty{Hi: 1}).Uint64(); ok {
		t.Error("2^64 fits 64 bits")
	}
}

func FuzzDifficulty(f *testing.F) {
	f.Add(uint64(0), uint64(1), make([]byte, 32))
	f.Add(uint64(0), uint64(600_000_000_000), append(make([]byte, 24), 1, 0, 0, 0, 0, 0, 0, 0))
	f.Add(uint64(math.MaxUint64), uint64(math.MaxUint64), []byte(strings.Repeat("\xff", 32)))
	f.Add(uint64(1), uint64(0), append(make([]byte, 23), 0x80))
	f.Fuzz(func(t *testing.T, hi, lo uint64, raw []byte) {
		var hash [32]byte
		copy(hash[:], raw)
		d := Difficulty{Hi: hi, Lo: lo}
		checkHash(t, d, hash)
		if got, err := ParseDifficulty(d.String()); err != nil || got != d {
			t.Fatalf("%v comes back as %v, %v", d, got, err)
		}
		checkTarget(t, lo, hash)
		binary.LittleEndian.PutUint64(hash[24:], lo)
		checkTarget(t, hi, hash)
	})
}

func TestJudgingAllocatesNothing(t *testing.T) {
	hash := [32]byte{31: 1}
	d, target := FromUint64(1000), TargetFor(1000)
	text := make([]byte, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		if d.Meets(&hash) || target.Meets(&hash) || HashDifficulty(&hash).IsZero() || len(target.AppendHex(text)) != 8 {
			t.Error("misjudged")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
