//go:build amd64

// The compiler of CN/R's programs for one lane: scalar instructions of the
// x86-64 baseline, for CPUs without AVX2 and for batches of one.
//
//	rdi = &R0, Ri at [rdi + 4·CN_GROUP·i]      ecx = rotation amount
//	R0 … R6 in eax edx esi r8d r9d r10d r11d   R7, R8 in memory
//
// Only registers a called function may change are used: no stack, no prologue.
#include "compile.h"

enum { IN_MEMORY = 7 }; // from R7 on

static const uint8_t reg_of[IN_MEMORY] = {0, 2, 6, 8, 9, 10, 11}; // hardware numbers

static void displacement(cn_writer *w, unsigned r) { cn_put32(w, 4u * CN_GROUP * r); }

static void rex(cn_writer *w, unsigned reg, unsigned index, unsigned base) {
	const unsigned bits = (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
	if (bits)
		cn_put(w, (uint8_t)(0x40 | bits));
}

// operate writes "opcode hw, Rsrc": Rsrc a register or in memory. A leading
// 0x0f of a two-byte opcode comes as escape.
static void operate(cn_writer *w, int escape, uint8_t opcode, unsigned hw, unsigned src) {
	const int memory = src >= IN_MEMORY;
	const unsigned rm = memory ? 7 : reg_of[src]; // 7: rdi
	rex(w, hw, 0, rm);
	if (escape)
		cn_put(w, 0x0f);
	cn_put(w, opcode);
	cn_put(w, (uint8_t)((memory ? 0x80 : 0xc0) | (hw & 7) << 3 | (rm & 7)));
	if (memory)
		displacement(w, src);
}

// load_store moves R between its register and memory.
static void load_store(cn_writer *w, uint8_t opcode, unsigned r) {
	rex(w, reg_of[r], 0, 7);
	cn_put(w, opcode);
	cn_put(w, (uint8_t)(0x80 | (reg_of[r] & 7) << 3 | 7));
	displacement(w, r);
}

static void add_constant(cn_writer *w, unsigned dst, unsigned src, uint32_t c) {
	const unsigned hw = reg_of[dst];
	if (src >= IN_MEMORY) {
		operate(w, 0, 0x03, hw, src); // add hw, [src]
		rex(w, 0, 0, hw);
		cn_put(w, 0x81); // add hw, c
		cn_put(w, (uint8_t)(0xc0 | (hw & 7)));
	} else {
		rex(w, hw, reg_of[src], hw);
		cn_put(w, 0x8d); // lea hw, [hw + src + c]
		cn_put(w, (uint8_t)(0x84 | (hw & 7) << 3));
		cn_put(w, (uint8_t)((reg_of[src] & 7) << 3 | (hw & 7)));
	}
	cn_put32(w, c);
}

uint64_t assay_cn_compile_lane(const assay_cn_code *code, cn_writer *w) {
	cn_align(w, 64);
	const uint64_t entry = w->at;
	cn_put32(w, 0xfa1e0ff3); // endbr64
	for (unsigned r = 0; r < IN_MEMORY; r++)
		load_store(w, 0x8b, r);
	for (unsigned i = 0; i < code->count; i++) {
		const cn_instruction *in = &code->program[i];
		const unsigned hw = reg_of[in->dst];
		switch (in->op) {
		case CN_MUL:
			operate(w, 1, 0xaf, hw, in->src);
			break;
		case CN_ADD:
			add_constant(w, in->dst, in->src, in->c);
			break;
		case CN_SUB:
			operate(w, 0, 0x2b, hw, in->src);
			break;
		case CN_XOR:
			operate(w, 0, 0x33, hw, in->src);
			break;
		default: // the hardware takes the amount modulo 32
			operate(w, 0, 0x8b, 1, in->src); // mov ecx, src
			rex(w, 0, 0, hw);
			cn_put(w, 0xd3);
			cn_put(w, (uint8_t)((in->op == CN_ROR ? 0xc8 : 0xc0) | (hw & 7)));
		}
	}
	for (unsigned r = 0; r < 4; r++)
		load_store(w, 0x89, r);
	cn_put(w, 0xc3);
	return entry;
}
