package blob

import (
	"math/bits"
	"testing"
)

type hashVector struct {
	Input  string `json:"input_hex"`
	Hash   string `json:"hash_hex"`
	Source string `json:"source"`
}

func TestKeccak256(t *testing.T) {
	var vectors []hashVector
	readVectors(t, "keccak.json", &vectors)
	if len(vectors) != 34 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Source, func(t *testing.T) {
			in := unhex(t, v.Input)
			for cut := range len(in) + 1 { // in two parts, at every place
				if got := Keccak256(in[:cut], in[cut:]); got != unhex32(t, v.Hash) {
					t.Fatalf("cut at %d: %x, want %s", cut, got, v.Hash)
				}
			}
		})
	}
}

// branchRoot is the root over leaves by the branch of leaf 0, as a template's
// hashing blob is made: the miner's transaction changes with each job, the
// branch does not.
func branchRoot(leaves [][32]byte) [32]byte {
	s := newSponge()
	root := leaves[0]
	var pair [64]byte
	for _, sibling := range leftBranch(s, leaves) {
		joinInto(s, &pair, &root, &sibling)
	}
	return root
}

func TestTreeHashVectors(t *testing.T) {
	var vectors []hashVector
	readVectors(t, "treehash.json", &vectors)
	if len(vectors) != 16 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Source, func(t *testing.T) {
			in := unhex(t, v.Input)
			leaves := make([][32]byte, len(in)/32)
			for i := range leaves {
				copy(leaves[i][:], in[32*i:])
			}
			if got := branchRoot(leaves); got != unhex32(t, v.Hash) {
				t.Errorf("%d leaves: %x, want %s", len(leaves), got, v.Hash)
			}
			if got := plainTree(leaves); got != unhex32(t, v.Hash) {
				t.Errorf("%d leaves, plain: %x, want %s", len(leaves), got, v.Hash)
			}
		})
	}
}

// plainTree is the tree from the root down: it splits the nodes in halves, and
// knows of no branch. The vectors above hold it as well.
func plainTree(leaves [][32]byte) [32]byte {
	n := len(leaves)
	if n == 1 {
		return leaves[0]
	}
	width := 1 << (bits.Len(uint(n-1)) - 1)
	single := 2*width - n
	var down func(from, to int) [32]byte
	down = func(from, to int) [32]byte {
		if to-from > 1 {
			middle := (from + to) / 2
			left, right := down(from, middle), down(middle, to)
			return Keccak256(left[:], right[:])
		}
		if from < single {
			return leaves[from]
		}
		first := single + 2*(from-single)
		return Keccak256(leaves[first][:], leaves[first+1][:])
	}
	return down(0, width)
}

func numberedLeaves(n int) [][32]byte {
	leaves := make([][32]byte, n)
	for i := range leaves {
		leaves[i] = Keccak256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	return leaves
}

// All sizes up to 70, and those around each power of two: above 512 the clients
// of 2014 went wrong.
func TestTreeHashSizes(t *testing.T) {
	var sizes []int
	for n := 1; n <= 70; n++ {
		sizes = append(sizes, n)
	}
	for _, power := range []int{128, 256, 512, 1024, 4096} {
		for n := power - 1; n <= power+4; n++ {
			sizes = append(sizes, n)
		}
	}
	for _, n := range sizes {
		leaves := numberedLeaves(n)
		before := append([][32]byte(nil), leaves...)
		if got, want := branchRoot(leaves), plainTree(leaves); got != want {
			t.Errorf("%d leaves: %x, want %x", n, got, want)
		}
		for i := range leaves {
			if leaves[i] != before[i] {
				t.Fatalf("%d leaves: leaf %d was changed", n, i)
			}
		}
		if got, want := len(leftBranch(newSponge(), leaves)), bits.Len(uint(n))-1; got != want {
			t.Errorf("%d leaves: branch of %d, want %d", n, got, want)
		}
	}
}

func TestTreeHashTellsLeavesApart(t *testing.T) {
	for _, n := range []int{1, 2, 3, 36, 513, 514, 515, 516} {
		leaves := numberedLeaves(n)
		root := branchRoot(leaves)
		for _, i := range []int{0, n / 2, n - 1} {
			leaves[i][31] ^= 1
			if branchRoot(leaves) == root {
				t.Errorf("%d leaves: leaf %d does not matter", n, i)
			}
			leaves[i][31] ^= 1
		}
	}
}
