package ledger

// chunkLen is the entries of one chunk of a list: about 16 KiB, what an append
// under Ledger.mu may have to clear.
const chunkLen = 256

// list is a growing array whose entries never move: a slice that doubles would
// copy all of an outage's entries under Ledger.mu.
//
//	chunks ─▶ [0 … 255] [256 … 511] [512 … n-1 · · ]
type list[T any] struct {
	chunks []*[chunkLen]T
	n      int
}

func (l *list[T]) at(i int) *T { return &l.chunks[i/chunkLen][i%chunkLen] }

func (l *list[T]) push(v T) int {
	if l.n == len(l.chunks)*chunkLen {
		l.chunks = append(l.chunks, new([chunkLen]T))
	}
	l.n++
	*l.at(l.n - 1) = v
	return l.n - 1
}

// pop drops the last entry, and its chunk when that is empty then.
func (l *list[T]) pop() {
	var zero T
	l.n--
	*l.at(l.n) = zero // its strings must not be kept alive
	if last := len(l.chunks) - 1; l.n == last*chunkLen {
		l.chunks[last] = nil
		l.chunks = l.chunks[:last]
	}
}

// reset empties the list and keeps its memory.
func (l *list[T]) reset() {
	for _, c := range l.chunks {
		clear(c[:])
	}
	l.n = 0
}
