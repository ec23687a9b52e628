// The random programs of cn/r and cn/wow.
//
//	height ─BLAKE-256 stream─▶ generator ─▶ ≤ 70 instructions ─▶ compiler ─▶ machine code
//	                                                         └─▶ interpreter (no executable page, no AVX2)
//
// Both run one program over eight lanes of a batch at once, one vector
// element a lane: a batch of shares has one height, hence one program.
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

typedef void (*cn_program_fn)(cn_group *g);

struct assay_cn_code {
	uint64_t height;
	uint32_t algo, kernel;
	uint32_t count;
	cn_instruction program[CN_PROGRAM_MAX];
	cn_program_fn run; // NULL: interpret
	uint64_t mapped;   // bytes of the mapping this struct begins
};

// assay_cn_generate fills in program and count; 0, or −1 if no attempt passed.
CN_HIDDEN int32_t assay_cn_generate(assay_cn_code *code, uint64_t height, int wow);

// assay_cn_compile writes machine code for a program into size bytes at page
// and returns the offset of its entry, 0 if it does not fit. rotates says that the CPU has
// the vector rotations of AVX-512VL.
CN_HIDDEN uint64_t assay_cn_compile(const assay_cn_code *code, int rotates, uint8_t *page, uint64_t size);

#endif
