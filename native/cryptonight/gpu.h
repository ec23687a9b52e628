// cn/gpu: its explode and its main loop of floats. The implode is pads.h's.
//
//	line at s ─▶ n0 … n3 ─▶ 16 × one(permuted n, constant, vs) ─▶ xors into the line ─▶ next s, vs
//
// The sixteen `one`s of an iteration are independent chains of 32 steps on
// four floats each. Wide vectors run 2 or 4 of them side by side; everything
// is element by element IEEE single precision, so the width cannot change a
// bit. Nothing may be contracted to fused operations: the tree is compiled as
// ISO C, which keeps -ffp-contract off in GCC; CN_ISA never names FMA, but
// AVX-512 brings it along.
//
// The including file defines CN_ISA and, for vectors of CN_GW floats:
//
//	CN_GF               the vector of floats
//	CN_G(op)            the intrinsic of an operation: CN_G(add_ps)
//	CN_GMASK(x, m, o)   bits of x, and m, or o
//	CN_GBLOCK(n, …)     a vector of blocks of the line's four: one argument of the `one`s it holds
//	CN_GSET(x)          x in all elements
//	CN_GBROADCAST(v)    the four floats of v in every block
//	CN_GPART(v, i)      the i-th four floats of v
//
//	CN_KV, CN_KLANES    a vector of 64-bit words for Keccak and its width
//	CN_KXOR, CN_KROTL, CN_KCHI, CN_KSET
#include <emmintrin.h>

#include "final_hash.h"
#include "keccak.h"
#include "spec.h"

enum {
	CN_G_ONES = CN_GW / 4,       // `one`s in a vector
	CN_G_VECTORS = 4 / CN_G_ONES, // vectors of a block's four `one`s
	CN_G_PIECE = 512,            // bytes of scratchpad per Keccak chain
};

// The argument orders of the `one`s of each block, and their constants.
static const uint8_t cn_gpu_order[4][4][4] = {
	{{0, 1, 2, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1}},
	{{1, 0, 2, 3}, {1, 2, 3, 0}, {1, 3, 0, 2}, {1, 3, 2, 0}},
	{{2, 1, 0, 3}, {2, 0, 3, 1}, {2, 3, 1, 0}, {2, 3, 0, 1}},
	{{3, 1, 2, 0}, {3, 2, 0, 1}, {3, 0, 1, 2}, {3, 0, 2, 1}},
};

#define CN_G4(x) x, x, x, x
_Alignas(64) static const float cn_gpu_constant[4][16] = {
	{CN_G4(1.34375f), CN_G4(1.28125f), CN_G4(1.359375f), CN_G4(1.3671875f)},
	{CN_G4(1.4296875f), CN_G4(1.3984375f), CN_G4(1.3828125f), CN_G4(1.3046875f)},
	{CN_G4(1.4140625f), CN_G4(1.2734375f), CN_G4(1.2578125f), CN_G4(1.2890625f)},
	{CN_G4(1.3203125f), CN_G4(1.3515625f), CN_G4(1.3359375f), CN_G4(1.4609375f)},
};

// cn_gpu_chain is one vector of `one`s under way.
typedef struct {
	CN_GF arg[4], rc, cc, num, den, sum;
} cn_gpu_chain;

CN_ISA CN_INLINE void cn_gpu_sub(cn_gpu_chain *c, CN_GF n0, CN_GF n1, CN_GF n2, CN_GF n3) {
	CN_GF p = CN_G(mul_ps)(n0, c->cc);
	p = CN_G(mul_ps)(CN_G(add_ps)(n1, c->cc), CN_G(mul_ps)(p, p));
	p = CN_GMASK(p, 0xfeffffffu, 0x00800000u);
	c->num = CN_G(add_ps)(c->num, p);
	CN_GF q = CN_G(mul_ps)(n2, c->cc);
	q = CN_G(mul_ps)(CN_G(sub_ps)(n3, c->cc), CN_G(mul_ps)(q, q));
	q = CN_GMASK(q, 0xfeffffffu, 0x00800000u);
	c->den = CN_G(add_ps)(c->den, q);
	c->cc = CN_G(add_ps)(CN_G(add_ps)(c->cc, c->rc), CN_GSET(0.734375f));
	c->cc = CN_G(add_ps)(c->cc, CN_GMASK(CN_G(add_ps)(p, q), 0x807fffffu, 0x40000000u));
}

// cn_gpu_round runs count chains side by side; their argument vectors are
// permuted by order, step by step.
CN_ISA CN_INLINE void cn_gpu_round(cn_gpu_chain *c, unsigned count) {
	static const uint8_t order[8][4] = {{0, 1, 2, 3}, {1, 2, 3, 0}, {2, 3, 0, 1}, {3, 0, 1, 2},
	                                    {3, 2, 1, 0}, {2, 1, 0, 3}, {1, 0, 3, 2}, {0, 3, 2, 1}};
#pragma GCC unroll 4
	for (unsigned k = 0; k < count; k++)
		c[k].num = c[k].den = CN_GSET(0.0f);
#pragma GCC unroll 8
	for (unsigned i = 0; i < 8; i++) {
#pragma GCC unroll 4
		for (unsigned k = 0; k < count; k++)
			cn_gpu_sub(&c[k], c[k].arg[order[i][0]], c[k].arg[order[i][1]], c[k].arg[order[i][2]], c[k].arg[order[i][3]]);
	}
#pragma GCC unroll 4
	for (unsigned k = 0; k < count; k++) {
		const CN_GF den = CN_GMASK(c[k].den, 0xff7fffffu, 0x40000000u);
		c[k].sum = CN_G(add_ps)(c[k].sum, CN_G(div_ps)(c[k].num, den));
	}
}

// cn_gpu_rotate rotates right by j bytes: output byte i is input byte (i + j) mod 16.
CN_ISA CN_INLINE __m128i cn_gpu_rotate(__m128i v, unsigned j) {
	switch (j) {
	case 1:
		return _mm_or_si128(_mm_srli_si128(v, 1), _mm_slli_si128(v, 15));
	case 2:
		return _mm_or_si128(_mm_srli_si128(v, 2), _mm_slli_si128(v, 14));
	case 3:
		return _mm_or_si128(_mm_srli_si128(v, 3), _mm_slli_si128(v, 13));
	default:
		return v;
	}
}

// cn_gpu_finish ends the `one`s of one vector, the j-th and following of
// their block: xors the integers into out and writes the floats to sums.
CN_ISA CN_INLINE void cn_gpu_finish(const cn_gpu_chain *c, unsigned j, __m128i *out, __m128 sums[4]) {
	const CN_GF sum = CN_GMASK(c->sum, 0x807fffffu, 0x40000000u);
	const CN_GF scaled = CN_G(mul_ps)(sum, CN_GSET(536870880.0f));
#pragma GCC unroll 4
	for (unsigned i = 0; i < CN_G_ONES; i++) {
		sums[j + i] = CN_GPART(sum, i);
		*out = _mm_xor_si128(*out, cn_gpu_rotate(_mm_cvttps_epi32(CN_GPART(scaled, i)), j + i));
	}
}

CN_ISA CN_INLINE void cn_gpu_iteration(uint8_t *pad, uint32_t *s, __m128 *vs, uint32_t mask) {
	__m128i *const line = (__m128i *)(void *)(pad + (*s & mask));
	__m128 n[4], block_sum[4], sums[4];
	__m128i all = _mm_setzero_si128(), out[4];
	cn_gpu_chain c[4];
	const CN_GF start = CN_GBROADCAST(*vs);
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++)
		n[i] = _mm_cvtepi32_ps(_mm_load_si128(line + i));
	// Four chains at a time: CN_G_VECTORS of each of CN_G_ONES blocks.
#pragma GCC unroll 4
	for (unsigned k = 0; k < 4; k += CN_G_ONES) {
#pragma GCC unroll 4
		for (unsigned v = 0; v < 4; v++) {
			const unsigned b = k + v / CN_G_VECTORS, j = v % CN_G_VECTORS * CN_G_ONES;
#pragma GCC unroll 4
			for (unsigned i = 0; i < 4; i++)
				c[v].arg[i] = CN_GBLOCK(n, cn_gpu_order[b][j][i], cn_gpu_order[b][(j + 1) % 4][i],
				                        cn_gpu_order[b][(j + 2) % 4][i], cn_gpu_order[b][(j + 3) % 4][i]);
			c[v].rc = start;
			c[v].cc = CN_G(load_ps)(&cn_gpu_constant[b][4 * j]);
			c[v].sum = CN_GSET(0.0f);
		}
#pragma GCC unroll 1
		for (unsigned round = 0; round < 4; round++)
			cn_gpu_round(c, 4);
#pragma GCC unroll 4
		for (unsigned v = 0; v < 4; v++) {
			const unsigned b = k + v / CN_G_VECTORS, j = v % CN_G_VECTORS * CN_G_ONES;
			if (j == 0)
				out[b] = _mm_setzero_si128();
			cn_gpu_finish(&c[v], j, &out[b], sums);
			if (j + CN_G_ONES == 4) {
				block_sum[b] = _mm_add_ps(_mm_add_ps(sums[0], sums[1]), _mm_add_ps(sums[2], sums[3]));
				all = _mm_xor_si128(all, out[b]);
			}
		}
	}
#pragma GCC unroll 4
	for (unsigned b = 0; b < 4; b++)
		_mm_store_si128(line + b, _mm_xor_si128(_mm_load_si128(line + b), out[b]));
	__m128 total = _mm_add_ps(_mm_add_ps(block_sum[0], block_sum[1]), _mm_add_ps(block_sum[2], block_sum[3]));
	total = _mm_and_ps(total, _mm_castsi128_ps(_mm_set1_epi32(0x7fffffff)));
	__m128i w = _mm_xor_si128(_mm_cvttps_epi32(_mm_mul_ps(total, _mm_set1_ps(16777216.0f))), all);
	w = _mm_xor_si128(w, _mm_shuffle_epi32(w, 0x4e));
	w = _mm_xor_si128(w, _mm_shuffle_epi32(w, 0xb1));
	*s = (uint32_t)_mm_cvtsi128_si32(w);
	*vs = _mm_div_ps(total, _mm_set1_ps(64.0f));
	_mm_prefetch((const char *)pad + (*s & mask), _MM_HINT_T0);
}

// cn_loop_gpu takes turns between lanes: one lane's tail and load run beside
// the next one's arithmetic.
CN_ISA static void cn_loop_gpu(cn_lane *lanes, uint32_t n, const cn_spec *spec, const assay_cn_code *code) {
	uint32_t s[ASSAY_CN_MAX_WIDTH];
	__m128 vs[ASSAY_CN_MAX_WIDTH];
	(void)code;
	for (uint32_t l = 0; l < n; l++) {
		s[l] = (uint32_t)lanes[l].st[0] >> 8;
		vs[l] = _mm_setzero_ps();
	}
	for (uint32_t i = spec->iterations; i; i--)
#pragma GCC unroll 1
		for (uint32_t l = 0; l < n; l++)
			cn_gpu_iteration(lanes[l].pad, &s[l], &vs[l], spec->mask);
}

// cn_gpu_emit copies the first words of CN_KLANES states to their pieces.
CN_ISA CN_INLINE void cn_gpu_emit(uint8_t *to, const CN_KV st[25], unsigned words) {
	for (unsigned w = 0; w < words; w++) {
		uint64_t lane[CN_KLANES];
		memcpy(lane, &st[w], sizeof lane);
		for (unsigned k = 0; k < CN_KLANES; k++)
			cn_store64(to + k * CN_G_PIECE + 8 * w, lane[k]);
	}
}

CN_ISA __attribute__((noinline)) static void cn_gpu_keccakf(CN_KV st[25]) {
	KECCAK_ROUNDS(CN_KV, st, CN_KXOR, CN_KROTL, CN_KCHI, CN_KSET)
}

// cn_explode_gpu fills CN_KLANES pieces at a time; mem is a multiple of all.
CN_ISA static void cn_explode_gpu(cn_lane *lanes, uint32_t n, const cn_spec *spec) {
	for (uint32_t l = 0; l < n; l++) {
		for (uint32_t i = 0; i < spec->mem / CN_G_PIECE; i += CN_KLANES) {
			uint8_t *const to = lanes[l].pad + (size_t)i * CN_G_PIECE;
			CN_KV st[25];
			uint64_t first[CN_KLANES];
			for (unsigned w = 0; w < 25; w++)
				st[w] = CN_KSET(lanes[l].st[w]);
			for (unsigned k = 0; k < CN_KLANES; k++)
				first[k] = lanes[l].st[0] ^ (i + k);
			memcpy(&st[0], first, sizeof first);
			cn_gpu_keccakf(st);
			cn_gpu_emit(to, st, 20);
			cn_gpu_keccakf(st);
			cn_gpu_emit(to + 160, st, 22);
			cn_gpu_keccakf(st);
			cn_gpu_emit(to + 336, st, 22);
		}
	}
}
