//go:build amd64

// BLAKE-256, the SHA-3 finalist with 14 rounds and a zero salt (not BLAKE2).
// Source: Aumasson, Henzen, Meier, Phan, "SHA-3 proposal BLAKE", version 1.3,
// sections 2.1 and 2.1.4 (padding).
#include "final_hash.h"

static const uint8_t sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

// The leading digits of pi.
static const uint32_t pi_words[16] = {
	0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89,
	0x452821e6, 0x38d01377, 0xbe5466cf, 0x34e90c6c, 0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917,
};

static void g(uint32_t v[16], const uint32_t m[16], unsigned round, unsigned i,
              unsigned a, unsigned b, unsigned c, unsigned d) {
	const uint8_t *s = sigma[round % 10];
	const unsigned x = s[2 * i], y = s[2 * i + 1];
	v[a] += v[b] + (m[x] ^ pi_words[y]);
	v[d] = cn_rotr32(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = cn_rotr32(v[b] ^ v[c], 12);
	v[a] += v[b] + (m[y] ^ pi_words[x]);
	v[d] = cn_rotr32(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = cn_rotr32(v[b] ^ v[c], 7);
}

// compress takes one block; bits counts the message bits up to and including
// it, and is 0 for a block that holds padding alone.
static void compress(uint32_t h[8], const uint8_t block[64], uint64_t bits) {
	uint32_t v[16], m[16];
	for (unsigned i = 0; i < 16; i++)
		m[i] = __builtin_bswap32(cn_load32(block + 4 * i));
	for (unsigned i = 0; i < 8; i++) {
		v[i] = h[i];
		v[8 + i] = pi_words[i];
	}
	v[12] ^= (uint32_t)bits;
	v[13] ^= (uint32_t)bits;
	v[14] ^= (uint32_t)(bits >> 32);
	v[15] ^= (uint32_t)(bits >> 32);
	for (unsigned r = 0; r < 14; r++) {
		g(v, m, r, 0, 0, 4, 8, 12);
		g(v, m, r, 1, 1, 5, 9, 13);
		g(v, m, r, 2, 2, 6, 10, 14);
		g(v, m, r, 3, 3, 7, 11, 15);
		g(v, m, r, 4, 0, 5, 10, 15);
		g(v, m, r, 5, 1, 6, 11, 12);
		g(v, m, r, 6, 2, 7, 8, 13);
		g(v, m, r, 7, 3, 4, 9, 14);
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[8 + i];
}

void assay_cn_blake256(const uint8_t *in, uint64_t len, uint8_t out[32]) {
	uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	uint8_t last[128] = {0};
	uint64_t done = 0;
	for (; len - done >= 64; done += 64)
		compress(h, in + done, (done + 64) * 8);

	// 0x80, zeros, a 1 bit just before the 64-bit big-endian bit length.
	const uint64_t rest = len - done, blocks = rest < 56 ? 1 : 2;
	if (rest)
		memcpy(last, in + done, rest);
	last[rest] = 0x80;
	last[64 * blocks - 9] |= 0x01;
	cn_store64(last + 64 * blocks - 8, __builtin_bswap64(len * 8));
	compress(h, last, rest ? len * 8 : 0);
	if (blocks == 2)
		compress(h, last + 64, 0);
	for (unsigned i = 0; i < 8; i++)
		cn_store32(out + 4 * i, __builtin_bswap32(h[i]));
}
