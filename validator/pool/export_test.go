package pool

// WholeBlock is the whole block of a share, as the daemons get it, and its id.
func WholeBlock(s *Share) (id [32]byte, block []byte) { return s.block() }
