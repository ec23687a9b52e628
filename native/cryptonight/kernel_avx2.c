//go:build amd64

// The kernel for AES-NI and AVX2 without VAES: Haswell to Comet Lake, Zen 1
// and 2. Pads are filled as with AES-NI alone; cn/gpu and the random programs
// gain.
#include <immintrin.h>

#include "cn_common.h"

#define CN_ISA CN_TARGET("aes,avx2,bmi2")
#define CN_VECTOR_CODE 1
#define CN_AESENC(x, key) _mm_aesenc_si128(x, key)
#include "words_gpu256.h"
#include "words_pads128.h"

#include "kernel.h"

CN_KERNEL(assay_cn_kernel_avx2)
