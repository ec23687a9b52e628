package cryptonight

import (
	"fmt"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
)

// Worker hashes batches on one OS thread at a time; it owns the scratchpads.
// Not safe for concurrent use.
type Worker struct {
	engine   *Engine
	arena    *cpu.Arena
	widths   [256]uint8 // by algo.ID; 0: not for this worker
	programs programs
}

// NewWorker allocates scratchpads for batches of up to maxBatch lanes, at most
// each algorithm's width; bigger batches are split. algos are the variants it
// will hash, all of them if none is named: the arena is sized for the largest.
func (e *Engine) NewWorker(maxBatch int, algos ...algo.ID) (*Worker, error) {
	if maxBatch < 1 {
		return nil, fmt.Errorf("new CryptoNight worker: batch of %d", maxBatch)
	}
	if len(algos) == 0 {
		algos = Algorithms()
	}
	w := &Worker{engine: e, programs: newPrograms(e.cfg.Programs)}
	size := 0
	for _, a := range algos {
		if a.Family() != algo.CryptoNight {
			return nil, fmt.Errorf("new CryptoNight worker: %v: %w", a, ErrAlgorithm)
		}
		width := min(e.widths[a], maxBatch)
		w.widths[a] = uint8(width)
		size = max(size, arenaSize(a, width))
	}
	var err error
	if w.arena, err = cpu.AllocArena(size, !e.cfg.NoHugePages); err != nil {
		return nil, fmt.Errorf("new CryptoNight worker: %w", err)
	}
	return w, nil
}

// Pages is the kind of memory the scratchpads lie in.
func (w *Worker) Pages() cpu.Pages { return w.arena.Pages }

// ArenaBytes is the scratchpad memory the worker holds.
func (w *Worker) ArenaBytes() int { return len(w.arena.Bytes) }

// MaxBatch is the lanes this worker runs in lockstep for a; 0 if it does not hash a.
func (w *Worker) MaxBatch(a algo.ID) int { return int(w.widths[a]) }

// ProgramsMade counts the random programs generated so far: one for each
// height that was not among the last few.
func (w *Worker) ProgramsMade() uint64 { return w.programs.made }

// Hash hashes len(lens) inputs, concatenated in in, into 32 bytes each of out.
// A batch may have any size; it is split evenly into groups of at most
// MaxBatch lanes. heights are those of cn/r and cn/wow, one an input, and
// ignored for other variants; inputs of equal height should stand together,
// since a group has one program. out is not written to unless the error is nil,
// but for batches of several heights. No allocation but for a new height's
// program.
func (w *Worker) Hash(a algo.ID, in []byte, lens []uint32, heights []uint64, out []byte) error {
	if w.arena == nil {
		return ErrClosed
	}
	width := w.MaxBatch(a)
	if width == 0 {
		return fmt.Errorf("hash %v: %w", a, ErrAlgorithm)
	}
	if !a.NeedsHeight() {
		return w.hash(a, width, in, lens, out, nil)
	}
	if len(heights) != len(lens) {
		return fmt.Errorf("hash %v: %d heights for %d inputs: %w", a, len(heights), len(lens), ErrInput)
	}
	if len(out)/HashSize < len(lens) {
		return fmt.Errorf("hash %v: %d bytes for %d hashes: %w", a, len(out), len(lens), ErrOutput)
	}
	if len(lens) == 0 {
		return w.hash(a, width, in, lens, out, nil)
	}
	for len(lens) > 0 {
		n, bytes := 0, uint64(0)
		for n < len(lens) && heights[n] == heights[0] {
			bytes += uint64(lens[n])
			n++
		}
		if bytes > uint64(len(in)) || (n == len(lens) && bytes != uint64(len(in))) {
			return fmt.Errorf("hash %v: lengths and input do not agree: %w", a, ErrInput)
		}
		program, err := w.programs.get(a, heights[0], w.engine)
		if err != nil {
			return fmt.Errorf("hash %v: %w", a, err)
		}
		if err := w.hash(a, width, in[:bytes], lens[:n], out[:n*HashSize], program); err != nil {
			return err
		}
		in, lens, heights, out = in[bytes:], lens[n:], heights[n:], out[n*HashSize:]
	}
	return nil
}

// Close frees the scratchpads and programs. Further calls do nothing.
func (w *Worker) Close() error {
	if w.arena == nil {
		return nil
	}
	w.programs.close()
	err := w.arena.Close()
	w.arena = nil
	return err
}
