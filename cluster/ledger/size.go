package ledger

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// windowChunks: a PPLNS window of twice the network's difficulty is so many
	// chunks by default. More make it finer, and Redis larger.
	windowChunks = 75
	// leastChunk is the time a chunk holds at least by default, by its shares'
	// times: a large pool's would else be seconds.
	leastChunk = time.Minute
	// chunkParts: a range is at most such a part of a chunk, so that chunks keep
	// their size however much waits.
	chunkParts = 4
	// firstSize is the size until the network's difficulty is known.
	firstSize = math.MaxInt64
)

// chunkSize says when a chunk is full: it has so much difficulty and so much time.
type chunkSize struct {
	hashes uint64
	least  time.Duration
}

// sizes is the size of chunks, fixed by an operator or following the network.
type sizes struct {
	fixed   uint64        // immutable; 0 = follow the network
	network atomic.Uint64 // difficulty, clamped to 64 bits; 0 = not known yet
}

func (s *sizes) get() chunkSize {
	if s.fixed != 0 {
		return chunkSize{s.fixed, 0}
	}
	d := s.network.Load()
	if d == 0 {
		return chunkSize{firstSize, leastChunk}
	}
	return chunkSize{max(1, d/windowChunks*2), leastChunk}
}

// part reports whether a range is long enough: a chunk is cut only between ranges,
// so however much waits, each is a part of a chunk.
func (c chunkSize) part(hashes uint64, span time.Duration) bool {
	return hashes >= max(1, c.hashes/chunkParts) && span >= c.least/chunkParts
}
