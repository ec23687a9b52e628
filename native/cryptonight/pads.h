// Explode and implode: filling a scratchpad from the state and folding it
// back. One template over the vector width and the number of pads at once.
//
// A pad is eight AES chains x0 … x7, one 16-byte block each:
//
//	chunk 0        chunk 1                     x0 x1 x2 x3 │ x4 x5 x6 x7
//	x0 … x7 ─AES─▶ x0 … x7 ─AES─▶ …            └─ vector ─┘ └─ vector ─┘  (512 bits)
//
// Ten dependent rounds per chunk leave an AES unit of 512 bits idle with the
// two vectors of one pad, so wide vectors take several pads of the batch side
// by side.
//
// The including file defines CN_ISA and, for its vectors:
//
//	CN_V, CN_VBLOCKS      vector type and the 16-byte blocks it holds
//	CN_VLOAD, CN_VSTORE, CN_VXOR
//	CN_VAES(x, key)       AESENC on each block
//	CN_VKEY(p)            the 16 bytes at p in each block
//	CN_VNEXT(x, y)        blocks 1 … of (x, y): the sequence moved by one block
//	CN_PADS               the most pads to take at once
#include "aes_soft.h"
#include "spec.h"

enum {
	CN_CHUNK = 128,
	CN_VECTORS = 8 / CN_VBLOCKS,
	CN_VBYTES = 16 * CN_VBLOCKS,
	CN_STATE_BLOCKS = 64, // where x0 … x7 stand in the state
	CN_HEAVY_MIXES = 16,  // extra rounds of the heavy variants
};

typedef struct {
	CN_V key[CN_PADS][10];
} cn_pad_keys;

CN_ISA CN_INLINE void cn_pad_key(cn_pad_keys *k, unsigned p, const uint8_t *key) {
	uint8_t round[160];
	assay_cn_aes_keys(key, round);
	for (unsigned i = 0; i < 10; i++)
		k->key[p][i] = CN_VKEY(round + 16 * i);
}

// The keys are to stay in memory, where AESENC takes them from at no cost:
// hoisted out of the loop over chunks they push the chains out of the
// registers: implode took three times as long with 128-bit vectors. The empty
// statement says that they may change. Two and four pads at once keep some
// keys in registers to advantage, and are left alone.
CN_ISA CN_INLINE void cn_pad_rounds(CN_V x[][CN_VECTORS], const cn_pad_keys *k, unsigned pads) {
	if (CN_PADS == 1)
		__asm__ volatile("" : : "r"(k) : "memory");
#pragma GCC unroll 10
	for (unsigned i = 0; i < 10; i++) {
#pragma GCC unroll 4
		for (unsigned p = 0; p < pads; p++) {
#pragma GCC unroll 8
			for (unsigned v = 0; v < CN_VECTORS; v++)
				x[p][v] = CN_VAES(x[p][v], k->key[p][i]);
		}
	}
}

// cn_pad_mix is the heavy variants' mix: x_i ^= x_{i+1}, x7 ^= old x0.
CN_ISA CN_INLINE void cn_pad_mix(CN_V x[][CN_VECTORS], unsigned pads) {
#pragma GCC unroll 4
	for (unsigned p = 0; p < pads; p++) {
		const CN_V first = x[p][0];
#pragma GCC unroll 8
		for (unsigned v = 0; v < CN_VECTORS; v++)
			x[p][v] = CN_VXOR(x[p][v], CN_VNEXT(x[p][v], v + 1 < CN_VECTORS ? x[p][v + 1] : first));
	}
}

CN_ISA CN_INLINE void cn_pad_read(CN_V x[CN_VECTORS], const void *from) {
	for (unsigned v = 0; v < CN_VECTORS; v++)
		x[v] = CN_VLOAD((const uint8_t *)from + v * CN_VBYTES);
}

CN_ISA CN_INLINE void cn_pad_write(const CN_V x[CN_VECTORS], void *to) {
	for (unsigned v = 0; v < CN_VECTORS; v++)
		CN_VSTORE((uint8_t *)to + v * CN_VBYTES, x[v]);
}

CN_ISA CN_INLINE void cn_explode_pads(cn_lane *lanes, unsigned pads, unsigned heavy, const cn_spec *spec) {
	cn_pad_keys k;
	CN_V x[CN_PADS][CN_VECTORS];
	uint8_t *to[CN_PADS];
	for (unsigned p = 0; p < pads; p++) {
		const uint8_t *st = (const uint8_t *)lanes[p].st;
		cn_pad_key(&k, p, st);
		cn_pad_read(x[p], st + CN_STATE_BLOCKS);
		to[p] = lanes[p].pad;
	}
	for (unsigned i = 0; heavy && i < CN_HEAVY_MIXES; i++) {
		cn_pad_rounds(x, &k, pads);
		cn_pad_mix(x, pads);
	}
	for (uint32_t at = 0; at < spec->pad; at += CN_CHUNK) {
		cn_pad_rounds(x, &k, pads);
#pragma GCC unroll 4
		for (unsigned p = 0; p < pads; p++)
			cn_pad_write(x[p], to[p] + at);
	}
	for (unsigned p = 0; p < pads; p++)
		cn_pad_write(x[p], lanes[p].tail);
}

// cn_implode_tail folds in what the specification's pad has beyond ours: the
// explode chain goes on from where it stopped.
CN_ISA CN_INLINE void cn_implode_tail(CN_V x[][CN_VECTORS], const cn_pad_keys *k, cn_lane *lanes,
                                      unsigned pads, const cn_spec *spec) {
	cn_pad_keys fill;
	CN_V y[CN_PADS][CN_VECTORS];
	for (unsigned p = 0; p < pads; p++) {
		cn_pad_key(&fill, p, (const uint8_t *)lanes[p].st);
		cn_pad_read(y[p], lanes[p].tail);
	}
	for (uint32_t at = spec->pad; at < spec->mem; at += CN_CHUNK) {
		cn_pad_rounds(y, &fill, pads);
		for (unsigned p = 0; p < pads; p++)
			for (unsigned v = 0; v < CN_VECTORS; v++)
				x[p][v] = CN_VXOR(x[p][v], y[p][v]);
		cn_pad_rounds(x, k, pads);
	}
}

CN_ISA CN_INLINE void cn_implode_pads(cn_lane *lanes, unsigned pads, unsigned heavy, const cn_spec *spec) {
	cn_pad_keys k;
	CN_V x[CN_PADS][CN_VECTORS];
	const uint8_t *from[CN_PADS];
	for (unsigned p = 0; p < pads; p++) {
		const uint8_t *st = (const uint8_t *)lanes[p].st;
		cn_pad_key(&k, p, st + 32);
		cn_pad_read(x[p], st + CN_STATE_BLOCKS);
		from[p] = lanes[p].pad;
	}
	for (unsigned pass = 0; pass < (heavy ? 2 : 1); pass++) {
		for (uint32_t at = 0; at < spec->pad; at += CN_CHUNK) {
#pragma GCC unroll 4
			for (unsigned p = 0; p < pads; p++) {
#pragma GCC unroll 8
				for (unsigned v = 0; v < CN_VECTORS; v++)
					x[p][v] = CN_VXOR(x[p][v], CN_VLOAD(from[p] + at + v * CN_VBYTES));
			}
			cn_pad_rounds(x, &k, pads);
			if (heavy)
				cn_pad_mix(x, pads);
		}
	}
	if (spec->pad < spec->mem) // no heavy variant has a short pad
		cn_implode_tail(x, &k, lanes, pads, spec);
	for (unsigned i = 0; heavy && i < CN_HEAVY_MIXES; i++) {
		cn_pad_rounds(x, &k, pads);
		cn_pad_mix(x, pads);
	}
	for (unsigned p = 0; p < pads; p++)
		cn_pad_write(x[p], (uint8_t *)lanes[p].st + CN_STATE_BLOCKS);
}

// CN_EACH_PADS covers n lanes with the widest groups that fit.
#define CN_EACH_PADS(part)                                   \
	const unsigned heavy = (spec->flags & CN_F_HEAVY) != 0;  \
	uint32_t i = 0;                                          \
	if (CN_PADS >= 4)                                        \
		for (; n - i >= 4; i += 4)                           \
			heavy ? part(lanes + i, CN_PADS >= 4 ? 4 : 1, 1, spec) : part(lanes + i, CN_PADS >= 4 ? 4 : 1, 0, spec); \
	if (CN_PADS >= 2)                                        \
		for (; n - i >= 2; i += 2)                           \
			heavy ? part(lanes + i, CN_PADS >= 2 ? 2 : 1, 1, spec) : part(lanes + i, CN_PADS >= 2 ? 2 : 1, 0, spec); \
	for (; i < n; i++)                                       \
		heavy ? part(lanes + i, 1, 1, spec) : part(lanes + i, 1, 0, spec);

CN_ISA static void cn_explode(cn_lane *lanes, uint32_t n, const cn_spec *spec) { CN_EACH_PADS(cn_explode_pads) }
CN_ISA static void cn_implode(cn_lane *lanes, uint32_t n, const cn_spec *spec) { CN_EACH_PADS(cn_implode_pads) }
