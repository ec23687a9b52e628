//go:build amd64

// The generator of CN/R's random programs, a scheduler model that has to be
// exact to the bit: it decides which candidate instructions are kept.
#include "code.h"
#include "final_hash.h"

enum {
	TOTAL_LATENCY = 45,
	MIN_INSTRUCTIONS = 60,
	MAX_RETRIES = 64,
	MAX_CANDIDATES = 256,
	MAX_WAIT = 7, // cycles a register may stay untouched
	ALUS = 3,
	R8 = 8,
	// Over a million heights no program took more than a handful of attempts;
	// the bound only makes the loop's end evident.
	MAX_ATTEMPTS = 4096,
};

static const uint8_t latency_of[6] = {3, 2, 1, 2, 2, 1};
static const uint8_t asic_latency_of[6] = {3, 1, 1, 1, 1, 1};
static const uint8_t alus_of[6] = {1, ALUS, ALUS, ALUS, ALUS, ALUS};

typedef struct {
	uint8_t bytes[32];
	uint32_t at;
} stream;

static void need(stream *s, uint32_t n) {
	if (s->at + n > sizeof s->bytes) {
		uint8_t next[32];
		assay_cn_blake256(s->bytes, sizeof s->bytes, next);
		memcpy(s->bytes, next, sizeof next);
		s->at = 0;
	}
}

static uint8_t draw8(stream *s) {
	need(s, 1);
	return s->bytes[s->at++];
}

static uint32_t draw32(stream *s) {
	need(s, 4);
	const uint32_t v = cn_load32(s->bytes + s->at);
	s->at += 4;
	return v;
}

typedef struct {
	uint32_t lat[9], asic[9], id[9];
	uint8_t busy[TOTAL_LATENCY + 1][ALUS];
	uint8_t rotated[4];
	uint32_t rotations, retries;
	int r8_used;
} attempt;

static int is_rotation(unsigned op) { return op == CN_ROR || op == CN_ROL; }

static unsigned decode_op(uint8_t byte, stream *s) {
	switch (byte & 7) {
	case 0:
	case 1:
	case 2:
		return CN_MUL;
	case 3:
		return CN_ADD;
	case 4:
		return CN_SUB;
	case 5:
		return draw8(s) < 0x80 ? CN_ROR : CN_ROL; // the byte's sign
	default:
		return CN_XOR;
	}
}

// find_cycle returns the first cycle from start on with a free ALU, or
// TOTAL_LATENCY; *alu is the ALU.
static uint32_t find_cycle(const attempt *t, unsigned op, uint32_t start, unsigned *alu) {
	for (uint32_t c = start; c < TOTAL_LATENCY; c++) {
		for (unsigned i = alus_of[op]; i-- > 0;) {
			if (t->busy[c][i] || (op == CN_ADD && t->busy[c + 1][i]))
				continue; // an addition with constant takes two cycles
			if (is_rotation(op) && c < t->rotations * latency_of[op])
				continue; // there is one rotation unit
			*alu = i;
			return c;
		}
	}
	return TOTAL_LATENCY;
}

// candidate draws one instruction and keeps it if it fits the model.
static void candidate(attempt *t, assay_cn_code *code, stream *s, int wow) {
	const uint8_t byte = draw8(s);
	const unsigned op = decode_op(byte, s), dst = (byte >> 3) & 3;
	unsigned src = byte >> 5, alu = 0;
	if (src == dst && (op == CN_ADD || op == CN_SUB || op == CN_XOR))
		src = wow ? dst + 4 : R8;
	if (is_rotation(op) && t->rotated[dst])
		return;
	// The value's origin: operation and source. The index in the low byte
	// starts at 0 and collides with the ids of R0 … R3; so it is defined.
	const uint32_t origin = op << 8 | (t->id[src] & 0xff) << 16;
	if (op != CN_MUL && (t->id[dst] & 0xffff00) == origin)
		return;
	const uint32_t start = find_cycle(t, op, t->lat[dst] > t->lat[src] ? t->lat[dst] : t->lat[src], &alu);
	if (start > t->lat[dst] + MAX_WAIT)
		return;
	const uint32_t end = start + latency_of[op];
	if (end > TOTAL_LATENCY) {
		t->retries++;
		return;
	}
	cn_instruction *in = &code->program[code->count];
	*in = (cn_instruction){(uint8_t)op, (uint8_t)dst, (uint8_t)src, 0};
	t->busy[start][alu] = 1;
	if (op == CN_ADD) {
		t->busy[start + 1][alu] = 1;
		in->c = draw32(s);
	}
	t->lat[dst] = end;
	t->asic[dst] = (t->asic[dst] > t->asic[src] ? t->asic[dst] : t->asic[src]) + asic_latency_of[op];
	t->rotated[dst] = (uint8_t)is_rotation(op);
	t->rotations += (uint32_t)is_rotation(op);
	t->id[dst] = code->count + origin;
	t->r8_used |= src == R8;
	code->count++;
}

// pad lengthens the dependency chain until an ASIC would need as long as a CPU.
static void pad(attempt *t, assay_cn_code *code) {
	static const uint8_t pattern[3] = {CN_ROR, CN_MUL, CN_MUL};
	for (unsigned k = 0; code->count < CN_PROGRAM_MAX; k++) {
		unsigned min = 0, max = 0;
		for (unsigned i = 0; i < 4; i++) {
			if (t->asic[i] >= TOTAL_LATENCY)
				return;
			if (t->asic[i] < t->asic[min])
				min = i;
			if (t->asic[i] > t->asic[max])
				max = i;
		}
		const uint8_t op = pattern[k % 3];
		t->lat[min] = t->lat[max] + latency_of[op];
		t->asic[min] = t->asic[max] + asic_latency_of[op];
		code->program[code->count++] = (cn_instruction){op, (uint8_t)min, (uint8_t)max, 0};
	}
}

static int unfinished(const attempt *t) {
	return t->lat[0] < TOTAL_LATENCY || t->lat[1] < TOTAL_LATENCY || t->lat[2] < TOTAL_LATENCY ||
	       t->lat[3] < TOTAL_LATENCY;
}

int32_t assay_cn_generate(assay_cn_code *code, uint64_t height, int wow) {
	stream s = {.at = sizeof s.bytes}; // the first draw hashes
	cn_store64(s.bytes, height);
	if (!wow)
		s.bytes[20] = 0xda;
	for (unsigned n = 0; n < MAX_ATTEMPTS; n++) {
		attempt t;
		memset(&t, 0, sizeof t);
		for (uint32_t i = 0; i < 9; i++)
			t.id[i] = i < 4 ? i : 0xffffff;
		code->count = 0;
		for (unsigned c = 0; c < MAX_CANDIDATES && code->count < MIN_INSTRUCTIONS; c++) {
			if (!unfinished(&t) || t.retries >= MAX_RETRIES)
				break;
			candidate(&t, code, &s, wow);
		}
		pad(&t, code);
		if ((wow || t.r8_used) && code->count >= MIN_INSTRUCTIONS)
			return 0;
	}
	return -1;
}
