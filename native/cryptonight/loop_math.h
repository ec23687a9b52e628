// The arithmetic of one iteration: what the variants add to the skeleton.
// The including file sets CN_ISA.
#ifndef ASSAY_CN_LOOP_MATH_H
#define ASSAY_CN_LOOP_MATH_H

#include <emmintrin.h>

#include "aes_soft.h"
#include "spec.h"

// cn_high64 avoids pextrq, which the baseline does not have; with SSE4.1 the
// compiler is free to use it.
CN_ISA CN_INLINE uint64_t cn_high64(__m128i v) {
	return (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v));
}

CN_INLINE void cn_multiply(uint64_t x, uint64_t y, uint64_t *hi, uint64_t *lo) {
	const unsigned __int128 p = (unsigned __int128)x * y;
	*hi = (uint64_t)(p >> 64);
	*lo = (uint64_t)p;
}

// cn_tweak1 changes byte 11 of a stored block, that is byte 3 of its high half.
CN_INLINE uint64_t cn_tweak1(uint64_t high, unsigned f) {
	const uint32_t t = (uint32_t)(high >> 24);
	const uint32_t k = (((t >> (f & CN_F_XTL ? 4 : 3)) & 6) | (t & 1)) << 1;
	return high ^ ((uint64_t)((0x75310u >> k) & 0x30) << 24);
}

// cn_v2_sqrt is floor(2·sqrt(2^64 + n)) − 2^33, exactly.
//
// x = 1 + n/2^64 cut to 52 bits of mantissa is in [1, 2), and the result is
// floor(2^33·(sqrt(x) − 1)): the top 33 bits of the root's mantissa. Cutting n
// loses less than half a unit of the root's last place, and the root itself
// less than one in any rounding mode; so with two units added the candidate is
// the true value or one above it. r is too high iff (r + 2^33)^2 > 4(2^64 + n),
// which with r = 2s + b is s(s + b) + b + 2^32·r > n. The largest candidate
// is 3558067407 for n = 2^64 − 1, whose left side still fits 64 bits.
CN_ISA CN_INLINE uint64_t cn_v2_sqrt(uint64_t n) {
	const __m128i x = _mm_cvtsi64_si128((int64_t)((n >> 12) + (1023ULL << 52)));
	const __m128d root = _mm_sqrt_sd(_mm_setzero_pd(), _mm_castsi128_pd(x));
	const uint64_t bits = (uint64_t)_mm_cvtsi128_si64(_mm_castpd_si128(root)) - (1023ULL << 52);
	const uint64_t r = (bits + 2) >> 19, s = r >> 1, b = r & 1;
	return r - (s * (s + b) + b + (r << 32) > n);
}

// cn_v2_math: d is at least 2^31, so the quotient has at most 33 bits, of
// which the low 32 count.
CN_ISA CN_INLINE void cn_v2_math(uint64_t c_lo, uint64_t c_hi, uint64_t *division, uint64_t *root) {
	const uint32_t d = (uint32_t)(c_lo + (*root << 1)) | 0x80000001u;
	*division = (uint32_t)(c_hi / d) | (c_hi % d) << 32;
	*root = cn_v2_sqrt(c_lo + *division);
}

// cn_heavy_divide returns the next index. d | 5 is never 0; −1 is handled
// apart, because INT64_MIN / −1 traps on x86 and C leaves it undefined.
CN_INLINE uint64_t cn_heavy_divide(uint8_t *p, unsigned f) {
	const int64_t n = (int64_t)cn_load64(p);
	int64_t d = (int32_t)cn_load32(p + 8);
	const int64_t divisor = d | 5;
	const uint64_t q = divisor == -1 ? -(uint64_t)n : (uint64_t)(n / divisor);
	cn_store64(p, (uint64_t)n ^ q);
	if (f & CN_F_XHV)
		d = ~d;
	return (uint64_t)d ^ q;
}

// cn_ccx_tweak is Conceal's: four IEEE singles, rounded to nearest, never
// contracted to fused operations.
CN_ISA CN_INLINE __m128i cn_ccx_tweak(__m128i c, __m128 *v) {
	const __m128 keep = _mm_castsi128_ps(_mm_set1_epi32((int32_t)0x807fffff));
	const __m128 two = _mm_castsi128_ps(_mm_set1_epi32(0x40000000));
	__m128 r = _mm_add_ps(_mm_cvtepi32_ps(c), *v);
	r = _mm_mul_ps(r, _mm_mul_ps(r, r));
	r = _mm_or_ps(_mm_and_ps(r, keep), two);
	const __m128 old = _mm_or_ps(_mm_and_ps(*v, keep), two);
	*v = _mm_add_ps(*v, r);
	return _mm_xor_si128(c, _mm_cvttps_epi32(_mm_mul_ps(old, _mm_set1_ps(536870880.0f))));
}

// cn_tube_round is BitTube's AES round: later columns see the changed bytes
// of earlier ones, so AESENC cannot do it.
CN_ISA CN_INLINE __m128i cn_tube_round(__m128i block, __m128i key) {
	const __m128i inverted = _mm_xor_si128(block, _mm_set1_epi32(-1));
	const uint64_t x_lo = (uint64_t)_mm_cvtsi128_si64(inverted), x_hi = cn_high64(inverted);
	const uint64_t k_lo = (uint64_t)_mm_cvtsi128_si64(key), k_hi = cn_high64(key);
	uint32_t x[4] = {(uint32_t)x_lo, (uint32_t)(x_lo >> 32), (uint32_t)x_hi, (uint32_t)(x_hi >> 32)};
	uint32_t k[4] = {(uint32_t)k_lo, (uint32_t)(k_lo >> 32), (uint32_t)k_hi, (uint32_t)(k_hi >> 32)};
#pragma GCC unroll 4
	for (unsigned q = 0; q < 4; q++) {
		k[q] ^= assay_cn_aes_t[0][x[q] & 0xff] ^ assay_cn_aes_t[1][(x[(q + 1) % 4] >> 8) & 0xff] ^
		        assay_cn_aes_t[2][(x[(q + 2) % 4] >> 16) & 0xff] ^ assay_cn_aes_t[3][x[(q + 3) % 4] >> 24];
		x[q] ^= k[q];
	}
	return _mm_set_epi32((int32_t)k[3], (int32_t)k[2], (int32_t)k[1], (int32_t)k[0]);
}

// cn_aesenc_soft is one full AES encryption round, as AESENC does it.
CN_ISA CN_INLINE __m128i cn_aesenc_soft(__m128i block, __m128i key) {
	const uint64_t lo = (uint64_t)_mm_cvtsi128_si64(block), hi = cn_high64(block);
	const uint32_t x[4] = {(uint32_t)lo, (uint32_t)(lo >> 32), (uint32_t)hi, (uint32_t)(hi >> 32)};
	uint32_t y[4];
#pragma GCC unroll 4
	for (unsigned q = 0; q < 4; q++)
		y[q] = assay_cn_aes_t[0][x[q] & 0xff] ^ assay_cn_aes_t[1][(x[(q + 1) % 4] >> 8) & 0xff] ^
		       assay_cn_aes_t[2][(x[(q + 2) % 4] >> 16) & 0xff] ^ assay_cn_aes_t[3][x[(q + 3) % 4] >> 24];
	return _mm_xor_si128(key, _mm_set_epi32((int32_t)y[3], (int32_t)y[2], (int32_t)y[1], (int32_t)y[0]));
}

#endif
