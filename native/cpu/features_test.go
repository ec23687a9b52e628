package cpu

import (
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

func TestDetectUnknownFeature(t *testing.T) {
	_, err := Detect([]string{"avx2", "avx3"})
	if err == nil {
		t.Fatal("unknown feature accepted")
	}
	for _, want := range append(FeatureNames(), `"avx3"`) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestApplyDependencies(t *testing.T) {
	all := func(cpuid.FeatureID) bool { return true }
	tests := []struct {
		name, disable string
		has           func(cpuid.FeatureID) bool
		on            string
		disabled      string
	}{
		{"everything", "", all, "aes ssse3 sse4.1 bmi2 avx2 avx512 vaes", ""},
		{"avx2 takes avx512 and vaes with it", "avx2", all, "aes ssse3 sse4.1 bmi2", "avx2 avx512 vaes"},
		{"aes takes vaes", "AES", all, "ssse3 sse4.1 bmi2 avx2 avx512", "aes vaes"},
		{"ssse3 takes the whole chain", "ssse3", all, "aes bmi2", "avx2 avx512 sse4.1 ssse3 vaes"},
		{"two names, spaces and empties", " vaes ,, avx512", all, "aes ssse3 sse4.1 bmi2 avx2", "avx512 vaes"},
		{"absent is not disabled", "avx512", func(id cpuid.FeatureID) bool { return id != cpuid.AVX512BW },
			"aes ssse3 sse4.1 bmi2 avx2 vaes", ""},
		{"vaes without avx2", "", func(id cpuid.FeatureID) bool { return id != cpuid.AVX2 }, "aes ssse3 sse4.1 bmi2", "avx512 vaes"},
		{"nothing there", "", func(cpuid.FeatureID) bool { return false }, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			off, err := parseDisable(strings.Split(tt.disable, ","))
			if err != nil {
				t.Fatal(err)
			}
			var info Info
			info.apply(off, tt.has)
			var on []string
			for _, f := range features() {
				if *f.field(&info) {
					on = append(on, f.name)
				}
			}
			if got := strings.Join(on, " "); got != tt.on {
				t.Errorf("on = %q, want %q", got, tt.on)
			}
			if got := strings.Join(info.Disabled, " "); got != tt.disabled {
				t.Errorf("disabled = %q, want %q", got, tt.disabled)
			}
		})
	}
}

// TestDetectIsACopy proves that disabling in one Info leaves others alone.
func TestDetectIsACopy(t *testing.T) {
	lower, err := Detect(FeatureNames())
	if err != nil {
		t.Fatal(err)
	}
	if lower.AES || lower.SSSE3 || lower.SSE41 || lower.BMI2 || lower.AVX2 || lower.AVX512 || lower.VAES {
		t.Errorf("features left after disabling all: %+v", lower)
	}
	full, err := Detect(nil)
	if err != nil {
		t.Fatal(err)
	}
	if full.AES != cpuid.CPU.Has(cpuid.AESNI) || full.AVX2 != cpuid.CPU.Has(cpuid.AVX2) {
		t.Errorf("an earlier Detect changed this one: %+v", full)
	}
	if len(full.CPUs) == 0 || full.Cores < 1 || full.Cores > len(full.CPUs) || full.Model == "" || full.L3Groups < 1 {
		t.Errorf("implausible: %+v", full)
	}
	if !slices.IsSorted(full.CPUs) {
		t.Errorf("CPUs not ascending: %v", full.CPUs)
	}
}

func TestBanner(t *testing.T) {
	info := &Info{Model: "Test 9000", VM: true, SSSE3: true, L1D: 32 << 10, L2: 1 << 20, L3: 32 << 20, L3Groups: 2,
		CPUs: []int{0, 1, 2}, Cores: 2, Disabled: []string{"aes", "avx2"}}
	got := info.banner(HugePageState{Total: 10, Free: 3, PageSize: 2 << 20, THP: "madvise"}, Memory{})
	want := []string{
		" * HUGE PAGES   3 free of 10 (2 MiB each), THP madvise",
		" * CPU          Test 9000 VM (2 of 3 usable CPUs) -AES SSSE3",
		" * LIMITS       no CPU quota, no memory limit",
		" * CACHE        L1D 32 KB  L2 1.0 MB  L3 32.0 MB in 2 group(s)",
		" * DISABLED     aes avx2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("banner:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if lines := info.Banner(); len(lines) != len(want) {
		t.Errorf("Banner on this machine has %d lines", len(lines))
	}
}
