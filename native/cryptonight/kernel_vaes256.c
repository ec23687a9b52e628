//go:build amd64

// The kernel for VAES on 256-bit registers: Zen 3, Alder Lake. Two pads are
// filled side by side, four vectors each.
#include <immintrin.h>

#include "cn_common.h"

#define CN_ISA CN_TARGET("aes,avx2,bmi2,vaes")
#define CN_VECTOR_CODE 1
#define CN_AESENC(x, key) _mm_aesenc_si128(x, key)
#include "words_gpu256.h"

#define CN_V __m256i
#define CN_VBLOCKS 2
#define CN_VLOAD(p) _mm256_load_si256((const __m256i *)(const void *)(p))
#define CN_VSTORE(p, v) _mm256_store_si256((__m256i *)(void *)(p), v)
#define CN_VXOR(a, b) _mm256_xor_si256(a, b)
#define CN_VAES(x, key) _mm256_aesenc_epi128(x, key)
#define CN_VKEY(p) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define CN_VNEXT(x, y) _mm256_permute2x128_si256(x, y, 0x21)
#define CN_PADS 2

#include "kernel.h"

CN_KERNEL(assay_cn_kernel_vaes256)
