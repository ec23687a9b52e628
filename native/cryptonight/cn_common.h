// Words every C file of the tree shares: fixed-width loads and stores, and
// the attributes that choose an instruction set per function.
//
// Symbols start with assay_; nothing here allocates, exits or keeps state.
#ifndef ASSAY_CN_COMMON_H
#define ASSAY_CN_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// CN_INLINE marks template code: the compiler specialises it for the constant
// parameters of each instantiation.
#define CN_INLINE static inline __attribute__((always_inline, unused))

// CN_TARGET compiles one function for an instruction set. The file's own
// flags stay at the x86-64 baseline, so no instruction can leak into code
// that runs before CPUID has been asked.
#define CN_TARGET(isa) __attribute__((target(isa)))

// CN_HIDDEN keeps what other files of the tree call out of the public symbols.
#define CN_HIDDEN __attribute__((visibility("hidden")))

CN_INLINE uint32_t cn_load32(const void *p) {
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

CN_INLINE uint64_t cn_load64(const void *p) {
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

CN_INLINE void cn_store32(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }
CN_INLINE void cn_store64(void *p, uint64_t v) { memcpy(p, &v, sizeof v); }

// The rotations take any amount: the masks keep a shift by the full width,
// which C leaves undefined, from happening.
CN_INLINE uint32_t cn_rotr32(uint32_t v, unsigned n) { return (v >> (n & 31)) | (v << (-n & 31)); }
CN_INLINE uint32_t cn_rotl32(uint32_t v, unsigned n) { return (v << (n & 31)) | (v >> (-n & 31)); }
CN_INLINE uint64_t cn_rotl64(uint64_t v, unsigned n) { return (v << (n & 63)) | (v >> (-n & 63)); }

#endif
