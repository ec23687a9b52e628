// The vector words of pads.h for 128-bit registers: one block a vector, whose
// eight chains already fill an AES unit of that width.
#define CN_V __m128i
#define CN_VBLOCKS 1
#define CN_VLOAD(p) _mm_load_si128((const __m128i *)(const void *)(p))
#define CN_VSTORE(p, v) _mm_store_si128((__m128i *)(void *)(p), v)
#define CN_VXOR(a, b) _mm_xor_si128(a, b)
#ifndef CN_VAES
#define CN_VAES(x, key) CN_AESENC(x, key)
#endif
#define CN_VKEY(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define CN_VNEXT(x, y) (y)
#define CN_PADS 1
