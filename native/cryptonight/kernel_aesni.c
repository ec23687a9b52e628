//go:build amd64

// The kernel for AES-NI and SSE4.1: Westmere to Ivy Bridge, Bulldozer, Jaguar.
#include <immintrin.h>

#include "cn_common.h"

#define CN_ISA CN_TARGET("aes,sse4.1")
#define CN_VECTOR_CODE 0
#define CN_AESENC(x, key) _mm_aesenc_si128(x, key)
#include "words_gpu128.h"
#include "words_pads128.h"

#include "kernel.h"

CN_KERNEL(assay_cn_kernel_aesni)
