// The main loop of every variant but cn/gpu: one template, specialised by the
// compiler for (flags, lanes, instruction set).
//
// One iteration runs in stages, each over all lanes before the next (or, where
// lanes are taken together between two stages, over a group of them):
//
//	A  load at index ─▶ AES ─▶ shuffle 1 ─▶ store ─▶ next index
//	B  load at index ─▶ integer math ─▶ multiply ─▶ shuffle 2 ─▶ store ─▶ next index
//	C  (heavy) load at index ─▶ divide ─▶ store ─▶ next index
//
// A lane's chain is one long dependency with a cache miss in every stage.
// Running a stage over all lanes puts N independent misses next to each
// other, so the out-of-order window overlaps them.
//
// The including file defines CN_ISA (target attribute) and CN_AESENC(x, key),
// and may bring math_512.h.
#include "loop_math.h"
#include "spec.h"

// CN_F_LANES: the integer math of v2 runs as vectors, outside the stages.
// CN_F_FAR: prefetches go to L2 only.
#define CN_F_LANES (1u << 31)
#define CN_F_FAR (1u << 30)

// CN_F_LINE is either of the two that change the other blocks of a line too.
#define CN_F_LINE (CN_F_V2 | CN_F_V4)

// CN_V2_LEAST is the lanes from which CN_F_LANES pays. With fewer, the latency
// of the vectors shows (Zen 4, cn-pico, ms a hash, vectors against scalar code:
// ×4 0.78 and 0.64, ×6 the same within the noise, ×7 0.57 and 0.62, ×8 0.54
// and 0.61).
enum { CN_V2_LEAST = 7 };

// cn_regs are the registers of a batch, one array entry a lane. They live in
// L1: the prefetch of a lane's next block leaves from the register that holds
// the fresh index, so the array's latency hides behind the miss.
typedef struct {
	uint8_t *pad[ASSAY_CN_MAX_WIDTH];
	uint64_t a_lo[ASSAY_CN_MAX_WIDTH], a_hi[ASSAY_CN_MAX_WIDTH];
	uint64_t index[ASSAY_CN_MAX_WIDTH], c_hi[ASSAY_CN_MAX_WIDTH];
	uint64_t tweak[ASSAY_CN_MAX_WIDTH];
	uint64_t cl_xor[ASSAY_CN_MAX_WIDTH];
	uint64_t division[ASSAY_CN_MAX_WIDTH], root[ASSAY_CN_MAX_WIDTH];
	__m128i b0[ASSAY_CN_MAX_WIDTH], b1[ASSAY_CN_MAX_WIDTH], c[ASSAY_CN_MAX_WIDTH];
	__m128 floats[ASSAY_CN_MAX_WIDTH];
	__m128i a[ASSAY_CN_MAX_WIDTH]; // with CN_F_LINE, instead of a_lo and a_hi
} cn_regs;

// CN_FAR_LEAST is the lanes from which prefetches go to L2 only. Wide batches
// are for machines whose L3 others use up, so that nearly every access goes to
// memory: then the misses under way at once decide. A core tracks 24 of them
// for its L1 (Zen 2 to 5) and more for its L2. Zen 4 with some 3 MiB of L3
// left, ms a hash of cn/1: ×24 8.4 to L1, 8.9 to L2; ×32 10.1 and 7.3; ×48
// 10.9 and 5.7; ×64 11.4 and 4.9. Narrow batches want the line in L1.
enum { CN_FAR_LEAST = 25 };

// cn_fetch starts the load of a lane's next block.
CN_ISA CN_INLINE void cn_fetch(const uint8_t *p, unsigned f) {
	if (f & CN_F_FAR)
		_mm_prefetch((const char *)p, _MM_HINT_T1);
	else
		_mm_prefetch((const char *)p, _MM_HINT_T0);
}

#define CN_LOAD(p) _mm_load_si128((const __m128i *)(const void *)(p))
#define CN_STORE(p, v) _mm_store_si128((__m128i *)(void *)(p), v)

// cn_set_a and cn_a write and read a lane's a. From halves, gcc 12 makes the
// vector with two 16-byte loads that take the next lane's halves along, and a
// load wider than the store before it waits until that is in the cache. One
// lane of cn/2 waited so for 40 % of the time (Zen 4, within L2: 15.6 ms a
// hash, kept as a vector 9.6). The other variants gained nothing by a vector,
// and in eight lanes lost (cn/1: 2.2 ms as halves, 2.6 as a vector).
CN_ISA CN_INLINE void cn_set_a(cn_regs *r, unsigned l, unsigned f, uint64_t lo, uint64_t hi) {
	if (f & CN_F_LINE) {
		r->a[l] = _mm_set_epi64x((int64_t)hi, (int64_t)lo);
	} else {
		r->a_lo[l] = lo;
		r->a_hi[l] = hi;
	}
}

CN_ISA CN_INLINE __m128i cn_a(const cn_regs *r, unsigned l, unsigned f) {
	return f & CN_F_LINE ? r->a[l] : _mm_set_epi64x((int64_t)r->a_hi[l], (int64_t)r->a_lo[l]);
}

// cn_a_half loads the low or the high half: cheaper than moving both over from
// a vector register (cn/2 within L2, 8 lanes: 4.1 ms instead of 4.5).
CN_ISA CN_INLINE uint64_t cn_a_half(const cn_regs *r, unsigned l, unsigned f, unsigned high) {
	if (f & CN_F_LINE)
		return cn_load64((const uint8_t *)&r->a[l] + 8 * high);
	return high ? r->a_hi[l] : r->a_lo[l];
}

CN_ISA CN_INLINE void cn_stage_a(cn_regs *r, unsigned l, unsigned f, uint32_t mask) {
	uint8_t *const pad = r->pad[l];
	const uint32_t j = (uint32_t)r->index[l] & mask;
	const __m128i a = cn_a(r, l, f);
	__m128i c = CN_LOAD(pad + j);
	if (f & CN_F_CCX)
		c = cn_ccx_tweak(c, &r->floats[l]);
	c = f & CN_F_TUBE ? cn_tube_round(c, a) : CN_AESENC(c, a);
	if (f & CN_F_LINE) {
		const __m128i A = CN_LOAD(pad + (j ^ 0x10)), B = CN_LOAD(pad + (j ^ 0x20)), C = CN_LOAD(pad + (j ^ 0x30));
		CN_STORE(pad + (j ^ 0x10), _mm_add_epi64(f & CN_F_REVERSED ? A : C, r->b1[l]));
		CN_STORE(pad + (j ^ 0x20), _mm_add_epi64(f & CN_F_REVERSED ? C : A, r->b0[l]));
		CN_STORE(pad + (j ^ 0x30), _mm_add_epi64(B, a));
		if ((f & (CN_F_V4 | CN_F_WOW)) == CN_F_V4)
			c = _mm_xor_si128(_mm_xor_si128(c, A), _mm_xor_si128(B, C));
	}
	const __m128i stored = _mm_xor_si128(r->b0[l], c);
	if (f & CN_F_V1) {
		_mm_storel_epi64((__m128i *)(void *)(pad + j), stored);
		cn_store64(pad + j + 8, cn_tweak1(cn_high64(stored), f));
	} else {
		CN_STORE(pad + j, stored);
	}
	r->c[l] = c;
	r->index[l] = (uint64_t)_mm_cvtsi128_si64(c);
	if ((f & CN_F_V2) && !(f & CN_F_LANES))
		r->c_hi[l] = cn_high64(c);
	cn_fetch(pad + (r->index[l] & mask), f);
}

// cn_stage_b is the second half of a lane's iteration. cl_xor and (a_lo_xor,
// a_hi_xor) are what the random program of v4, or the math of v2 as vectors,
// has left for this lane; 0 elsewhere.
CN_ISA CN_INLINE void cn_stage_b(cn_regs *r, unsigned l, unsigned f, uint32_t mask,
                                 uint64_t cl_xor, uint64_t a_lo_xor, uint64_t a_hi_xor) {
	uint8_t *const pad = r->pad[l];
	const uint32_t j = (uint32_t)r->index[l] & mask;
	uint64_t cl = cn_load64(pad + j), hi, lo;
	const uint64_t ch = cn_load64(pad + j + 8);
	if ((f & CN_F_V2) && !(f & CN_F_LANES)) {
		cl ^= r->division[l] ^ (r->root[l] << 32);
		cn_v2_math(r->index[l], r->c_hi[l], &r->division[l], &r->root[l]);
	}
	cl ^= cl_xor;
	cn_multiply(r->index[l], cl, &hi, &lo);
	if (f & CN_F_LINE) {
		__m128i A = CN_LOAD(pad + (j ^ 0x10));
		const __m128i B = CN_LOAD(pad + (j ^ 0x20)), C = CN_LOAD(pad + (j ^ 0x30));
		if ((f & (CN_F_V4 | CN_F_WOW)) == CN_F_V4) {
			r->c[l] = _mm_xor_si128(_mm_xor_si128(r->c[l], A), _mm_xor_si128(B, C));
		} else {
			A = _mm_xor_si128(A, _mm_set_epi64x((int64_t)lo, (int64_t)hi));
			hi ^= (uint64_t)_mm_cvtsi128_si64(B);
			lo ^= cn_high64(B);
		}
		CN_STORE(pad + (j ^ 0x10), _mm_add_epi64(f & CN_F_REVERSED ? A : C, r->b1[l]));
		CN_STORE(pad + (j ^ 0x20), _mm_add_epi64(f & CN_F_REVERSED ? C : A, r->b0[l]));
		CN_STORE(pad + (j ^ 0x30), _mm_add_epi64(B, r->a[l]));
		r->b1[l] = r->b0[l];
	}
	const uint64_t a_lo = (cn_a_half(r, l, f, 0) ^ a_lo_xor) + hi, a_hi = (cn_a_half(r, l, f, 1) ^ a_hi_xor) + lo;
	uint64_t stored_hi = a_hi;
	if (f & CN_F_V1)
		stored_hi ^= r->tweak[l];
	if (f & CN_F_RTO)
		stored_hi ^= a_lo;
	cn_store64(pad + j, a_lo);
	cn_store64(pad + j + 8, stored_hi);
	r->index[l] = a_lo ^ cl;
	cn_set_a(r, l, f, r->index[l], a_hi ^ ch);
	r->b0[l] = r->c[l];
	cn_fetch(pad + (r->index[l] & mask), f);
}

CN_ISA CN_INLINE void cn_stage_c(cn_regs *r, unsigned l, unsigned f, uint32_t mask) {
	uint8_t *const p = r->pad[l] + (r->index[l] & mask);
	r->index[l] = cn_heavy_divide(p, f);
	cn_fetch(r->pad[l] + (r->index[l] & mask), f);
}

CN_ISA CN_INLINE void cn_regs_load(cn_regs *r, const cn_lane *lane, unsigned l, unsigned f) {
	const uint64_t *w = lane->st;
	r->pad[l] = lane->pad;
	r->tweak[l] = lane->tweak;
	r->index[l] = w[0] ^ w[4];
	cn_set_a(r, l, f, r->index[l], w[1] ^ w[5]);
	r->b0[l] = _mm_set_epi64x((int64_t)(w[3] ^ w[7]), (int64_t)(w[2] ^ w[6]));
	if (f & CN_F_LINE) {
		r->b1[l] = _mm_set_epi64x((int64_t)(w[9] ^ w[11]), (int64_t)(w[8] ^ w[10]));
		r->division[l] = w[12];
		r->root[l] = w[13];
	}
	if (f & CN_F_CCX)
		r->floats[l] = _mm_setzero_ps();
}

#ifdef CN_V2_LANES
// cn_loop_lanes is the loop of v2 with its integer math as vectors.
CN_ISA CN_INLINE void cn_loop_lanes(cn_regs *r, uint32_t n, unsigned f, const cn_spec *spec) {
	const uint32_t mask = spec->mask;
	for (uint32_t l = 0; l < n; l++)
		r->cl_xor[l] = r->division[l] ^ r->root[l] << 32;
	// Lanes that are not there compute nothing of use, but compute.
	for (uint32_t l = n; l < ASSAY_CN_MAX_WIDTH; l++) {
		r->c[l] = _mm_setzero_si128();
		r->root[l] = 0;
	}
	for (uint32_t i = spec->iterations; i; i--) {
#pragma GCC unroll 1
		for (uint32_t l = 0; l < n; l++)
			cn_stage_a(r, l, f | CN_F_LANES, mask);
#pragma GCC unroll 1
		for (uint32_t g = 0; g < n; g += CN_V2_LANES) {
			const uint32_t end = n - g < CN_V2_LANES ? n : g + CN_V2_LANES;
#pragma GCC unroll 1
			for (uint32_t l = g; l < end; l++)
				cn_stage_b(r, l, f | CN_F_LANES, mask, r->cl_xor[l], 0, 0);
			cn_v2_math_lanes(&r->c[g], &r->root[g], &r->cl_xor[g]);
		}
	}
}
#endif

// cn_loop runs n lanes in lockstep; f is a constant at every call.
//
// n is not: loops over the lanes that the compiler may not unroll are as fast
// as copies unrolled for 2, 4, 8 and 16 lanes (measured on Zen 5, cn/1 and
// cn/2: equal or up to 10 % better, the branches being predicted and the code
// fitting the op cache), and they run any width, so a batch of 7 costs 7. A copy
// for one lane, its registers no array, would take 5 to 10 % less (Zen 4).
CN_ISA CN_INLINE void cn_loop(cn_lane *lanes, uint32_t n, unsigned f, const cn_spec *spec) {
	cn_regs r;
	const uint32_t mask = spec->mask;
	for (uint32_t l = 0; l < n; l++)
		cn_regs_load(&r, &lanes[l], l, f);
#ifdef CN_V2_LANES
	if ((f & CN_F_V2) && n >= CN_V2_LEAST) {
		cn_loop_lanes(&r, n, f, spec);
		return;
	}
#endif
	for (uint32_t i = spec->iterations; i; i--) {
#pragma GCC unroll 1
		for (uint32_t l = 0; l < n; l++)
			cn_stage_a(&r, l, f, mask);
#pragma GCC unroll 1
		for (uint32_t l = 0; l < n; l++)
			cn_stage_b(&r, l, f, mask, 0, 0, 0);
		if (f & CN_F_HEAVY) {
#pragma GCC unroll 1
			for (uint32_t l = 0; l < n; l++)
				cn_stage_c(&r, l, f, mask);
		}
	}
}
