package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHasher hashes with SHA-256; lie changes what comes out.
type fakeHasher struct {
	lie   func(lane int, in, out []byte)
	after func(out []byte) // sees the hashes of a whole batch
	fail  error
	open  *int
}

func (f *fakeHasher) hash(in []byte, lens []uint32, out []byte) error {
	if f.fail != nil {
		return f.fail
	}
	for lane, n := range lens {
		sum := sha256.Sum256(in[:n])
		copy(out[lane*hashBytes:], sum[:])
		if f.lie != nil {
			f.lie(lane, in[:n], out[lane*hashBytes:(lane+1)*hashBytes])
		}
		in = in[n:]
	}
	if f.after != nil {
		f.after(out)
	}
	return nil
}

func (f *fakeHasher) pages() cpu.Pages { return cpu.THP }
func (f *fakeHasher) close()           { *f.open-- }

// fakeSource counts the hashers that are open. Only for one thread.
func fakeSource(t *testing.T, f fakeHasher) source {
	t.Helper()
	open := new(int)
	t.Cleanup(func() {
		if *open != 0 {
			t.Errorf("%d hashers were not closed", *open)
		}
	})
	return source{algo.CN1, "fake", func(int) (hasher, error) {
		*open++
		h := f
		h.open = open
		return &h, nil
	}}
}

func TestFixedWork(t *testing.T) {
	seen := map[string]bool{}
	for n := range Nonces {
		in := appendInput(nil, n)
		if len(in) != 76 || in[38] != 38 || in[39] != byte(n) || in[40] != 0 || in[43] != 43 {
			t.Fatalf("input %d is %x", n, in)
		}
		seen[string(in)] = true
	}
	if len(seen) != Nonces {
		t.Errorf("%d different inputs, want %d", len(seen), Nonces)
	}
	b := newBatch(3)
	b.set(Nonces-1, Nonces)
	want := appendInput(appendInput(appendInput(nil, Nonces-1), 0), 1)
	if !bytes.Equal(b.in, want) || b.nonces[1] != 0 {
		t.Errorf("a batch over the end: nonces %v", b.nonces)
	}
}

// fakeReference gives the reference of so many lanes at most, and the run it is of.
func fakeReference(t *testing.T, widest int) (*runner, *hashes) {
	t.Helper()
	r := &runner{cfg: Config{CPU: &cpu.Info{Cores: 1}, Widths: []int{widest}, Threads: []int{1}, Rounds: 1}}
	reference, err := r.refer(t.Context(), fakeSource(t, fakeHasher{}))
	if err != nil {
		t.Fatal(err)
	}
	if reference.missing() >= 0 {
		t.Fatalf("nonce %d has no hash", reference.missing())
	}
	return r, reference
}

// TestNonces: each lane of the widest path has an input of its own, and the
// checksum is of the same hashes at any width.
func TestNonces(t *testing.T) {
	_, narrow := fakeReference(t, 1)
	for _, c := range []struct {
		widths []int
		nonces int
	}{{[]int{1}, 16}, {[]int{8, 16, 1}, 16}, {[]int{1, 17}, 17}, {[]int{64, 8}, 64}} {
		cfg := Config{Widths: c.widths}
		if cfg.nonces() != c.nonces {
			t.Errorf("widths %v: %d nonces, want %d", c.widths, cfg.nonces(), c.nonces)
		}
		_, reference := fakeReference(t, slices.Max(c.widths))
		if reference.nonces() != c.nonces || reference.checksum() != narrow.checksum() {
			t.Errorf("widths %v: %d nonces, checksum %s, want %s", c.widths, reference.nonces(), reference.checksum(), narrow.checksum())
		}
		b := newBatch(slices.Max(c.widths))
		b.set(5, c.nonces)
		if n := slices.Compact(slices.Sorted(slices.Values(b.nonces))); len(n) != len(b.nonces) {
			t.Errorf("widths %v: two lanes have one input: %v", c.widths, b.nonces)
		}
	}
}

// TestSwap: lanes that exchange their hashes are found at any distance.
func TestSwap(t *testing.T) {
	for _, apart := range []int{1, 8, 16, 32, 48} {
		swapped := fakeHasher{after: func(out []byte) {
			a, b := out[:hashBytes], out[apart*hashBytes:(apart+1)*hashBytes]
			c := slices.Clone(a)
			copy(a, b)
			copy(b, c)
		}}
		r, reference := fakeReference(t, 64)
		if err := r.measure(t.Context(), []source{fakeSource(t, swapped)}, reference); err != nil {
			t.Fatal(err)
		}
		if len(r.results) != 1 || r.results[0].OK || r.results[0].Wrong != 4 { // two a batch: the warm-up, and one timed
			t.Errorf("%d lanes apart: %+v", apart, r.results)
		}
	}
}

// TestCover: every width and thread count does the whole fixed work, and all
// give the reference's checksum.
func TestCover(t *testing.T) {
	s := fakeSource(t, fakeHasher{})
	for width := 1; width <= cryptonight.MaxWidth; width++ {
		_, reference := fakeReference(t, width)
		c := newCell(s, width, 1, reference)
		for range 2 {
			if err := c.round(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.complete(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := results([]*cell{c}, 1)[0]
		if !r.OK || r.Wrong != 0 || r.Checksum != reference.checksum() || r.Expected != "" || r.Hashes < uint64(max(Nonces, width)) || c.got.missing() >= 0 || len(r.Rounds) != 2 || r.Pages != "THP" {
			t.Errorf("width %d: %+v", width, r)
		}
	}
}

// TestMismatch: one wrong bit in one lane of one nonce is found, even if the
// hash is right at another time.
func TestMismatch(t *testing.T) {
	_, reference := fakeReference(t, 4)
	calls := 0
	for name, lie := range map[string]func(lane int, in, out []byte){
		"always": func(_ int, in, out []byte) {
			if in[nonceAt] == 11 {
				out[31] ^= 0x80
			}
		},
		"in one lane": func(lane int, _, out []byte) {
			if lane == 3 {
				out[0] ^= 1
			}
		},
		"once": func(_ int, _, out []byte) {
			if calls++; calls == 7 {
				out[5] ^= 4
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			calls = 0
			c := newCell(fakeSource(t, fakeHasher{lie: lie}), 4, 1, reference)
			for range 8 {
				if err := c.round(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.complete(t.Context()); err != nil {
				t.Fatal(err)
			}
			list := results([]*cell{c}, 1)
			if r := list[0]; r.OK || r.Wrong == 0 || r.Checksum == reference.checksum() || r.Expected != reference.checksum() {
				t.Errorf("%+v", r)
			}
			if m := Mismatches(list); len(m) != 1 || !strings.Contains(m[0], "cn/1 fake x4, threads 1") {
				t.Errorf("%q", m)
			}
			var out bytes.Buffer
			if err := Write(&out, list); err != nil || !strings.Contains(out.String(), "MISMATCH") {
				t.Errorf("%v, %s", err, &out)
			}
		})
	}
}

func TestHashFails(t *testing.T) {
	broken := errors.New("broken")
	r, reference := fakeReference(t, 1)
	c := newCell(fakeSource(t, fakeHasher{fail: broken}), 1, 1, reference)
	if err := c.round(t.Context(), 0); !errors.Is(err, broken) || !strings.Contains(err.Error(), "cn/1 fake x1, 1 thread:") {
		t.Error(err)
	}
	if err := c.complete(t.Context()); !errors.Is(err, broken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.complete(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := r.refer(t.Context(), c.source); !errors.Is(err, broken) {
		t.Error(err)
	}
	c.newHasher = func(int) (hasher, error) { return nil, broken }
	c.threads = 3
	if err := c.round(t.Context(), 0); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestRatios: medians of the ratios within rounds, not ratios of medians.
func TestRatios(t *testing.T) {
	rounds := func(ms ...float64) []Round {
		var list []Round
		for _, m := range ms {
			list = append(list, Round{Hashes: 1, Rate: 1000 / m, HashMS: m})
		}
		return list
	}
	measured := func(kernel string, width, threads int, ms ...float64) *cell {
		c := newCell(source{algo: algo.CN1, kernel: kernel}, width, threads, newHashes(Nonces))
		c.rounds = rounds(ms...)
		return c
	}
	list := results([]*cell{
		measured("k", 1, 1, 10, 20, 12),
		measured("k", 8, 1, 2, 5, 4), // ratios 5, 4, 3
		measured("k", 8, 2, 2, 5, 4), // twice the rate
		measured("k", 8, 4, 2, 5, 4), // no more than that on 2 cores
		measured("lone", 4, 2, 1, 3),
	}, 2)
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	for i, want := range []struct{ ms, lane, thread float64 }{{12, 1, 1}, {4, 4, 1}, {4, 0, 2}, {4, 0, 2}, {2, 0, 0}} {
		if r := list[i]; !near(r.HashMS, want.ms) || !near(r.XLane, want.lane) || !near(r.XThread, want.thread) {
			t.Errorf("path %d: %+v, want %+v", i, r, want)
		}
	}
	if r := list[1]; !near(r.Rate, 250) || !near(r.BatchMS, 32) {
		t.Errorf("%+v", r)
	}
	if got := Below(list, 4.5); len(got) != 1 || !strings.Contains(got[0], "cn/1 k: x8 is 4.00 times") {
		t.Errorf("%q", got)
	}
	if got := Below(list, 3.99); got != nil {
		t.Errorf("%q", got)
	}
}

// TestTable: rows of the largest figures fit 100 columns.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	r := Result{Algo: "cn-heavy/tube", Kernel: "portable", Width: 16, Threads: 128, Rate: 123456.7, HashMS: 999.999,
		BatchMS: 16000.5, XLane: 10.55, XThread: 127.99, Pages: "4 KiB", Checksum: "0123456789abcdef", OK: true}
	if err := Write(&out, []Result{r, r, {Algo: "rx/0", Checksum: "0123456789abcdef"}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 6 || lines[3] != "" {
		t.Errorf("%q", lines)
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 100 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}

func TestCheck(t *testing.T) {
	info, err := cpu.Detect([]string{"aes"})
	if err != nil {
		t.Fatal(err)
	}
	good := func() Config {
		return Config{CPU: info, Algos: []algo.ID{algo.CN0}, Kernels: []cryptonight.Kernel{cryptonight.Portable},
			Widths: []int{1}, Threads: []int{1}, Rounds: 1}
	}
	c := good()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"nothing to measure":         func(c *Config) { c.Widths = nil },
		"rx/2 needs":                 func(c *Config) { c.Algos = []algo.ID{algo.RX2} },
		"unknown is not":             func(c *Config) { c.Algos = []algo.ID{algo.Unknown} },
		"no kernel":                  func(c *Config) { c.Kernels = nil },
		"aesni: the CPU lacks it":    func(c *Config) { c.Kernels = []cryptonight.Kernel{cryptonight.AESNI} },
		"width 65 is not in 1…64":    func(c *Config) { c.Widths = []int{1, 65} },
		"threads 0 is not in 1…1024": func(c *Config) { c.Threads = []int{0} },
		"rounds 0 is not in 1…1000":  func(c *Config) { c.Rounds = 0 },
	} {
		c := good()
		change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// vector is a checksum of testdata/checksums.json.
type vector struct{ Algo, Checksum, Source string }

// TestRun measures real kernels and holds their checksums to recorded ones,
// though a width of 20 makes 20 nonces of the 16.
func TestRun(t *testing.T) {
	raw, err := os.ReadFile("testdata/checksums.json")
	if err != nil {
		t.Fatal(err)
	}
	var known []vector
	if err := json.Unmarshal(raw, &known); err != nil {
		t.Fatal(err)
	}
	info, err := cpu.Detect(nil)
	if err != nil {
		t.Fatal(err)
	}
	kernels := cryptonight.Supported(info)
	cfg := Config{
		CPU: info, Kernels: []cryptonight.Kernel{kernels[len(kernels)-1]}, Widths: []int{1, 20}, Threads: []int{1, 2},
		Time: time.Millisecond, Rounds: 2,
	}
	for _, v := range known {
		a, err := algo.Parse(v.Algo)
		if err != nil || v.Source == "" {
			t.Fatal(v, err)
		}
		cfg.Algos = append(cfg.Algos, a)
	}
	last := Progress{}
	cfg.Progress = func(p Progress) {
		if p.Done < last.Done || p.Done > p.Total || p.What == "" {
			t.Errorf("progress %+v after %+v", p, last)
		}
		last = p
	}
	list, err := Run(t.Context(), cfg)
	if errors.Is(err, cryptonight.ErrNoCgo) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 4*len(known) || last.Total != 8*len(known) || last.Done != last.Total {
		t.Fatalf("%d results, progress %+v", len(list), last)
	}
	for i, r := range list {
		v := known[i/4]
		if r.Algo != v.Algo || !r.OK || r.Checksum != v.Checksum || r.Hashes < 20 || r.Rate <= 0 || r.HashMS <= 0 || r.XLane <= 0 || r.XThread <= 0 {
			t.Errorf("%+v, want checksum %s (%s)", r, v.Checksum, v.Source)
		}
	}
}

func TestRunInterrupted(t *testing.T) {
	info, err := cpu.Detect(nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cfg := Config{CPU: info, Algos: []algo.ID{algo.CNPico, algo.CNUPX2}, Kernels: []cryptonight.Kernel{cryptonight.Portable},
		Widths: []int{1}, Threads: []int{1}, Time: time.Hour, Rounds: 1}
	cfg.Progress = func(p Progress) {
		if strings.Contains(p.What, "thread") {
			cancel() // as the turn begins that would take an hour
		}
	}
	list, err := Run(ctx, cfg)
	if errors.Is(err, cryptonight.ErrNoCgo) {
		t.Skip(err)
	}
	if !errors.Is(err, context.Canceled) || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
