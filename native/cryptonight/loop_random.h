// The main loop of cn/r and cn/wow: the template of loop.h with the height's
// random program between the stages.
//
//	… stage A of all lanes ─▶ ( program of 8 lanes ─▶ their stage B ─▶ their R4 … R8 ) ─▶ stage A …
//
// The program's inputs are known at the start of an iteration, so it stands
// where the loads of stage B are under way. R4 … R8 are written a stage ahead
// of it: eight narrow stores followed at once by one wide load would stall.
#include "code.h"
#include "loop.h"

// CN_GROUP_LEAST is the lanes from which vector code beats scalar code. Zen 5,
// before a was kept as a vector, cn/r with pads of 512 KiB so that the cache is
// no limit, ms a hash:
//
//	lanes    1     2     3     4     5     8
//	scalar  10.2   8.2   7.9   7.7   7.6   7.4
//	vector  13.3   8.0   6.0   4.9   4.4   3.9      (cn/2: 3.8)
//
// Scalar code is bound by its 70 instructions a lane; the vector code's chain
// of some 60 cycles is paid once for eight lanes.
enum { CN_GROUP_LEAST = 2 };

// cn_vector is eight lanes of one register.
typedef uint32_t cn_vector __attribute__((vector_size(4 * CN_GROUP)));

CN_ISA CN_INLINE void cn_interleave(uint64_t out[CN_GROUP], const cn_vector *lo, const cn_vector *hi) {
	for (unsigned l = 0; l < CN_GROUP; l++)
		out[cn_group_slot(l)] = (*lo)[l] | (uint64_t)(*hi)[l] << 32;
}

// cn_interpret runs a program without compiling it: one decoding serves the
// eight lanes.
CN_ISA CN_INLINE void cn_interpret(const assay_cn_code *code, cn_group *g) {
	cn_vector r[9];
	memcpy(r, g->r, sizeof r);
	const cn_vector sum_lo = r[0] + r[1], sum_hi = r[2] + r[3];
	cn_interleave(g->cl_xor, &sum_lo, &sum_hi);
	for (const cn_instruction *in = code->program, *end = in + code->count; in < end; in++) {
		const cn_vector s = r[in->src];
		cn_vector *const d = &r[in->dst];
		switch (in->op) {
		case CN_MUL:
			*d *= s;
			break;
		case CN_ADD:
			*d += s + in->c;
			break;
		case CN_SUB:
			*d -= s;
			break;
		case CN_ROR:
			*d = *d >> (s & 31) | *d << (-s & 31);
			break;
		case CN_ROL:
			*d = *d << (s & 31) | *d >> (-s & 31);
			break;
		default:
			*d ^= s;
		}
	}
	memcpy(g->r, r, sizeof g->r[0] * 4);
	cn_interleave(g->a_lo_xor, &r[2], &r[3]);
	cn_interleave(g->a_hi_xor, &r[0], &r[1]);
}

// cn_run_lane is one lane of a group in scalar machine code.
CN_ISA CN_INLINE void cn_run_lane(cn_lane_fn run, cn_group *g, unsigned l) {
	const unsigned slot = cn_group_slot(l);
	uint32_t *const r = &g->r[0][l];
	g->cl_xor[slot] = (r[0] + r[CN_GROUP]) | (uint64_t)(r[2 * CN_GROUP] + r[3 * CN_GROUP]) << 32;
	run(r);
	g->a_lo_xor[slot] = r[2 * CN_GROUP] | (uint64_t)r[3 * CN_GROUP] << 32;
	g->a_hi_xor[slot] = r[0] | (uint64_t)r[CN_GROUP] << 32;
}

// cn_run_group runs the program over the first n lanes of a group at least.
CN_ISA CN_INLINE void cn_run_group(const assay_cn_code *code, cn_group *g, uint32_t n) {
	if (CN_VECTOR_CODE && code->run_group && n >= CN_GROUP_LEAST)
		code->run_group(g);
	else if (code->run_lane)
		for (uint32_t l = 0; l < n; l++)
			cn_run_lane(code->run_lane, g, l);
	else
		cn_interpret(code, g);
}

CN_ISA CN_INLINE void cn_random_inputs(cn_group *groups, const cn_regs *r, uint32_t l) {
	cn_group *const g = &groups[l / CN_GROUP];
	const uint32_t e = l % CN_GROUP;
	const uint64_t b1 = (uint64_t)_mm_cvtsi128_si64(r->b1[l]);
	g->r[4][e] = (uint32_t)r->index[l]; // still a's low half: v4 has no stage C
	g->r[5][e] = (uint32_t)cn_high64(r->a[l]);
	g->r[6][e] = (uint32_t)_mm_cvtsi128_si32(r->b0[l]);
	g->r[7][e] = (uint32_t)b1;
	g->r[8][e] = (uint32_t)cn_high64(r->b1[l]);
}

CN_ISA CN_INLINE void cn_loop_random(cn_lane *lanes, uint32_t n, unsigned f, const cn_spec *spec,
                                     const assay_cn_code *code) {
	cn_regs r;
	cn_group groups[ASSAY_CN_MAX_WIDTH / CN_GROUP];
	const uint32_t mask = spec->mask, used = (n + CN_GROUP - 1) / CN_GROUP;
	memset(groups, 0, sizeof groups);
	for (uint32_t l = 0; l < n; l++) {
		const uint64_t *w = lanes[l].st;
		cn_group *const g = &groups[l / CN_GROUP];
		cn_regs_load(&r, &lanes[l], l, f);
		for (unsigned i = 0; i < 4; i++)
			g->r[i][l % CN_GROUP] = (uint32_t)(w[12 + i / 2] >> (32 * (i & 1)));
		cn_random_inputs(groups, &r, l);
	}
	for (uint32_t i = spec->iterations; i; i--) {
#pragma GCC unroll 1
		for (uint32_t l = 0; l < n; l++)
			cn_stage_a(&r, l, f, mask);
#pragma GCC unroll 1
		for (uint32_t k = 0; k < used; k++) {
			cn_group *const g = &groups[k];
			const uint32_t first = k * CN_GROUP, end = n - first < CN_GROUP ? n : first + CN_GROUP;
			cn_run_group(code, g, end - first);
#pragma GCC unroll 1
			for (uint32_t l = first; l < end; l++) {
				const unsigned slot = cn_group_slot(l - first);
				const int both = !(f & CN_F_WOW); // the draft leaves a alone
				cn_stage_b(&r, l, f, mask, g->cl_xor[slot], both ? g->a_lo_xor[slot] : 0, both ? g->a_hi_xor[slot] : 0);
				cn_random_inputs(groups, &r, l);
			}
		}
	}
}
