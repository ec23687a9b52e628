//go:build cgo && linux && amd64

package cryptonight

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
)

func TestNames(t *testing.T) {
	for _, a := range Algorithms() {
		if cName(a) != a.String() {
			t.Errorf("the C table calls %v %q", a, cName(a))
		}
	}
	if len(Algorithms()) != 23 || cName(algo.RX0) != "" || cName(algo.Unknown) != "" {
		t.Error("the C table and the algorithm list differ")
	}
	for _, k := range []Kernel{Portable, AESNI, AVX2, VAES256, VAES512} {
		if got, err := ParseKernel(" " + strings.ToUpper(k.String())); err != nil || got != k {
			t.Errorf("ParseKernel(%v) = %v, %v", k, got, err)
		}
	}
	if _, err := ParseKernel("neon"); err == nil || !strings.Contains(err.Error(), "vaes512") {
		t.Errorf("ParseKernel(neon): %v", err)
	}
}

func TestSupported(t *testing.T) {
	for _, test := range []struct {
		info cpu.Info
		best Kernel
	}{
		{cpu.Info{}, Portable},
		{cpu.Info{AES: true}, Portable},
		{cpu.Info{AES: true, SSE41: true}, AESNI},
		{cpu.Info{AES: true, SSE41: true, AVX2: true}, AESNI},
		{cpu.Info{SSE41: true, AVX2: true, BMI2: true, AVX512: true}, Portable},
		{cpu.Info{AES: true, SSE41: true, AVX2: true, BMI2: true, AVX512: true}, AVX2},
		{cpu.Info{AES: true, SSE41: true, AVX2: true, BMI2: true, VAES: true}, VAES256},
		{cpu.Info{AES: true, SSE41: true, AVX2: true, BMI2: true, VAES: true, AVX512: true}, VAES512},
	} {
		if got := Supported(&test.info); got[len(got)-1] != test.best {
			t.Errorf("%+v: best of %v, want %v", test.info, got, test.best)
		}
	}
}

func TestNewTakesBest(t *testing.T) {
	e, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	kernels := e.Kernels()
	if e.Kernel() != kernels[len(kernels)-1] || len(e.Refused()) != 0 {
		t.Errorf("kernel %v of %v, refused %v", e.Kernel(), kernels, e.Refused())
	}
	for _, a := range Algorithms() {
		if w := e.Width(a); w < 1 || w > MaxWidth || w != e.MaxBatch(a) {
			t.Errorf("%v: width %d", a, w)
		}
	}
	if e.Width(algo.RX0) != 0 {
		t.Error("RandomX has a width")
	}
}

// TestDisable forces lower paths as --cpu-disable does.
func TestDisable(t *testing.T) {
	for disable, most := range map[string]Kernel{"avx512": VAES256, "vaes": AVX2, "avx2": AESNI, "aes": Portable} {
		info, err := cpu.Detect([]string{disable})
		if err != nil {
			t.Fatal(err)
		}
		if got := Supported(info); got[len(got)-1] > most {
			t.Errorf("without %s: %v", disable, got)
		}
	}
	info, err := cpu.Detect([]string{"avx2"})
	if err != nil {
		t.Fatal(err)
	}
	forced := VAES512
	if _, err := New(Config{CPU: info, Kernel: &forced}); err == nil || !strings.Contains(err.Error(), "vaes512") {
		t.Errorf("a kernel the CPU lacks was forced: %v", err)
	}
	if _, err := New(Config{Width: MaxWidth + 1}); err == nil {
		t.Error("width out of range accepted")
	}
}

// TestBrokenKernel breaks kernels: each is refused in turn, and with none left
// there is no engine.
func TestBrokenKernel(t *testing.T) {
	kernels := Supported(testCPU(t))
	best := kernels[len(kernels)-1]
	breakAbove := func(least Kernel) func(Kernel, algo.ID, []byte) {
		return func(k Kernel, a algo.ID, out []byte) {
			if k >= least && a == algo.CNPico {
				out[HashSize+17] ^= 0x10
			}
		}
	}
	if best > Portable {
		e, err := New(Config{tamper: breakAbove(best)})
		if err != nil {
			t.Fatal(err)
		}
		refused := e.Refused()[best]
		if e.Kernel() != best-1 || refused == nil || !strings.Contains(refused.Error(), "cn-pico: lane 1 of") {
			t.Errorf("kernel %v, refused %v", e.Kernel(), e.Refused())
		}
		if _, err := New(Config{Kernel: &best, tamper: breakAbove(best)}); err == nil {
			t.Error("a broken kernel was forced")
		}
	}
	portable := Portable
	if _, err := New(Config{Kernel: &portable, tamper: breakAbove(Portable)}); err == nil {
		t.Error("an engine without a right kernel")
	}
}

func TestDefaultWidth(t *testing.T) {
	for _, test := range []struct {
		info   cpu.Info
		pad    int
		forced int
		want   int
	}{
		{cpu.Info{L3: 32 << 20, Cores: 2}, 2 << 20, 0, 8},
		{cpu.Info{L3: 32 << 20, Cores: 8}, 2 << 20, 0, 2},
		{cpu.Info{L3: 8 << 20, Cores: 16}, 2 << 20, 0, 1},
		{cpu.Info{L3: 96 << 20, Cores: 2}, 128 << 10, 0, 8},
		{cpu.Info{L2: 2 << 20, Cores: 4}, 1 << 20, 0, 2},
		{cpu.Info{}, 1 << 20, 0, 1},
		{cpu.Info{L3: 32 << 20, Cores: 2}, 2 << 20, 5, 5},
	} {
		if got := defaultWidth(&test.info, test.pad, test.forced); got != test.want {
			t.Errorf("%+v, pad %d, forced %d: %d, want %d", test.info, test.pad, test.forced, got, test.want)
		}
	}
}

func TestCalibrate(t *testing.T) {
	kernels := Supported(testCPU(t))
	e := testEngine(t, kernels[len(kernels)-1], 1)
	measured, err := e.Calibrate(context.Background(), 2, algo.CNUPX2)
	if err != nil {
		t.Fatal(err)
	}
	list := measured[algo.CNUPX2]
	if len(list) != len(calibrationWidths()) || list[0].Width != 1 {
		t.Fatalf("measured %v", list)
	}
	for _, m := range list {
		if m.Hash <= 0 {
			t.Errorf("width %d: %v", m.Width, m.Hash)
		}
	}
	if e.Width(algo.CNUPX2) != best(list) {
		t.Errorf("width %d, best of %v is %d", e.Width(algo.CNUPX2), list, best(list))
	}
	forced := testEngine(t, Portable, 3)
	forced.cfg.Width = 3
	if measured, err = forced.Calibrate(context.Background(), 1, algo.CN1); err != nil || len(measured) != 0 || forced.Width(algo.CN1) != 3 {
		t.Errorf("a forced width was calibrated: %v, %v", measured, err)
	}
	if _, err := e.Calibrate(context.Background(), 1, algo.RX0); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("RandomX: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Calibrate(ended, 1, algo.CN1); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}

func TestAffordable(t *testing.T) {
	widths := calibrationWidths()
	for _, test := range []struct {
		free    uint64
		workers int
		a       algo.ID
		widest  int
	}{
		{1 << 30, 1, algo.CNUPX2, 64},
		{1 << 30, 1, algo.CN1, 64},
		{1 << 30, 4, algo.CN1, 16}, // a quarter is 256 MiB: 32 pads each, but for their stagger
		{1 << 30, 2, algo.CNHeavy0, 16},
		{0, 1, algo.CNUPX2, 1},
		{1 << 40, 1 << 30, algo.CNHeavy0, 1},
	} {
		got := affordable(widths, test.free, test.workers, test.a)
		if got[len(got)-1] != test.widest || !slices.Equal(got, widths[:len(got)]) {
			t.Errorf("%d bytes, %d workers, %v: %v, want up to %d", test.free, test.workers, test.a, got, test.widest)
		}
	}
}

func TestBest(t *testing.T) {
	for _, test := range []struct {
		measured []Measurement
		want     int
	}{
		{[]Measurement{{1, 100}}, 1},
		{[]Measurement{{1, 100}, {2, 60}, {4, 40}, {8, 90}}, 4},
		{[]Measurement{{1, 100}, {2, 60}, {4, 55}}, 2}, // 1.8 times the wait for a twelfth
		{[]Measurement{{1, 100}, {2, 60}, {4, 50}}, 4}, // 1.7 times the wait for a sixth
		// cn/1 in µs: a quiet cache; one that others use up, much and wholly.
		{[]Measurement{{1, 12700}, {4, 4430}, {6, 3150}, {8, 2980}, {16, 6000}, {64, 4900}}, 8},
		{[]Measurement{{1, 15000}, {4, 6200}, {8, 12200}, {16, 10600}, {32, 7200}, {64, 4900}}, 4},
		{[]Measurement{{1, 15000}, {4, 9400}, {8, 14600}, {16, 11000}, {32, 7200}, {64, 4900}}, 64},
		// In ns: 64 lanes would be worth it, but take 0.58 s.
		{[]Measurement{{1, 39e6}, {8, 44e6}, {32, 15e6}, {64, 9e6}}, 32},
		{[]Measurement{{1, 600e6}, {2, 400e6}}, 1},
	} {
		if got := best(test.measured); got != test.want {
			t.Errorf("best of %v is %d, want %d", test.measured, got, test.want)
		}
	}
}
