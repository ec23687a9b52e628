// The vector words of gpu.h for 128-bit registers; scalar Keccak.
#define CN_GW 4
#define CN_GF __m128
#define CN_G(op) _mm_##op
#define CN_GMASK(x, m, o)                                                       \
	_mm_or_ps(_mm_and_ps(x, _mm_castsi128_ps(_mm_set1_epi32((int32_t)(m)))), \
	          _mm_castsi128_ps(_mm_set1_epi32((int32_t)(o))))
#define CN_GBLOCK(n, i0, i1, i2, i3) ((n)[i0])
#define CN_GSET(x) _mm_set1_ps(x)
#define CN_GBROADCAST(v) (v)
#define CN_GPART(v, i) (v)

#define CN_KV uint64_t
#define CN_KLANES 1
#define CN_KXOR(a, b) ((a) ^ (b))
#define CN_KROTL(a, n) cn_rotl64(a, n)
#define CN_KCHI(a, b, c) ((a) ^ (~(b) & (c)))
#define CN_KSET(x) (x)
