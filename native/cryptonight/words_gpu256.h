// The vector words of gpu.h for AVX2: two `one`s, four Keccak states.
#define CN_GW 8
#define CN_GF __m256
#define CN_G(op) _mm256_##op
#define CN_GMASK(x, m, o)                                                                \
	_mm256_or_ps(_mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32((int32_t)(m)))), \
	             _mm256_castsi256_ps(_mm256_set1_epi32((int32_t)(o))))
#define CN_GBLOCK(n, i0, i1, i2, i3) _mm256_insertf128_ps(_mm256_castps128_ps256((n)[i0]), (n)[i1], 1)
#define CN_GSET(x) _mm256_set1_ps(x)
#define CN_GBROADCAST(v) _mm256_insertf128_ps(_mm256_castps128_ps256(v), v, 1)
#define CN_GPART(v, i) ((i) ? _mm256_extractf128_ps(v, 1) : _mm256_castps256_ps128(v))

#define CN_KV __m256i
#define CN_KLANES 4
#define CN_KXOR(a, b) _mm256_xor_si256(a, b)
#define CN_KROTL(a, n) _mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - (n)))
#define CN_KCHI(a, b, c) _mm256_xor_si256(a, _mm256_andnot_si256(b, c))
#define CN_KSET(x) _mm256_set1_epi64x((int64_t)(x))
