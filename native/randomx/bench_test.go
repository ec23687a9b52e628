//go:build cgo && linux && amd64

package randomx

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/cpu"
)

// BenchmarkHash holds Worker.Hash against a bare C loop over librandomx: same
// VM, same memory, the two taking turns in every round, medians reported.
//
//	sysctl -w vm.nr_hugepages=1450   (optional; for figures with huge pages)
//	go test ./native/randomx -run '^$' -bench Hash -benchtime 30x -timeout 30m
//
// Reported: hashes/s (ours, all workers), bare-hashes/s, and their ratio, which
// is the median of the rounds' ratios. The page kinds are in the first lines.
// full fills a dataset first, 20 to 40 s.
func BenchmarkHash(b *testing.B) {
	for _, mode := range []Mode{ModeLight, ModeFull} {
		b.Run("rx-0/"+mode.String(), func(b *testing.B) {
			m, e := benchManager(b, mode)
			for workers := 1; workers <= runtime.GOMAXPROCS(0); workers *= 2 {
				b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { benchWorkers(b, m, e, workers) })
			}
		})
	}
}

// benchManager makes a manager with one seed, its dataset complete in full mode.
func benchManager(b *testing.B, mode Mode) (*Manager, *Epoch) {
	m := newReal(b, Config{Mode: mode, MaxDatasets: 1, BuildThreads: runtime.GOMAXPROCS(0)})
	s := Seed(unhex(b, "2a1c4a9433f1de36f8b99c7c5aceb7bd2eb39e1ead648ea58227d399ad84c724"))
	m.Announce("bench", s, Seed{})
	for want := Light; ; {
		if mode == ModeFull {
			want = Full
		}
		st := stateOf(m, s)
		if st == want {
			break
		}
		if st == Failed {
			b.Fatal("build failed")
		}
		time.Sleep(5 * time.Millisecond)
	}
	e, err := m.Acquire(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Release)
	x := m.Status().Epochs[0]
	fmt.Fprintf(os.Stderr, "# %s: cache on %s, dataset on %s pages, %s\n", mode, x.CachePages, x.DataPages, cpu.HugePages())
	return m, e
}

const (
	benchBatch  = 8  // a usual batch of shares in one call
	benchBlob   = 76 // bytes of a Monero hashing blob
	nonceOffset = 39 // in it
)

func benchWorkers(b *testing.B, m *Manager, e *Epoch, n int) {
	perRound := 2 * benchBatch // hashes a worker and side: about 0.35 s light
	if e.Full() {
		perRound = 24 * benchBatch // about 0.4 s
	}
	workers := make([]*Worker, n)
	for i := range workers {
		w, err := m.NewWorker()
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		workers[i] = w
	}
	all := func(f func(w *Worker) error) float64 {
		var wg sync.WaitGroup
		begin := time.Now()
		for _, w := range workers {
			wg.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if err := f(w); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		return float64(n*perRound) / time.Since(begin).Seconds()
	}
	// Every hash has a nonce of its own: equal inputs would find their dataset
	// items in the CPU's caches.
	var nonce atomic.Uint32
	ours := func(w *Worker) error {
		in, lens, out := make([]byte, benchBlob*benchBatch), make([]uint32, benchBatch), make([]byte, hashBytes*benchBatch)
		for range perRound / benchBatch {
			for i := range lens {
				lens[i] = benchBlob
				binary.LittleEndian.PutUint32(in[i*benchBlob+nonceOffset:], nonce.Add(1))
			}
			if err := w.Hash(e, in, lens, out); err != nil {
				return err
			}
		}
		return nil
	}
	bare := func(w *Worker) error {
		n := uint32(perRound)
		return w.BareLoop(e, make([]byte, benchBlob), nonceOffset, nonce.Add(n)-n, n, make([]byte, hashBytes))
	}
	all(ours) // binds the VMs and warms the caches
	var a, c, ratio []float64
	for b.Loop() {
		var x, y float64
		if len(a)%2 == 0 { // neither side always goes first
			x, y = all(ours), all(bare)
		} else {
			y, x = all(bare), all(ours)
		}
		a, c, ratio = append(a, x), append(c, y), append(ratio, x/y)
	}
	b.ReportMetric(0, "ns/op") // a round is no unit
	b.ReportMetric(median(a), "hashes/s")
	b.ReportMetric(median(c), "bare-hashes/s")
	b.ReportMetric(median(ratio), "ratio")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}
