package ledger

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// exactParts is what prorate is to give, by fractions: the whole part of each share,
// and one more for the largest fractions until all is given out.
func exactParts(wallets map[string]Sum, total, part uint64) map[string]uint64 {
	out := map[string]uint64{}
	rests := map[string]*big.Rat{}
	left := new(big.Int).SetUint64(part)
	for w, s := range wallets {
		if s.Hashes == 0 {
			continue
		}
		share := new(big.Rat).SetFrac(new(big.Int).Mul(new(big.Int).SetUint64(s.Hashes), new(big.Int).SetUint64(part)), new(big.Int).SetUint64(total))
		whole := new(big.Int).Quo(share.Num(), share.Denom())
		out[w] = whole.Uint64()
		left.Sub(left, whole)
		rests[w] = share.Sub(share, new(big.Rat).SetInt(whole))
	}
	order := slices.SortedFunc(maps.Keys(rests), func(a, b string) int {
		if c := rests[b].Cmp(rests[a]); c != 0 {
			return c
		}
		if a < b {
			return -1
		}
		return 1
	})
	for _, w := range order {
		if left.Sign() <= 0 {
			break
		}
		out[w]++
		left.Sub(left, big.NewInt(1))
	}
	return out
}

func genWallets(t *rapid.T, most uint64) (wallets map[string]Sum, total uint64) {
	wallets = map[string]Sum{}
	for i := range rapid.IntRange(1, 12).Draw(t, "wallets") {
		h := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64Range(0, most/12)).Draw(t, "hashes")
		wallets[fmt.Sprint("w", i)] = Sum{h, rapid.Uint64Range(0, 5).Draw(t, "unverified")}
		total += h
	}
	return wallets, total
}

// Parts of a chunk are those that fractions give, up to sums of 2^63-1.
func TestProrate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wallets, total := genWallets(t, math.MaxInt64)
		part := rapid.Uint64Range(0, total).Draw(t, "part")
		got := prorate(wallets, total, part)
		var sum uint64
		for w, h := range got {
			sum += h
			if h > wallets[w].Hashes {
				t.Errorf("wallet %s gets %d of its %d", w, h, wallets[w].Hashes)
			}
		}
		if want := exactParts(wallets, total, part); sum != part || total > 0 && !maps.Equal(got, want) {
			t.Errorf("%d of %d: %v with a sum of %d, want %v", part, total, got, sum, want)
		}
	})
	if got := prorate(map[string]Sum{"c": {1, 0}, "a": {1, 0}, "b": {1, 0}}, 3, 2); !maps.Equal(got, map[string]uint64{"a": 1, "b": 1, "c": 0}) {
		t.Errorf("among equals the name decides: %v", got)
	}
}

// A window is the newest chunks, whole, and the oldest in part; its sum is the size
// to the unit, or all there is.
func TestWindow(t *testing.T) {
	b, srv := startBed(t, slow)
	rapid.Check(t, func(rt *rapid.T) {
		srv.CLI("DEL", b.l.keys.Chunk(1), b.l.keys.Chunk(2), b.l.keys.Chunk(3), b.l.keys.Chunk(4))
		last := rapid.Uint64Range(1, 4).Draw(rt, "last")
		chunks := make([]map[string]Sum, last+1)
		totals := make([]uint64, last+1)
		var all uint64
		for n := uint64(1); n <= last; n++ {
			if rapid.IntRange(0, 4).Draw(rt, "empty") == 0 {
				continue
			}
			chunks[n], totals[n] = genWallets(rt, math.MaxInt64/4)
			fields := []string{b.l.keys.Chunk(n), "#hashes", strconv.FormatUint(totals[n], 10)}
			for w, s := range chunks[n] {
				fields = append(fields, w, strconv.FormatUint(s.Hashes, 10), "~"+w, strconv.FormatUint(s.Unverified, 10))
			}
			srv.CLI(append([]string{"HSET"}, fields...)...)
			all += totals[n]
		}
		size := rapid.OneOf(rapid.Uint64Range(0, all), rapid.Just(all), rapid.Just(uint64(math.MaxUint64))).Draw(rt, "size")
		got, err := b.l.Window(testCtx(t), last, size)
		if err != nil {
			rt.Fatal(err)
		}
		want, left := map[string]uint64{}, size
		for n := last; n > 0 && left > 0; n-- {
			part := min(left, totals[n])
			if part == 0 {
				continue
			}
			for w, h := range exactParts(chunks[n], totals[n], part) {
				want[w] += h
			}
			left -= part
		}
		var sum uint64
		for w, h := range got {
			sum += h
			if h != want[w] {
				rt.Errorf("wallet %s has %d, want %d", w, h, want[w])
			}
		}
		if sum != min(size, all) || len(want) > len(got) {
			rt.Errorf("the window of %d has %d, there are %d", size, sum, all)
		}
	})
}

// Windows of real books: unverified credit is no part of one.
func TestWindowOfBooks(t *testing.T) {
	b, _ := startBed(t, slow)
	b.credit("a", "", 10)
	b.credit("b", "", 20)
	b.found(1)
	b.credit("b", "", 5)
	b.trust("a", "", 1000)
	b.found(2)
	b.credit("a", "", 1)
	b.flush()
	for _, c := range []struct {
		last, size uint64
		want       map[string]uint64
	}{
		{2, 5, map[string]uint64{"b": 5}},
		{2, 20, map[string]uint64{"a": 5, "b": 15}},
		{2, 9, map[string]uint64{"a": 1, "b": 8}}, // 4/3 and 8/3: the rest of 2/3 is the larger
		{2, 1000, map[string]uint64{"a": 10, "b": 25}},
		{3, 6, map[string]uint64{"a": 1, "b": 5}},
		{1, 3, map[string]uint64{"a": 1, "b": 2}},
		{0, 3, map[string]uint64{}},
		{2, 0, map[string]uint64{}},
	} {
		if got, err := b.l.Window(testCtx(t), c.last, c.size); err != nil || !maps.Equal(got, c.want) {
			t.Errorf("the window of %d before chunk %d is %v, want %v (%v)", c.size, c.last, got, c.want, err)
		}
	}
}
