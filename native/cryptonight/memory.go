package cryptonight

import (
	"fmt"

	"github.com/assay-pool/assay/native/algo"
)

// ArenaBytes is the scratchpad memory of a worker that hashes these algorithms
// in batches of their widths: that of the largest, 0 if none is named.
func (e *Engine) ArenaBytes(algos ...algo.ID) int {
	size := 0
	for _, a := range algos {
		if width := e.widths[a]; width > 0 {
			size = max(size, arenaSize(a, width))
		}
	}
	return size
}

// Populate puts memory behind the scratchpads before the first hash, so that no
// share waits for page faults. Errors: memory lacks; ErrClosed.
func (w *Worker) Populate() error {
	if w.arena == nil {
		return ErrClosed
	}
	if err := w.arena.Populate(); err != nil {
		return fmt.Errorf("CryptoNight scratchpads: %w", err)
	}
	return nil
}
