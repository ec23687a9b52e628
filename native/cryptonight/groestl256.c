//go:build amd64

// Grøstl-256 (the round-3 version).
// Source: Gauravaram et al., "Grøstl – a SHA-3 candidate", 2011, section 3.
//
// The 512-bit state is eight columns of eight bytes; a column is one uint64_t
// with row 0 in its low byte. SubBytes and MixBytes of one byte are one table
// entry, rotated by the row.
#include "final_hash.h"
#include "sbox.h"

// The MixBytes matrix is circ(2, 2, 3, 4, 5, 3, 5, 7): a byte v of row 0 adds
// (2v, 7v, 5v, 3v, 5v, 4v, 3v, 2v) to rows 0 … 7.
#define COLUMN(v)                                                                                     \
	((uint64_t)GF_2(v) | (uint64_t)GF_7(v) << 8 | (uint64_t)GF_5(v) << 16 | (uint64_t)GF_3(v) << 24 | \
	 (uint64_t)GF_5(v) << 32 | (uint64_t)GF_4(v) << 40 | (uint64_t)GF_3(v) << 48 | (uint64_t)GF_2(v) << 56),

static const uint64_t table[256] = {AES_SBOX(COLUMN)};

// mix is SubBytes, ShiftBytes and MixBytes: row i of column j comes from
// column j + shift[i].
CN_INLINE void mix(uint64_t x[8], const uint8_t shift[8]) {
	uint64_t y[8];
	for (unsigned j = 0; j < 8; j++) {
		y[j] = 0;
#pragma GCC unroll 8
		for (unsigned i = 0; i < 8; i++)
			y[j] ^= cn_rotl64(table[(x[(j + shift[i]) % 8] >> (8 * i)) & 0xff], 8 * i);
	}
	memcpy(x, y, sizeof y);
}

static void permute_p(uint64_t x[8]) {
	static const uint8_t shift[8] = {0, 1, 2, 3, 4, 5, 6, 7};
	for (uint64_t r = 0; r < 10; r++) {
		for (uint64_t j = 0; j < 8; j++)
			x[j] ^= (j << 4) ^ r;
		mix(x, shift);
	}
}

static void permute_q(uint64_t x[8]) {
	static const uint8_t shift[8] = {1, 3, 5, 7, 0, 2, 4, 6};
	for (uint64_t r = 0; r < 10; r++) {
		for (uint64_t j = 0; j < 8; j++)
			x[j] ^= ~0ULL ^ ((j << 4) ^ r) << 56;
		mix(x, shift);
	}
}

static void compress(uint64_t h[8], const uint8_t block[64]) {
	uint64_t p[8], q[8];
	memcpy(q, block, sizeof q);
	for (unsigned i = 0; i < 8; i++)
		p[i] = h[i] ^ q[i];
	permute_p(p);
	permute_q(q);
	for (unsigned i = 0; i < 8; i++)
		h[i] ^= p[i] ^ q[i];
}

void assay_cn_groestl256(const uint8_t *in, uint64_t len, uint8_t out[32]) {
	uint64_t h[8] = {0, 0, 0, 0, 0, 0, 0, 0x0001000000000000ULL}; // 256, big-endian, in the last bytes
	uint8_t last[128] = {0};
	uint64_t done = 0;
	for (; len - done >= 64; done += 64)
		compress(h, in + done);

	// A 1 bit, zeros, the number of blocks in 64 bits, big-endian.
	const uint64_t rest = len - done, blocks = rest < 56 ? 1 : 2;
	if (rest)
		memcpy(last, in + done, rest);
	last[rest] = 0x80;
	cn_store64(last + 64 * blocks - 8, __builtin_bswap64(done / 64 + blocks));
	for (uint64_t i = 0; i < blocks; i++)
		compress(h, last + 64 * i);

	uint64_t p[8];
	memcpy(p, h, sizeof p);
	permute_p(p);
	for (unsigned i = 0; i < 4; i++)
		cn_store64(out + 8 * i, h[4 + i] ^ p[4 + i]);
}
