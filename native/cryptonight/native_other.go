//go:build !(cgo && linux && amd64)

package cryptonight

import "github.com/assay-pool/assay/native/algo"

// available is false here, so New returns ErrNoCgo and nothing below is ever
// reached; it exists so that callers compile everywhere.
const available = false

type program struct{}

func newProgram(algo.ID, uint64, Kernel, bool) (*program, error) { return nil, ErrNoCgo }

func (*program) free() {}

func padSize(algo.ID) int { return 0 }

func arenaSize(algo.ID, int) int { return 0 }

func (w *Worker) profile(algo.ID, int, int, *program) (Profile, error) { return Profile{}, ErrNoCgo }

func (w *Worker) hash(algo.ID, int, []byte, []uint32, []byte, *program) error { return ErrNoCgo }
