package blob

// hasher is one sponge and the buffers that feed it. What a sponge absorbs goes
// through an interface and so lives on the heap; keeping it here is what makes
// a hashing blob cost no allocation.
type hasher struct {
	sponge
	extra [MaxReserve]byte
	leaf  [96]byte
	pair  [64]byte
	root  [32]byte
}

// AppendHashing appends the hashing blob with extra over the first reserved
// bytes, and the nonce as the template has it. extra must not be longer than
// [Template.ReserveSize]. Nothing is allocated while dst has room.
func (t *Template) AppendHashing(dst, extra []byte) []byte {
	return t.AppendWithRoot(dst, t.Root(extra))
}

// AppendWithRoot is AppendHashing with the root of an extra nonce, which [Template.Root]
// gave: it copies, and hashes nothing.
//
//	┌───────────────────────┬──────┬─────────────────────────────────┐
//	│ header, nonce in it   │ root │ number of transactions; uncle   │
//	└───────────────────────┴──────┴─────────────────────────────────┘
func (t *Template) AppendWithRoot(dst []byte, root [32]byte) []byte {
	dst = append(dst, t.raw[:t.txStart]...)
	dst = append(dst, root[:]...)
	return append(dst, t.tail...)
}

// Root is the tree root over all transactions with extra over the first reserved
// bytes of the miner tx. extra must not be longer than [Template.ReserveSize].
// It costs one Keccak or two, and one a level of the tree, and allocates nothing.
//
// The sponge's state in front of the reserved bytes is not kept: they follow a
// tx public key within the first 136-byte block of today's miner tx, so there
// is no whole permutation to save.
func (t *Template) Root(extra []byte) [32]byte {
	t.mustFit(extra)
	h := t.hashers.Get().(*hasher)
	t.hashRoot(h, extra)
	root := h.root
	t.hashers.Put(h)
	return root
}

// hashRoot leaves the tree root for extra in h.root. The id of the miner tx,
// leaf 0, is the hash of the tx in version 1, and in version 2 that of
//
//	H(prefix) ‖ H(signatures, one zero byte) ‖ zero (32 bytes)
//
// Some layouts have three parts in version 1 too, or a word before the prefix.
func (t *Template) hashRoot(h *hasher, extra []byte) {
	h.Write(t.domain)
	n := copy(h.extra[:], extra)
	if n == 0 {
		h.Write(t.raw[t.txStart:t.prefixEnd])
	} else {
		h.Write(t.raw[t.txStart:t.ReservedOffset])
		h.Write(h.extra[:n])
		h.Write(t.raw[t.ReservedOffset+n : t.prefixEnd])
	}
	h.sum(h.root[:])
	if t.threeParts {
		copy(h.leaf[:], h.root[:])
		copy(h.leaf[32:], t.nullHash[:])
		// The last 32 bytes are zero and stay so.
		h.Write(h.leaf[:])
		h.sum(h.root[:])
	}
	for i := range t.branch {
		joinInto(h.sponge, &h.pair, &h.root, &t.branch[i])
	}
}
