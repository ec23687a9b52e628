package cryptonight

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/assay-pool/assay/native/algo"
)

// selfTestLanes is how many lanes of an algorithm a self-test runs. The loops
// over lanes are one code for any number, but for what takes lanes together:
// four, two and one pads in explode and implode (seven lanes, the heavy
// variants by themselves), eight in the math of v2 (a whole group and a part)
// and in a random program (two groups). The cheapest variant of each stands
// for its kin; elsewhere two lanes show whether neighbours interfere.
func selfTestLanes(a algo.ID, k Kernel) int {
	switch {
	case k < AVX2:
		return 2 // takes nothing together
	case a == algo.CNPico || a == algo.CNUPX2:
		return 15
	case a == algo.CNR:
		return 9
	case a == algo.CNHeavy0:
		return 7
	}
	return 2
}

// SelfTest hashes a public vector of each algorithm with a kernel, in batches,
// random programs compiled as well as interpreted. An error names the
// algorithm. It takes about a second of one core for the fastest kernel.
func (e *Engine) SelfTest(k Kernel) error {
	lanes := map[algo.ID]int{}
	for _, a := range Algorithms() {
		lanes[a] = selfTestLanes(a, k)
	}
	return e.selfTest(k, lanes)
}

// selfTest tests a kernel's algorithms at the widths given.
func (e *Engine) selfTest(k Kernel, lanes map[algo.ID]int) error {
	trial := &Engine{cfg: e.cfg, info: e.info, kernel: k, widths: lanes}
	algos := slices.Collect(maps.Keys(lanes))
	for _, jit := range []bool{true, false} {
		if jit && e.cfg.NoJIT {
			continue
		}
		trial.cfg.NoJIT = !jit
		w, err := trial.NewWorker(MaxWidth, algos...)
		if err != nil {
			return fmt.Errorf("self-test of kernel %v: %w", k, err)
		}
		for _, test := range selfTests() {
			n := lanes[test.algo]
			if !jit && !e.cfg.NoJIT { // only the random programs differ
				n = 0
				if test.algo.NeedsHeight() {
					n = min(lanes[test.algo], 2)
				}
			}
			if err == nil && n > 0 {
				err = w.selfTest(test, n)
			}
		}
		w.Close()
		if err != nil {
			return fmt.Errorf("self-test of kernel %v: %w", k, err)
		}
	}
	return nil
}

// selfTest hashes n − 1 other inputs and the vector: it must give its own hash,
// and the others must not. More than two are hashed again in reverse order, and
// each must give the same hash in both of its lanes.
func (w *Worker) selfTest(test selfTest, n int) error {
	input, err := hex.DecodeString(test.input)
	if err != nil {
		return fmt.Errorf("%v: %w", test.algo, err)
	}
	numbers := make([]int, n) // 0 is the vector, in the last lane
	for lane := range numbers {
		numbers[lane] = n - 1 - lane
	}
	first, err := w.selfTestBatch(test, input, numbers)
	if err != nil {
		return err
	}
	for lane, hash := range first {
		if (hash == test.hash) != (lane == n-1) {
			return fmt.Errorf("%v: lane %d of %d gave %s; the public vector, in lane %d, is %s", test.algo, lane, n, hash, n-1, test.hash)
		}
	}
	if n <= 2 {
		return nil
	}
	slices.Reverse(numbers)
	second, err := w.selfTestBatch(test, input, numbers)
	if err != nil {
		return err
	}
	for lane, hash := range first {
		if other := second[n-1-lane]; hash != other {
			return fmt.Errorf("%v: lane %d of %d gave %s, lane %d gave %s for the same input", test.algo, lane, n, hash, n-1-lane, other)
		}
	}
	return nil
}

// selfTestBatch hashes the input, changed by each of the numbers, to hex.
func (w *Worker) selfTestBatch(test selfTest, input []byte, numbers []int) ([]string, error) {
	n := len(numbers)
	in, out := []byte{}, make([]byte, n*HashSize)
	lens, heights := make([]uint32, n), make([]uint64, n)
	for lane, number := range numbers {
		lens[lane], heights[lane] = uint32(len(input)), test.height
		in = append(in, input...)
		in[lane*len(input)] ^= byte(number)
	}
	if err := w.Hash(test.algo, in, lens, heights, out); err != nil {
		return nil, fmt.Errorf("%v: %w", test.algo, err)
	}
	if tamper := w.engine.cfg.tamper; tamper != nil {
		tamper(w.engine.kernel, test.algo, out)
	}
	hashes := make([]string, n)
	for lane := range hashes {
		hashes[lane] = hex.EncodeToString(out[HashSize*lane : HashSize*(lane+1)])
	}
	return hashes, nil
}
