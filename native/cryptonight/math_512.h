// The integer math of v2 for eight lanes at once, with AVX-512.
//
// In scalar code a division and a square root per lane and iteration cost more
// (see CN_V2_LEAST). Nothing needs their results before stage B of the
// next iteration, so they run as vectors after stage B: the lanes' c, stored
// as 16-byte pairs in stage A, has left the store queue by then, and may be
// loaded 64 bytes wide.
#define CN_V2_LANES 8

// cn_v2_quotient is hi / d and hi % d, as the variant packs them. The
// quotient of doubles is less than 2^33.1 with an error of some 2^-19 before
// it is cut, so it is off by one at most, and the remainder tells which way.
CN_ISA CN_INLINE __m512i cn_v2_quotient(__m512i hi, __m512i d) {
	const __m512i one = _mm512_set1_epi64(1);
	__m512i q = _mm512_cvttpd_epu64(_mm512_div_pd(_mm512_cvtepu64_pd(hi), _mm512_cvtepu64_pd(d)));
	__m512i r = _mm512_sub_epi64(hi, _mm512_mullo_epi64(q, d));
	const __mmask8 above = _mm512_movepi64_mask(r);
	q = _mm512_mask_sub_epi64(q, above, q, one);
	r = _mm512_mask_add_epi64(r, above, r, d);
	const __mmask8 below = _mm512_cmpge_epu64_mask(r, d);
	q = _mm512_mask_add_epi64(q, below, q, one);
	r = _mm512_mask_sub_epi64(r, below, r, d);
	return _mm512_or_si512(_mm512_and_si512(q, _mm512_set1_epi64(0xffffffff)), _mm512_slli_epi64(r, 32));
}

// cn_v2_sqrt_lanes is cn_v2_sqrt of each element; see there.
CN_ISA CN_INLINE __m512i cn_v2_sqrt_lanes(__m512i n) {
	const __m512i bias = _mm512_set1_epi64(1023LL << 52), one = _mm512_set1_epi64(1);
	const __m512d x = _mm512_castsi512_pd(_mm512_add_epi64(_mm512_srli_epi64(n, 12), bias));
	const __m512i bits = _mm512_sub_epi64(_mm512_castpd_si512(_mm512_sqrt_pd(x)), bias);
	const __m512i r = _mm512_srli_epi64(_mm512_add_epi64(bits, _mm512_set1_epi64(2)), 19);
	const __m512i s = _mm512_srli_epi64(r, 1), b = _mm512_and_si512(r, one);
	const __m512i square = _mm512_mul_epu32(s, _mm512_add_epi64(s, b));
	const __m512i least = _mm512_add_epi64(_mm512_add_epi64(square, b), _mm512_slli_epi64(r, 32));
	return _mm512_mask_sub_epi64(r, _mm512_cmpgt_epu64_mask(least, n), r, one);
}

// cn_v2_math_lanes divides in eight lanes, advances their root, and leaves what
// both change cl by in the next iteration in cl_xor.
CN_ISA CN_INLINE void cn_v2_math_lanes(const __m128i *c, uint64_t *root, uint64_t *cl_xor) {
	const __m512i first = _mm512_loadu_si512(c), second = _mm512_loadu_si512(c + 4);
	const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
	const __m512i lo = _mm512_permutex2var_epi64(first, even, second), hi = _mm512_permutex2var_epi64(first, odd, second);
	const __m512i old = _mm512_loadu_si512(root);
	const __m512i sum = _mm512_add_epi64(lo, _mm512_slli_epi64(old, 1));
	const __m512i d = _mm512_or_si512(_mm512_and_si512(sum, _mm512_set1_epi64(0xffffffff)), _mm512_set1_epi64(0x80000001));
	const __m512i q = cn_v2_quotient(hi, d);
	const __m512i r = cn_v2_sqrt_lanes(_mm512_add_epi64(lo, q));
	_mm512_storeu_si512(root, r);
	_mm512_storeu_si512(cl_xor, _mm512_xor_si512(q, _mm512_slli_epi64(r, 32)));
}
