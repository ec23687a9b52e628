package blob

// The tree of CryptoNote is a binary tree over a power of two of nodes. With n
// leaves and c the largest power of two below n, the first 2c-n leaves are
// nodes as they are and the others are paired, which leaves exactly c. Here
// n = 5, c = 4:
//
//	            root
//	        ┌────┴────┐
//	      ┌─┴─┐     ┌─┴─┐
//	      0   1     2  (3,4)
//
// Clients of 2014 computed c wrongly just above 512 leaves and split Monero's
// chain at block 202612.

// leftBranch returns the siblings on the way from leaf 0 to the root, lowest
// first: ⌊log2(n)⌋ of them. The value of leaves[0] does not matter.
func leftBranch(s sponge, leaves [][32]byte) [][32]byte {
	n := len(leaves)
	if n < 2 {
		return nil
	}
	c := 1
	for c*2 < n {
		c *= 2
	}
	var branch [][32]byte
	var pair [64]byte

	nodes := make([][32]byte, c)
	keep := 2*c - n
	copy(nodes, leaves[:keep])
	for i := keep; i < c; i++ {
		left := keep + 2*(i-keep)
		nodes[i] = leaves[left]
		joinInto(s, &pair, &nodes[i], &leaves[left+1])
	}
	if keep == 0 { // n is a power of two: leaf 0 is paired at the lowest level
		branch = append(branch, leaves[1])
	}
	for ; c > 1; c /= 2 {
		branch = append(branch, nodes[1])
		for i := 0; i < c/2; i++ {
			nodes[i] = nodes[2*i]
			joinInto(s, &pair, &nodes[i], &nodes[2*i+1])
		}
	}
	return branch
}

// joinInto replaces left with the hash of left and right. The pair is the
// caller's, because what a sponge absorbs goes through an interface and would
// be allocated anew for each node.
func joinInto(s sponge, pair *[64]byte, left, right *[32]byte) {
	copy(pair[:32], left[:])
	copy(pair[32:], right[:])
	s.Write(pair[:])
	s.sum(left[:])
}
