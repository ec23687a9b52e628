//go:build cgo && linux && amd64

package cryptonight

// Contraction of floats to fused operations is off because -std=c11 is ISO C;
// cgo does not let -ffp-contract through. No -m flag: the instruction set is
// chosen function by function.

/*
#cgo CFLAGS: -std=c11 -O3 -Wall -Wextra -Werror
#cgo noescape assay_cn_hash
#cgo nocallback assay_cn_hash
#include "assay_cn.h"
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/assay-pool/assay/native/algo"
)

const available = true

// The table of spec.c and the package's constants are two lists of one thing.
var (
	_ [MaxWidth - C.ASSAY_CN_MAX_WIDTH]struct{}
	_ [C.ASSAY_CN_MAX_WIDTH - MaxWidth]struct{}
	_ [int(kernelCount) - C.ASSAY_CN_KERNELS]struct{}
	_ [C.ASSAY_CN_KERNELS - int(kernelCount)]struct{}
)

// number is the C code's enumeration of a variant: algo lists them in the
// same order (a test compares the names).
func number(a algo.ID) C.uint32_t { return C.uint32_t(a-algo.CN0) + C.ASSAY_CN_0 }

// cName is the C table's name of a variant.
func cName(a algo.ID) string {
	if name := C.assay_cn_name(number(a)); name != nil {
		return C.GoString(name)
	}
	return ""
}

func arenaSize(a algo.ID, width int) int {
	return int(C.assay_cn_arena_size(number(a), C.uint32_t(width)))
}

func padSize(a algo.ID) int { return arenaSize(a, 1) }

// hash runs one batch of one height.
func (w *Worker) hash(a algo.ID, width int, in []byte, lens []uint32, out []byte, p *program) error {
	var code *C.assay_cn_code
	if p != nil {
		code = p.code
	}
	status := C.assay_cn_hash(number(a), C.uint32_t(w.engine.kernel), C.uint32_t(width),
		(*C.uint8_t)(unsafe.SliceData(in)), C.uint64_t(len(in)),
		(*C.uint32_t)(unsafe.SliceData(lens)), C.uint64_t(len(lens)),
		(*C.uint8_t)(unsafe.SliceData(out)), C.uint64_t(len(out)),
		(*C.uint8_t)(unsafe.SliceData(w.arena.Bytes)), C.uint64_t(len(w.arena.Bytes)), code)
	switch status {
	case C.ASSAY_CN_OK:
		return nil
	case C.ASSAY_CN_ERR_INPUT:
		return inputError(a, in, lens)
	case C.ASSAY_CN_ERR_OUTPUT:
		return fmt.Errorf("hash %v: %d bytes for %d hashes: %w", a, len(out), len(lens), ErrOutput)
	case C.ASSAY_CN_ERR_ALGO:
		return fmt.Errorf("hash %v: %w", a, ErrAlgorithm)
	default:
		return fmt.Errorf("hash %v: kernel %v, width %d: status %d", a, w.engine.kernel, width, int(status))
	}
}

// profile runs one batch on this thread and times its parts.
func (w *Worker) profile(a algo.ID, width, reach int, p *program) (Profile, error) {
	var code *C.assay_cn_code
	if p != nil {
		code = p.code
	}
	var ns [C.ASSAY_CN_PARTS]C.uint64_t
	status := C.assay_cn_profile(number(a), C.uint32_t(w.engine.kernel), C.uint32_t(width), C.uint32_t(reach),
		(*C.uint8_t)(unsafe.SliceData(w.arena.Bytes)), C.uint64_t(len(w.arena.Bytes)), code, &ns[0])
	if status != C.ASSAY_CN_OK {
		return Profile{}, fmt.Errorf("profile %v: kernel %v, width %d, reach %d: status %d", a, w.engine.kernel, width, reach, int(status))
	}
	return Profile{
		Explode: time.Duration(ns[C.ASSAY_CN_EXPLODE]), Loop: time.Duration(ns[C.ASSAY_CN_LOOP]),
		Implode: time.Duration(ns[C.ASSAY_CN_IMPLODE]),
	}, nil
}

// program is a random program in C memory.
type program struct{ code *C.assay_cn_code }

func newProgram(a algo.ID, height uint64, k Kernel, jit bool) (*program, error) {
	var code *C.assay_cn_code
	mode := C.uint32_t(C.ASSAY_CN_JIT_OFF)
	if jit {
		mode = C.ASSAY_CN_JIT_ON
	}
	if status := C.assay_cn_code_new(number(a), C.uint64_t(height), C.uint32_t(k), mode, &code); status != C.ASSAY_CN_OK {
		return nil, fmt.Errorf("random program of height %d: status %d", height, int(status))
	}
	return &program{code}, nil
}

// compiled tells whether the program runs as machine code.
func (p *program) compiled() bool { return C.assay_cn_code_compiled(p.code) == 1 }

func (p *program) free() { C.assay_cn_code_free(p.code) }

// finalHash is one of the four hashes that may end a CryptoNight hash.
func finalHash(selector int, in []byte) ([HashSize]byte, error) {
	var out [HashSize]byte
	status := C.assay_cn_final_hash(C.uint32_t(selector), (*C.uint8_t)(unsafe.SliceData(in)), C.uint64_t(len(in)),
		(*C.uint8_t)(&out[0]), C.uint64_t(len(out)))
	if status != C.ASSAY_CN_OK {
		return out, fmt.Errorf("final hash %d: status %d", selector, int(status))
	}
	return out, nil
}
