//go:build amd64

// Keccak-f[1600] and the sponge CryptoNight begins with.
// Source: Bertoni, Daemen, Peeters, Van Assche, "The Keccak reference", 3.0.
#include "final_hash.h"
#include "keccak.h"

const uint64_t assay_cn_keccak_rc[24] = {
	0x0000000000000001ULL, 0x0000000000008082ULL, 0x800000000000808aULL, 0x8000000080008000ULL,
	0x000000000000808bULL, 0x0000000080000001ULL, 0x8000000080008081ULL, 0x8000000000008009ULL,
	0x000000000000008aULL, 0x0000000000000088ULL, 0x0000000080008009ULL, 0x000000008000000aULL,
	0x000000008000808bULL, 0x800000000000008bULL, 0x8000000000008089ULL, 0x8000000000008003ULL,
	0x8000000000008002ULL, 0x8000000000000080ULL, 0x000000000000800aULL, 0x800000008000000aULL,
	0x8000000080008081ULL, 0x8000000000008080ULL, 0x0000000080000001ULL, 0x8000000080008008ULL,
};

#define XOR(a, b) ((a) ^ (b))
#define ROTL(a, n) cn_rotl64(a, n)
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))
#define RC(x) (x)

void assay_cn_keccakf(uint64_t st[25]) {
	KECCAK_ROUNDS(uint64_t, st, XOR, ROTL, CHI, RC)
}

enum { RATE = 136 };

static void absorb(uint64_t st[25], const uint8_t block[RATE]) {
	for (unsigned i = 0; i < RATE / 8; i++)
		st[i] ^= cn_load64(block + 8 * i);
	assay_cn_keccakf(st);
}

void assay_cn_keccak_state(const uint8_t *in, uint64_t len, uint64_t st[25]) {
	uint8_t last[RATE] = {0};
	memset(st, 0, 200);
	for (; len >= RATE; len -= RATE, in += RATE)
		absorb(st, in);
	if (len)
		memcpy(last, in, len);
	last[len] = 0x01;
	last[RATE - 1] |= 0x80;
	absorb(st, last);
}
