//go:build amd64

// Skein-512 with a 256-bit output ("Skein-512-256"; Skein-256-256 differs).
// Source: Ferguson et al., "The Skein hash function family", version 1.3.
#include "final_hash.h"

enum {
	TYPE_MESSAGE = 48, // the tweak's block type: message
	TYPE_OUTPUT = 63,  // and output transform
};

#define TWEAK_FIRST (1ULL << 62)
#define TWEAK_LAST (1ULL << 63)

// ubi is one step of UBI: Threefish-512 keyed with the chain value h, tweaked
// with (bytes so far, flags), the block fed forward.
static void ubi(uint64_t h[8], const uint8_t block[64], uint64_t bytes, uint64_t flags) {
	static const uint8_t rot[8][4] = {
		{46, 36, 19, 37}, {33, 27, 14, 42}, {17, 49, 36, 39}, {44, 9, 54, 56},
		{39, 30, 34, 24}, {13, 50, 10, 17}, {25, 29, 39, 43}, {8, 35, 56, 22},
	};
	uint64_t k[9], v[8], m[8];
	const uint64_t t[3] = {bytes, flags, bytes ^ flags};
	k[8] = 0x1bd11bdaa9fc1a22ULL;
	for (unsigned i = 0; i < 8; i++) {
		k[i] = h[i];
		k[8] ^= h[i];
		m[i] = cn_load64(block + 8 * i);
		v[i] = m[i];
	}
	for (unsigned s = 0; s <= 18; s++) { // a subkey every four rounds, one after the last
		for (unsigned i = 0; i < 8; i++)
			v[i] += k[(s + i) % 9];
		v[5] += t[s % 3];
		v[6] += t[(s + 1) % 3];
		v[7] += s;
		if (s == 18)
			break;
		for (unsigned r = 0; r < 4; r++) {
			const uint8_t *n = rot[(s % 2) * 4 + r];
			for (unsigned i = 0; i < 4; i++) {
				v[2 * i] += v[2 * i + 1];
				v[2 * i + 1] = cn_rotl64(v[2 * i + 1], n[i]) ^ v[2 * i];
			}
			const uint64_t p[8] = {v[2], v[1], v[4], v[7], v[6], v[5], v[0], v[3]};
			memcpy(v, p, sizeof p);
		}
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] = v[i] ^ m[i];
}

void assay_cn_skein512_256(const uint8_t *in, uint64_t len, uint8_t out[32]) {
	// The chain value after the configuration block for 256 bits of output.
	uint64_t h[8] = {
		0xccd044a12fdb3e13ULL, 0xe83590301a79a9ebULL, 0x55aea0614f816e6fULL, 0x2a2767a4ae9b94dbULL,
		0xec06025e74dd7683ULL, 0xe7a436cdc4746251ULL, 0xc36fbaf9393ad185ULL, 0x3eedba1833edfc13ULL,
	};
	uint8_t block[64] = {0};
	uint64_t done = 0, flags = TWEAK_FIRST | (uint64_t)TYPE_MESSAGE << 56;
	for (; len - done > 64; done += 64) { // the last block, even a full one, is flagged below
		ubi(h, in + done, done + 64, flags);
		flags &= ~TWEAK_FIRST;
	}
	if (len - done)
		memcpy(block, in + done, len - done);
	ubi(h, block, len, flags | TWEAK_LAST);
	memset(block, 0, sizeof block); // the output counter 0
	ubi(h, block, 8, TWEAK_FIRST | TWEAK_LAST | (uint64_t)TYPE_OUTPUT << 56);
	memcpy(out, h, 32);
}
