// A variant of CryptoNight as data, and what a batch works on.
#ifndef ASSAY_CN_SPEC_H
#define ASSAY_CN_SPEC_H

#include "assay_cn.h"
#include "cn_common.h"

// What a main loop does beyond the common skeleton. A set of these names a
// loop; the compiler specialises the one template for each set in CN_LOOPS.
enum {
	CN_F_V1 = 1 << 0,       // tweaks of the stored bytes; 43 bytes of input at least
	CN_F_XTL = 1 << 1,      // the other bit index in tweak 1
	CN_F_RTO = 1 << 2,      // the second store also xors a.lo into its high half
	CN_F_V2 = 1 << 3,       // shuffles, division and square root
	CN_F_REVERSED = 1 << 4, // the shuffles' neighbours in the other order
	CN_F_V4 = 1 << 5,       // shuffles, random math of the block height
	CN_F_WOW = 1 << 6,      // the draft of v4
	CN_F_CCX = 1 << 7,      // float tweak before the AES round
	CN_F_HEAVY = 1 << 8,    // mixed pads, signed division
	CN_F_XHV = 1 << 9,      // heavy with the divisor inverted
	CN_F_TUBE = 1 << 10,    // the modified AES round
	CN_F_GPU = 1 << 11,     // cn/gpu: everything but the implode is its own
};

// CN_LOOPS lists every main loop built on the template: name and flags.
#define CN_LOOPS(X)                                      \
	X(v0, 0)                                             \
	X(ccx, CN_F_CCX)                                     \
	X(heavy, CN_F_HEAVY)                                 \
	X(xhv, CN_F_HEAVY | CN_F_XHV)                        \
	X(tube, CN_F_HEAVY | CN_F_V1 | CN_F_RTO | CN_F_TUBE) \
	X(v1, CN_F_V1)                                       \
	X(xtl, CN_F_V1 | CN_F_XTL)                           \
	X(rto, CN_F_V1 | CN_F_RTO)                           \
	X(v2, CN_F_V2)                                       \
	X(v2r, CN_F_V2 | CN_F_REVERSED)                      \
	CN_RANDOM_LOOPS(X)

// CN_RANDOM_LOOPS are those that run a height's random program.
#define CN_RANDOM_LOOPS(X) \
	X(v4, CN_F_V4)         \
	X(wow, CN_F_V4 | CN_F_WOW)

enum cn_loop_id {
#define CN_LOOP_ID(name, flags) CN_LOOP_##name,
	CN_LOOPS(CN_LOOP_ID)
#undef CN_LOOP_ID
	CN_LOOP_gpu,
	CN_LOOP_COUNT,
};

typedef struct {
	const char *name;    // as in a job's "algo"
	uint32_t mem;        // scratchpad bytes the specification fills
	uint32_t pad;        // scratchpad bytes we keep: less where the loop never looks
	uint32_t iterations; // of the main loop
	uint32_t mask;       // byte offset of an access: index & mask
	uint32_t flags;      // CN_F_…
	uint32_t loop;       // enum cn_loop_id
} cn_spec;

// assay_cn_specs is indexed by ASSAY_CN_… minus one.
CN_HIDDEN extern const cn_spec assay_cn_specs[ASSAY_CN_ALGOS];

// cn_lane is one hash of a batch.
typedef struct {
	// The Keccak state, 25 words, in whole cache lines.
	_Alignas(64) uint64_t st[32];
	uint8_t *pad;   // spec->pad bytes, 64-byte aligned
	uint64_t tweak; // v1
	// The explode chain where it stopped, for a pad shorter than mem.
	_Alignas(64) uint8_t tail[128];
} cn_lane;

// cn_kernel is one instruction-set path: a table of functions.
typedef struct {
	void (*explode)(cn_lane *lanes, uint32_t n, const cn_spec *spec);
	void (*explode_gpu)(cn_lane *lanes, uint32_t n, const cn_spec *spec);
	void (*implode)(cn_lane *lanes, uint32_t n, const cn_spec *spec);
	// The main loops run n lanes in lockstep, 1 ≤ n ≤ ASSAY_CN_MAX_WIDTH.
	void (*loop[CN_LOOP_COUNT])(cn_lane *lanes, uint32_t n, const cn_spec *spec, const assay_cn_code *code);
} cn_kernel;

CN_HIDDEN extern const cn_kernel assay_cn_kernel_portable, assay_cn_kernel_aesni, assay_cn_kernel_avx2,
	assay_cn_kernel_vaes256, assay_cn_kernel_vaes512;

#endif
