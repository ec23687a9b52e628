package cryptonight

import (
	"fmt"
	"time"

	"github.com/assay-pool/assay/native/algo"
)

// Profile is where the CPU time of one batch goes.
type Profile struct {
	Explode, Loop, Implode time.Duration
}

// Profile times the parts of one batch of width lanes, at most MaxBatch, and
// makes no hash. reach 0 takes whole pads. Else it confines each lane to so
// many bytes, a power of two from 4096 on, its pad at most: with width × reach
// well inside L2, Loop is the time of the instructions alone, and what a whole
// pad takes longer is misses.
func (w *Worker) Profile(a algo.ID, height uint64, width, reach int) (Profile, error) {
	if w.arena == nil {
		return Profile{}, ErrClosed
	}
	if width < 1 || width > w.MaxBatch(a) || reach < 0 {
		return Profile{}, fmt.Errorf("profile %v: width %d, reach %d: %w", a, width, reach, ErrInput)
	}
	if !a.NeedsHeight() {
		return w.profile(a, width, reach, nil)
	}
	program, err := w.programs.get(a, height, w.engine)
	if err != nil {
		return Profile{}, fmt.Errorf("profile %v: %w", a, err)
	}
	return w.profile(a, width, reach, program)
}
