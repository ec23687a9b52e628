//go:build amd64

// The kernel for VAES and AVX-512: Zen 4 and later, Ice Lake and later. Four
// pads are filled side by side, two vectors each.
#include <immintrin.h>

#include "cn_common.h"

#define CN_ISA CN_TARGET("aes,avx2,bmi2,vaes,avx512f,avx512bw,avx512dq,avx512vl")
#define CN_VECTOR_CODE 1
#define CN_AESENC(x, key) _mm_aesenc_si128(x, key)

#define CN_V __m512i
#define CN_VBLOCKS 4
#define CN_VLOAD(p) _mm512_load_si512((const void *)(p))
#define CN_VSTORE(p, v) _mm512_store_si512((void *)(p), v)
#define CN_VXOR(a, b) _mm512_xor_si512(a, b)
#define CN_VAES(x, key) _mm512_aesenc_epi128(x, key)
#define CN_VKEY(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define CN_VNEXT(x, y) _mm512_alignr_epi64(y, x, 2)
#define CN_PADS 4

#define CN_GW 16
#define CN_GF __m512
#define CN_G(op) _mm512_##op
// Truth table of (x & m) | o.
#define CN_GMASK(x, m, o)                                                                             \
	_mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(x), _mm512_set1_epi32((int32_t)(m)), \
	                                              _mm512_set1_epi32((int32_t)(o)), 0xea))
#define CN_GBLOCK(n, i0, i1, i2, i3)                                                                     \
	_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_insertf128_ps(_mm256_castps128_ps256((n)[i0]), (n)[i1], 1)), \
	                   _mm256_insertf128_ps(_mm256_castps128_ps256((n)[i2]), (n)[i3], 1), 1)
#define CN_GSET(x) _mm512_set1_ps(x)
#define CN_GBROADCAST(v) _mm512_broadcast_f32x4(v)
#define CN_GPART(v, i) cn_gpu_part(v, i)

#define CN_KV __m512i
#define CN_KLANES 8
#define CN_KXOR(a, b) _mm512_xor_si512(a, b)
#define CN_KROTL(a, n) _mm512_rol_epi64(a, n)
// Truth table of a ^ (~b & c).
#define CN_KCHI(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xd2)
#define CN_KSET(x) _mm512_set1_epi64((int64_t)(x))

// The extraction needs an immediate.
CN_ISA CN_INLINE __m128 cn_gpu_part(__m512 v, unsigned i) {
	switch (i) {
	case 0:
		return _mm512_castps512_ps128(v);
	case 1:
		return _mm512_extractf32x4_ps(v, 1);
	case 2:
		return _mm512_extractf32x4_ps(v, 2);
	default:
		return _mm512_extractf32x4_ps(v, 3);
	}
}

#include "math_512.h"

#include "kernel.h"

CN_KERNEL(assay_cn_kernel_vaes512)
