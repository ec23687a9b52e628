package cryptonight

import (
	"encoding/hex"
	"fmt"

	"github.com/assay-pool/assay/native/algo"
)

// selfTestLanes is how many lanes a self-test runs: more than one, so that
// neighbours would be seen to interfere, few enough for a quick start.
const selfTestLanes = 3

// SelfTest hashes one public vector of each algorithm with a kernel, random
// programs compiled as well as interpreted. An error names the algorithm. It
// takes about 0.6 s of one core for the fastest kernel.
func (e *Engine) SelfTest(k Kernel) error {
	trial := &Engine{cfg: e.cfg, info: e.info, kernel: k, widths: map[algo.ID]int{}}
	for _, a := range Algorithms() {
		trial.widths[a] = selfTestLanes
	}
	for _, jit := range []bool{true, false} {
		if jit && e.cfg.NoJIT {
			continue
		}
		trial.cfg.NoJIT = !jit
		w, err := trial.NewWorker(selfTestLanes)
		if err != nil {
			return fmt.Errorf("self-test of kernel %v: %w", k, err)
		}
		for _, test := range selfTests() {
			// Without the compiler only the random programs differ.
			if err == nil && (jit || e.cfg.NoJIT || test.algo.NeedsHeight()) {
				err = w.selfTest(test)
			}
		}
		w.Close()
		if err != nil {
			return fmt.Errorf("self-test of kernel %v: %w", k, err)
		}
	}
	return nil
}

// selfTest hashes the vector in every lane but the first, which gets another
// input and must give another hash.
func (w *Worker) selfTest(test selfTest) error {
	input, err := hex.DecodeString(test.input)
	if err != nil {
		return fmt.Errorf("%v: %w", test.algo, err)
	}
	var in []byte
	var lens [selfTestLanes]uint32
	var heights [selfTestLanes]uint64
	for i := range lens {
		lens[i], heights[i] = uint32(len(input)), test.height
		in = append(in, input...)
	}
	in[0] ^= 0xff
	var out [HashSize * selfTestLanes]byte
	if err := w.Hash(test.algo, in, lens[:], heights[:], out[:]); err != nil {
		return fmt.Errorf("%v: %w", test.algo, err)
	}
	if tamper := w.engine.cfg.tamper; tamper != nil {
		tamper(w.engine.kernel, test.algo, out[:])
	}
	for i := range lens {
		got := hex.EncodeToString(out[HashSize*i : HashSize*(i+1)])
		if (got == test.hash) != (i > 0) {
			return fmt.Errorf("%v: lane %d gave %s, the public vector is %s", test.algo, i, got, test.hash)
		}
	}
	return nil
}
