// The vector math of v2 against the scalar one, where the CPU has AVX-512.
#include <immintrin.h>

#include "../spec.h"
#include "check.h"

#define CN_ISA CN_TARGET("avx2,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
#include "../loop_math.h"
#include "../math_512.h"

// edge_input is a lane's c and root for one of the places where a quotient or
// a root cut from a double could be off by one.
static void edge_input(unsigned kind, uint64_t random, uint64_t c[2], uint64_t *root) {
	const uint64_t least = 0x80000001;
	const uint64_t r = random % 3558067408ULL;
	const unsigned __int128 v = (unsigned __int128)r + (1ULL << 33);
	*root = 0;
	switch (kind) {
	case 0: // the least n with root r, and its neighbours
		c[0] = (uint64_t)((v * v + 3) / 4) + random % 5 - 2;
		c[1] = 0;
		break;
	case 1: // no remainder, by the least divisor
		c[0] = 0;
		c[1] = least * (random >> 32);
		break;
	case 2: // the largest remainder
		c[0] = 0;
		c[1] = least * (random >> 32) + least - 1;
		break;
	case 3: // quotients of 33 bits
		c[0] = random << 32;
		c[1] = ~0ULL - (random >> 60);
		break;
	case 4: // the largest divisor
		c[0] = 0xffffffff;
		c[1] = 0xffffffffULL * (random >> 32) + (random & 1 ? 0xfffffffe : 0);
		break;
	default:
		c[0] = random;
		c[1] = random * 0x9e3779b97f4a7c15ULL;
		*root = random >> 31;
	}
}

CN_ISA void check_lanes(void) {
	enum { KINDS = 6 };
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
		return;
	const unsigned saved = _mm_getcsr();
	for (unsigned mode = 0; mode < 4; mode++) {
		uint64_t random = 88172645463325252u, wrong = 0;
		for (unsigned i = 0; i < 20000; i++) {
			uint64_t c[CN_V2_LANES][2], root[CN_V2_LANES], cl_xor[CN_V2_LANES];
			uint64_t want_root[CN_V2_LANES], want_xor[CN_V2_LANES];
			for (unsigned l = 0; l < CN_V2_LANES; l++) {
				random = random * 6364136223846793005ULL + 1442695040888963407ULL;
				edge_input((i + l) % KINDS, random, c[l], &root[l]);
				uint64_t division = 0;
				want_root[l] = root[l];
				cn_v2_math(c[l][0], c[l][1], &division, &want_root[l]);
				want_xor[l] = division ^ want_root[l] << 32;
			}
			_mm_setcsr(0x1f80 | mode << 13);
			cn_v2_math_lanes((const __m128i *)(const void *)c, root, cl_xor);
			_mm_setcsr(saved);
			for (unsigned l = 0; l < CN_V2_LANES; l++)
				wrong += root[l] != want_root[l] || cl_xor[l] != want_xor[l];
		}
		CHECK(wrong == 0, "v2 math in lanes: %llu wrong in rounding mode %u", (unsigned long long)wrong, mode);
	}
}
