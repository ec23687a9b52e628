//go:build amd64

// The kernel for every x86-64: AES by T-tables, 128-bit SSE2 for the rest.
#include <emmintrin.h> // SSE2

#include "cn_common.h"

#define CN_ISA
#define CN_VECTOR_CODE 0
#define CN_AESENC(x, key) cn_aesenc_soft(x, key)
#include "loop_math.h"

// A call: eighty table rounds inlined per chunk took the compiler a minute
// under the sanitizers and ran no faster.
static __attribute__((noinline)) __m128i pad_round(__m128i x, __m128i key) { return cn_aesenc_soft(x, key); }

#define CN_VAES(x, key) pad_round(x, key)
#include "words_gpu128.h"
#include "words_pads128.h"

#include "kernel.h"

CN_KERNEL(assay_cn_kernel_portable)
