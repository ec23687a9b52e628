// The four SHA-3 finalists that may end a CryptoNight hash, and Keccak.
// Each takes len bytes at in and writes 32 bytes at out.
#ifndef ASSAY_CN_FINAL_HASH_H
#define ASSAY_CN_FINAL_HASH_H

#include "cn_common.h"

CN_HIDDEN void assay_cn_blake256(const uint8_t *in, uint64_t len, uint8_t out[32]);
CN_HIDDEN void assay_cn_groestl256(const uint8_t *in, uint64_t len, uint8_t out[32]);
CN_HIDDEN void assay_cn_jh256(const uint8_t *in, uint64_t len, uint8_t out[32]);
CN_HIDDEN void assay_cn_skein512_256(const uint8_t *in, uint64_t len, uint8_t out[32]);

// assay_cn_keccak_state absorbs in with Keccak[r=1088, c=512] and the original
// padding (0x01 … 0x80, not SHA-3's 0x06) and leaves the whole 200-byte state.
CN_HIDDEN void assay_cn_keccak_state(const uint8_t *in, uint64_t len, uint64_t st[25]);
CN_HIDDEN void assay_cn_keccakf(uint64_t st[25]);

// assay_cn_keccak_rc are the 24 round constants of Keccak-f[1600].
CN_HIDDEN extern const uint64_t assay_cn_keccak_rc[24];

#endif
