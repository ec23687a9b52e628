// The random programs of cn/r and cn/wow.
//
//	height ─BLAKE-256 stream─▶ generator ─▶ ≤ 70 instructions ─┬▶ vector code, eight lanes a run (AVX2)
//	                                                            ├▶ scalar code, one lane a run
//	                                                            └▶ interpreter, where no page may be executable
//
// A batch of shares has one height, hence one program: vector code and the
// interpreter run it over eight lanes at once, one vector element a lane.
#ifndef ASSAY_CN_CODE_H
#define ASSAY_CN_CODE_H

#include "assay_cn.h"
#include "cn_common.h"

enum cn_op { CN_MUL, CN_ADD, CN_SUB, CN_ROR, CN_ROL, CN_XOR };

enum {
	CN_PROGRAM_MAX = 70,
	CN_GROUP = 8, // lanes a program runs over at once
};

typedef struct {
	uint8_t op;  // enum cn_op
	uint8_t dst; // R0 … R3
	uint8_t src; // R0 … R8
	uint32_t c;  // added by CN_ADD
} cn_instruction;

// cn_group is the random-math state of eight lanes. Element l of r[i] is
// register Ri of lane l; the results of lane l stand at cn_group_slot(l).
typedef struct {
	_Alignas(64) uint32_t r[9][CN_GROUP];
	_Alignas(64) uint64_t cl_xor[CN_GROUP]; // R0+R1 and R2+R3 before the program
	uint64_t a_lo_xor[CN_GROUP];            // R2 and R3 after it
	uint64_t a_hi_xor[CN_GROUP];            // R0 and R1 after it
} cn_group;

// cn_group_slot is the order in which interleaving the 32-bit halves within
// 128-bit parts of a 256-bit vector leaves the lanes: 0 1 4 5 2 3 6 7.
CN_INLINE unsigned cn_group_slot(unsigned l) { return (l & 1) | (l & 4) >> 1 | (l & 2) << 1; }

// cn_group_fn runs a program over a group and fills in its results.
// cn_lane_fn runs it over one lane: r points at its R0, and Ri follows at
// r[CN_GROUP * i].
typedef void (*cn_group_fn)(cn_group *g);
typedef void (*cn_lane_fn)(uint32_t *r);

struct assay_cn_code {
	uint64_t height;
	uint32_t algo, kernel;
	uint32_t count;
	cn_instruction program[CN_PROGRAM_MAX];
	cn_group_fn run_group; // NULL without AVX2, or where no page may be executable
	cn_lane_fn run_lane;   // NULL where no page may be executable: interpret
	uint64_t mapped;       // bytes of the mapping this struct begins
};

// assay_cn_generate fills in program and count; 0, or −1 if no attempt passed.
CN_HIDDEN int32_t assay_cn_generate(assay_cn_code *code, uint64_t height, int wow);

#endif
