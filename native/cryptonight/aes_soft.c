//go:build amd64

#include "aes_soft.h"
#include "sbox.h"

// FIPS 197: SubBytes, ShiftRows and MixColumns of one byte are one word.
#define T0(v) (GF_2(v) | (v) << 8 | (v) << 16 | (uint32_t)GF_3(v) << 24),
#define T1(v) (GF_3(v) | GF_2(v) << 8 | (v) << 16 | (uint32_t)(v) << 24),
#define T2(v) ((v) | GF_3(v) << 8 | GF_2(v) << 16 | (uint32_t)(v) << 24),
#define T3(v) ((v) | (v) << 8 | GF_3(v) << 16 | (uint32_t)GF_2(v) << 24),
#define SELF(v) v,

_Alignas(64) const uint32_t assay_cn_aes_t[4][256] = {
	{AES_SBOX(T0)}, {AES_SBOX(T1)}, {AES_SBOX(T2)}, {AES_SBOX(T3)}};

static const uint8_t sbox[256] = {AES_SBOX(SELF)};

static uint32_t sub_word(uint32_t w) {
	return (uint32_t)sbox[w & 0xff] | (uint32_t)sbox[(w >> 8) & 0xff] << 8 |
	       (uint32_t)sbox[(w >> 16) & 0xff] << 16 | (uint32_t)sbox[w >> 24] << 24;
}

void assay_cn_aes_keys(const uint8_t key[32], uint8_t keys[160]) {
	uint32_t w[40], rcon = 1;
	memcpy(w, key, 32);
	for (unsigned i = 8; i < 40; i++) {
		uint32_t t = w[i - 1];
		if (i % 8 == 0) {
			t = sub_word(cn_rotr32(t, 8)) ^ rcon;
			rcon <<= 1; // 1 … 8 here: the reduction of FIPS 197 is never reached
		} else if (i % 8 == 4) {
			t = sub_word(t);
		}
		w[i] = w[i - 8] ^ t;
	}
	memcpy(keys, w, 160);
}
