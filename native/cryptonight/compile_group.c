//go:build amd64

// The compiler of CN/R's programs for a group: one AVX2 instruction, or a few,
// for each instruction of the program, over eight lanes.
//
// A program is a chain of 45 cycles at best, whatever runs it; as vector code
// that latency serves eight lanes, as scalar code one. Its inputs are known
// before the iteration's loads, so the out-of-order window also hides it
// behind the scratchpad misses.
//
//	rdi = cn_group *
//	ymm0 … ymm8 = R0 … R8     ymm9, ymm10 = scratch
//	ymm14 = 31 in every element     ymm15 = 32 in every element
#include "compile.h"

enum { MAP_0F = 1, MAP_0F38 = 2 };

// A VEX instruction of 256 bits with the 0x66 prefix, W = 0.
static void vex(cn_writer *w, unsigned map, uint8_t opcode, unsigned reg, unsigned vvvv, unsigned rm) {
	cn_put(w, 0xc4);
	cn_put(w, (uint8_t)((~reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | map));
	cn_put(w, (uint8_t)((~vvvv & 15) << 3 | 0x04 | 0x01));
	cn_put(w, opcode);
}

static void vex_reg(cn_writer *w, unsigned map, uint8_t opcode, unsigned dst, unsigned a, unsigned b) {
	vex(w, map, opcode, dst, a, b);
	cn_put(w, (uint8_t)(0xc0 | (dst & 7) << 3 | (b & 7)));
}

// [rdi + disp]
static void vex_group(cn_writer *w, unsigned map, uint8_t opcode, unsigned reg, uint64_t disp) {
	vex(w, map, opcode, reg, 0, 0);
	cn_put(w, (uint8_t)(0x80 | (reg & 7) << 3 | 7));
	cn_put32(w, (uint32_t)disp);
}

// vpbroadcastd reg, [rip + …] of the 32-bit constant at offset from the page's start.
static void broadcast(cn_writer *w, unsigned reg, uint64_t offset) {
	vex(w, MAP_0F38, 0x58, reg, 0, 0);
	cn_put(w, (uint8_t)((reg & 7) << 3 | 5));
	cn_put32(w, (uint32_t)(offset - (w->at + 4)));
}

// The EVEX form of vprorvd (0x14) and vprolvd (0x15), 256 bits, registers 0 … 15.
static void rotate(cn_writer *w, uint8_t opcode, unsigned dst, unsigned a, unsigned count) {
	cn_put(w, 0x62);
	cn_put(w, (uint8_t)((~dst & 8) << 4 | 0x40 | (~count & 8) << 2 | 0x10 | MAP_0F38));
	cn_put(w, (uint8_t)((~a & 15) << 3 | 0x04 | 0x01));
	cn_put(w, 0x28);
	cn_put(w, opcode);
	cn_put(w, (uint8_t)(0xc0 | (dst & 7) << 3 | (count & 7)));
}

enum {
	VPADDD = 0xfe,
	VPSUBD = 0xfa,
	VPXOR = 0xef,
	VPAND = 0xdb,
	VPOR = 0xeb,
	VPUNPCKLDQ = 0x62,
	VPUNPCKHDQ = 0x6a,
	VMOVDQA_LOAD = 0x6f,
	VMOVDQA_STORE = 0x7f,
	VPMULLD = 0x40, // map 0F38, as are the next two
	VPSRLVD = 0x45,
	VPSLLVD = 0x47,
	T0 = 9,
	T1 = 10,
	C31 = 14,
	C32 = 15,
};

// interleave stores a and b as 64-bit values a | b << 32 in cn_group_slot order.
static void interleave(cn_writer *w, unsigned a, unsigned b, uint64_t to) {
	vex_reg(w, MAP_0F, VPUNPCKLDQ, 11, a, b);
	vex_reg(w, MAP_0F, VPUNPCKHDQ, 12, a, b);
	vex_group(w, MAP_0F, VMOVDQA_STORE, 11, to);
	vex_group(w, MAP_0F, VMOVDQA_STORE, 12, to + 32);
}

static void instruction(cn_writer *w, const cn_instruction *in, int rotates, uint64_t constant) {
	const unsigned d = in->dst, s = in->src;
	const int right = in->op == CN_ROR;
	switch (in->op) {
	case CN_MUL:
		vex_reg(w, MAP_0F38, VPMULLD, d, d, s);
		break;
	case CN_ADD: // the constant joins the source, which is ready no later than dst matters
		broadcast(w, T0, constant);
		vex_reg(w, MAP_0F, VPADDD, T0, T0, s);
		vex_reg(w, MAP_0F, VPADDD, d, d, T0);
		break;
	case CN_SUB:
		vex_reg(w, MAP_0F, VPSUBD, d, d, s);
		break;
	case CN_XOR:
		vex_reg(w, MAP_0F, VPXOR, d, d, s);
		break;
	default:
		if (rotates) {
			rotate(w, right ? 0x14 : 0x15, d, d, s);
			break;
		}
		// Variable shifts by 32 give 0, so an amount of 0 needs no care.
		vex_reg(w, MAP_0F, VPAND, T0, C31, s);
		vex_reg(w, MAP_0F, VPSUBD, T1, C32, T0);
		vex_reg(w, MAP_0F38, right ? VPSRLVD : VPSLLVD, T0, d, T0);
		vex_reg(w, MAP_0F38, right ? VPSLLVD : VPSRLVD, T1, d, T1);
		vex_reg(w, MAP_0F, VPOR, d, T0, T1);
	}
}

uint64_t assay_cn_compile_group(const assay_cn_code *code, int rotates, cn_writer *w) {
	// Constants first: one per instruction, then 31 and 32.
	const uint64_t constants = w->at;
	for (unsigned i = 0; i < CN_PROGRAM_MAX; i++)
		cn_put32(w, i < code->count ? code->program[i].c : 0);
	cn_put32(w, 31);
	cn_put32(w, 32);
	cn_align(w, 64);

	const uint64_t entry = w->at;
	cn_put32(w, 0xfa1e0ff3); // endbr64: a target of indirect calls
	for (unsigned i = 0; i < 9; i++)
		vex_group(w, MAP_0F, VMOVDQA_LOAD, i, offsetof(cn_group, r) + 32 * i);
	broadcast(w, C31, constants + 4 * CN_PROGRAM_MAX);
	broadcast(w, C32, constants + 4 * CN_PROGRAM_MAX + 4);
	vex_reg(w, MAP_0F, VPADDD, T0, 0, 1);
	vex_reg(w, MAP_0F, VPADDD, T1, 2, 3);
	interleave(w, T0, T1, offsetof(cn_group, cl_xor));
	for (unsigned i = 0; i < code->count; i++)
		instruction(w, &code->program[i], rotates, constants + 4 * i);
	for (unsigned i = 0; i < 4; i++)
		vex_group(w, MAP_0F, VMOVDQA_STORE, i, offsetof(cn_group, r) + 32 * i);
	interleave(w, 2, 3, offsetof(cn_group, a_lo_xor));
	interleave(w, 0, 1, offsetof(cn_group, a_hi_xor));
	cn_put(w, 0xc5), cn_put(w, 0xf8), cn_put(w, 0x77); // vzeroupper
	cn_put(w, 0xc3);
	return entry;
}
