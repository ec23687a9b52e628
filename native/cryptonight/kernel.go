package cryptonight

import (
	"fmt"
	"strings"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
)

// Kernel is an instruction-set path through the C code.
type Kernel uint8

// The kernels, slowest first. Each needs the features of all before it.
const (
	Portable Kernel = iota // any x86-64: AES by tables
	AESNI                  // AES-NI, SSE4.1
	AVX2                   // AVX2, BMI2: random programs over eight lanes, cn/gpu two chains a vector
	VAES256                // VAES: pads filled by 256-bit rounds
	VAES512                // AVX-512 with VAES: pads by 512-bit rounds, cn/gpu four chains a vector
	kernelCount
)

var kernelNames = [kernelCount]string{"portable", "aesni", "avx2", "vaes256", "vaes512"}

// String is the name of flags, metrics and benchmarks.
func (k Kernel) String() string {
	if k < kernelCount {
		return kernelNames[k]
	}
	return fmt.Sprintf("kernel(%d)", uint8(k))
}

// ParseKernel finds a kernel by name, in any case.
func ParseKernel(name string) (Kernel, error) {
	for k, n := range kernelNames {
		if strings.EqualFold(n, strings.TrimSpace(name)) {
			return Kernel(k), nil
		}
	}
	return 0, fmt.Errorf("unknown CryptoNight kernel %q; known are %s", name, strings.Join(kernelNames[:], ", "))
}

// Supported lists the kernels that the features allow, slowest first.
func Supported(info *cpu.Info) []Kernel {
	usable := []Kernel{Portable}
	for _, step := range []struct {
		kernel Kernel
		ok     bool
	}{
		{AESNI, info.AES && info.SSE41},
		{AVX2, info.AVX2 && info.BMI2},
		{VAES256, info.VAES},
		{VAES512, info.AVX512},
	} {
		if !step.ok {
			break
		}
		usable = append(usable, step.kernel)
	}
	return usable
}

// Algorithms lists the variants this package hashes, in canonical order.
func Algorithms() []algo.ID {
	var ids []algo.ID
	for _, id := range algo.All() {
		if id.Family() == algo.CryptoNight {
			ids = append(ids, id)
		}
	}
	return ids
}
