package kernels

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"

	"github.com/assay-pool/assay/native/cpu"
)

// Latency is the time of one dependent random read within so many bytes: it
// tells which caches are really there. Where others use up the L3, reads take
// a memory access from a few MiB on, whatever size CPUID reports.
type Latency struct {
	Bytes int     `json:"bytes"`
	NS    float64 `json:"ns"` // CPU time
}

// lineBytes is a cache line: each read takes another one.
const lineBytes = 64

// Latencies measures from 1 MiB to twice the L3 that a core reaches, in steps of
// two, one size after the other, but nothing above most bytes (0: MaxLatency).
// Up to 64 MiB it takes about a second. Errors: memory, or ctx's, which is asked
// between two sizes.
func Latencies(ctx context.Context, info *cpu.Info, most int) ([]Latency, error) {
	const least, usual = 1 << 20, 32 << 20
	reach := info.L3 / max(info.L3Groups, 1)
	if reach <= 0 {
		reach = usual
	}
	if most <= 0 {
		most = MaxLatency
	}
	var list []Latency
	for size := least; size <= min(2*reach, most); size *= 2 {
		if err := ctx.Err(); err != nil {
			return list, err
		}
		ns, err := latency(size)
		if err != nil {
			return list, fmt.Errorf("measure random reads: %w", err)
		}
		list = append(list, Latency{size, ns})
	}
	return list, nil
}

// MaxLatency is the largest size measured unless asked for less: the pads of a
// batch of 64 lanes of 2 MiB. A virtual machine may report the L3 of a whole
// socket, half a GiB, of which little is its own, and walking through all of it
// would take ten times as long as all the rest.
const MaxLatency = 128 << 20

// latency walks through size bytes, a power of two, once to fetch
// them and once more to be timed.
func latency(size int) (float64, error) {
	arena, err := cpu.AllocArena(size, true)
	if err != nil {
		return 0, err
	}
	defer arena.Close()
	chain(arena.Bytes)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	at := walk(arena.Bytes, 0)
	begin, err := threadClock()
	if err != nil {
		return 0, err
	}
	at = walk(arena.Bytes, at)
	end, err := threadClock()
	if err != nil {
		return 0, err
	}
	if at != 0 {
		return 0, fmt.Errorf("a chain over %d bytes ends at %d, not where it began", size, at)
	}
	return float64((end - begin).Nanoseconds()) / float64(size/lineBytes), nil
}

// chain writes to each line the offset of another, in one cycle through all of
// them (Sattolo's shuffle).
func chain(b []byte) {
	r := rand.New(rand.NewPCG(1, uint64(len(b))))
	lines := len(b) / lineBytes
	at := func(i int) []byte { return b[i*lineBytes:] }
	for i := range lines {
		binary.LittleEndian.PutUint32(at(i), uint32(i*lineBytes))
	}
	for i := lines - 1; i > 0; i-- {
		j := r.IntN(i)
		x, y := binary.LittleEndian.Uint32(at(i)), binary.LittleEndian.Uint32(at(j))
		binary.LittleEndian.PutUint32(at(i), y)
		binary.LittleEndian.PutUint32(at(j), x)
	}
}

// walk follows the chain for as many steps as there are lines.
func walk(b []byte, at uint32) uint32 {
	for range len(b) / lineBytes {
		at = binary.LittleEndian.Uint32(b[at:])
	}
	return at
}

// LatencyLine is the banner's: "1 MiB 12, 2 MiB 18, … ns".
func LatencyLine(list []Latency) string {
	parts := make([]string, len(list))
	for i, l := range list {
		parts[i] = fmt.Sprintf("%d MiB %.0f", l.Bytes>>20, l.NS)
	}
	return strings.Join(parts, ", ") + " ns"
}
