package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// benchDir is a folder on a real disk: TMPDIR may be memory.
func benchConfig(b *testing.B) Config {
	cfg := Config{Dir: filepath.Join(b.TempDir(), "journal"), Pool: "bench", Identity: us, MaxBytes: 1 << 40}
	return cfg
}

// BenchmarkCredit is the cost of an append to the caller, with as many waiting as
// Sync gathers.
func BenchmarkCredit(b *testing.B) {
	for _, names := range []int{10, 10_000} {
		credits := make([]Credit, names)
		for i := range credits {
			credits[i] = Credit{Wallet: fmt.Sprintf("4%0100d", i), Worker: "rig", Difficulty: 250_000, Time: time.Now()}
		}
		run := func(b *testing.B, body func(j *Journal, d Done, pending *sync.WaitGroup)) {
			cfg := benchConfig(b)
			cfg.MaxWaiting = 1 << 30
			j := mustOpen(b, cfg)
			var pending sync.WaitGroup
			d := &countDone{pending: &pending, failed: new(atomic.Int64)}
			pending.Add(names)
			for _, c := range credits {
				j.Credit(c, d)
			}
			pending.Wait()
			begin := j.End()
			b.ReportAllocs()
			b.ResetTimer()
			body(j, d, &pending)
			pending.Wait()
			b.StopTimer()
			b.ReportMetric(float64(j.End()-begin)/float64(b.N), "bytes/credit")
			if n := d.failed.Load(); n > 0 {
				b.Errorf("%d credits failed", n)
			}
			mustClose(b, j)
		}
		b.Run(fmt.Sprintf("serial/names=%d", names), func(b *testing.B) {
			run(b, func(j *Journal, d Done, pending *sync.WaitGroup) {
				pending.Add(b.N)
				for i := range b.N {
					j.Credit(credits[i%names], d)
				}
			})
		})
		b.Run(fmt.Sprintf("parallel/names=%d", names), func(b *testing.B) {
			run(b, func(j *Journal, d Done, pending *sync.WaitGroup) {
				pending.Add(b.N)
				b.RunParallel(func(p *testing.PB) {
					for i := 0; p.Next(); i++ {
						j.Credit(credits[i%names], d)
					}
				})
			})
		})
	}
}

// BenchmarkCommit is the time until a share is durable, one at a time, beside a bare
// write and fdatasync of as many bytes on the same disk in the same run.
func BenchmarkCommit(b *testing.B) {
	report := func(b *testing.B, took []time.Duration) {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	}
	b.Run("bare", func(b *testing.B) {
		f, err := OS().Create(filepath.Join(b.TempDir(), "bare"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		record := make([]byte, 20)
		took := make([]time.Duration, 0, b.N)
		for b.Loop() {
			began := time.Now()
			if _, err := f.Write(record); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		report(b, took)
	})
	for _, s := range []Sync{SyncAlways, DefaultSync, SyncOff} {
		b.Run("sync="+s.String(), func(b *testing.B) {
			cfg := benchConfig(b)
			cfg.Sync = s
			j := mustOpen(b, cfg)
			defer mustClose(b, j)
			c := share(0)
			done := make(chan error, 1)
			d := told(func(err error) { done <- err })
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				began := time.Now()
				j.Credit(c, d)
				if err := <-done; err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			report(b, took)
		})
	}
	b.Run("sync=5ms/1000-a-second", func(b *testing.B) {
		cfg := benchConfig(b)
		j := mustOpen(b, cfg)
		defer mustClose(b, j)
		var mu sync.Mutex
		var took []time.Duration
		var pending sync.WaitGroup
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for b.Loop() {
			<-tick.C
			began := time.Now()
			pending.Add(1)
			j.Credit(share(0), told(func(err error) {
				if err != nil {
					b.Error(err)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
				pending.Done()
			}))
		}
		pending.Wait()
		report(b, took)
	})
}

// BenchmarkReader reads a segment of credits from the page cache.
func BenchmarkReader(b *testing.B) {
	cfg := benchConfig(b)
	cfg.Sync, cfg.MaxWaiting = SyncOff, 1<<30
	j := mustOpen(b, cfg)
	defer mustClose(b, j)
	const n = 500_000
	var pending sync.WaitGroup
	d := &countDone{pending: &pending, failed: new(atomic.Int64)}
	pending.Add(n)
	for i := range n {
		j.Credit(share(i%5000), d)
	}
	pending.Wait()
	r, err := j.NewReader("bench", 0)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	read := 0
	for b.Loop() {
		if read%n == 0 {
			if err := r.Seek(0); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
		read++
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkOpen is a start on a full segment.
func BenchmarkOpen(b *testing.B) {
	cfg := benchConfig(b)
	cfg.Sync, cfg.MaxWaiting = SyncOff, 1<<30
	j := mustOpen(b, cfg)
	var pending sync.WaitGroup
	d := &countDone{pending: &pending, failed: new(atomic.Int64)}
	const n = 3_000_000
	pending.Add(n)
	for i := range n {
		j.Credit(share(i%5000), d)
	}
	pending.Wait()
	mustClose(b, j)
	for _, f := range segmentFiles(b, cfg.Dir) {
		if info, err := os.Stat(f); err == nil {
			b.SetBytes(info.Size())
		}
	}
	for b.Loop() {
		j, err := OpenDir(cfg.Dir)
		if err != nil {
			b.Fatal(err)
		}
		j.Close(b.Context())
	}
}
