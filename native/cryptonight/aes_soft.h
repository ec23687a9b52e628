// AES without AES instructions: the key schedule every kernel uses, and one
// encryption round by T-tables for the portable kernel and for Tube's round.
//
// Table look-ups leak their indices through the cache. The inputs are public
// block headers, so there is nothing to hide.
#ifndef ASSAY_CN_AES_SOFT_H
#define ASSAY_CN_AES_SOFT_H

#include "cn_common.h"

// assay_cn_aes_t[i][v] is the column a byte v of row i adds to a round.
CN_HIDDEN extern const uint32_t assay_cn_aes_t[4][256];

// assay_cn_aes_keys expands a 32-byte AES-256 key to its first ten round keys.
CN_HIDDEN void assay_cn_aes_keys(const uint8_t key[32], uint8_t keys[160]);

#endif
