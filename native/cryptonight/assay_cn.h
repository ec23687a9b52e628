// The CryptoNight kernels' one public header.
//
//	inputs ─Keccak─▶ states ─explode─▶ scratchpads ─main loop ×N─▶ ─implode─▶ states ─final hash─▶ outputs
//
// No call allocates (but for assay_cn_code_new), exits, aborts or raises a
// signal on any input; none keeps state outside the memory it is given.
#ifndef ASSAY_CN_H
#define ASSAY_CN_H

#include <stdint.h>

// The variants, in the order of the parameter table in spec.c.
enum assay_cn_algo {
	ASSAY_CN_0 = 1,
	ASSAY_CN_1,
	ASSAY_CN_XTL,
	ASSAY_CN_RTO,
	ASSAY_CN_FAST,
	ASSAY_CN_XAO,
	ASSAY_CN_2,
	ASSAY_CN_HALF,
	ASSAY_CN_ZLS,
	ASSAY_CN_DOUBLE,
	ASSAY_CN_RWZ,
	ASSAY_CN_R,
	ASSAY_CN_WOW,
	ASSAY_CN_CCX,
	ASSAY_CN_GPU,
	ASSAY_CN_LITE_0,
	ASSAY_CN_LITE_1,
	ASSAY_CN_HEAVY_0,
	ASSAY_CN_HEAVY_XHV,
	ASSAY_CN_HEAVY_TUBE,
	ASSAY_CN_PICO,
	ASSAY_CN_PICO_TLO,
	ASSAY_CN_UPX2,
	ASSAY_CN_ALGOS = ASSAY_CN_UPX2,
};

// The instruction-set paths, slowest first. Each needs all the features of
// those before it; the caller asks CPUID, this code does not.
enum assay_cn_kernel {
	ASSAY_CN_PORTABLE = 0, // baseline x86-64, AES by T-tables
	ASSAY_CN_AESNI,        // AES-NI, SSE4.1
	ASSAY_CN_AVX2,         // AVX2, BMI2
	ASSAY_CN_VAES256,      // VAES
	ASSAY_CN_VAES512,      // AVX-512 F, BW, DQ, VL
	ASSAY_CN_KERNELS,
};

enum {
	ASSAY_CN_MAX_WIDTH = 64, // most lanes in lockstep; every width from 1 up to it works
	ASSAY_CN_HASH_SIZE = 32,
	ASSAY_CN_V1_MIN_INPUT = 43, // the v1 tweak reads bytes 35 … 42
	// Distance between neighbouring pads beyond their size: equal low address
	// bits would put the same offsets of all lanes into the same cache sets.
	ASSAY_CN_STAGGER = 4096 + 192,
};

enum assay_cn_status {
	ASSAY_CN_OK = 0,
	ASSAY_CN_ERR_ALGO = -1,    // unknown variant or kernel
	ASSAY_CN_ERR_WIDTH = -2,   // not a width, or no reach
	ASSAY_CN_ERR_INPUT = -3,   // lengths and input do not fit, or a v1 input under 43 bytes
	ASSAY_CN_ERR_OUTPUT = -4,  // output too small
	ASSAY_CN_ERR_ARENA = -5,   // scratchpad arena too small or misaligned
	ASSAY_CN_ERR_CODE = -6,    // no program, or one for another variant or kernel
	ASSAY_CN_ERR_MEMORY = -7,  // no memory for a program
};

// assay_cn_code is the random program of one (variant, height), immutable: any
// number of threads may hash with it.
typedef struct assay_cn_code assay_cn_code;

enum assay_cn_jit {
	ASSAY_CN_JIT_OFF = 0,
	ASSAY_CN_JIT_ON = 1, // where the kernel and the operating system allow it
};

// assay_cn_code_new generates the program of cn/r or cn/wow at a height for a
// kernel, compiled if jit says so and the system lets a page become
// executable. The memory is one mapping of its own; assay_cn_code_free ends it.
int32_t assay_cn_code_new(uint32_t algo, uint64_t height, uint32_t kernel, uint32_t jit, assay_cn_code **out);
void assay_cn_code_free(assay_cn_code *code);
// assay_cn_code_compiled is 1 if the program runs as machine code.
int32_t assay_cn_code_compiled(const assay_cn_code *code);

// assay_cn_name is the variant's name, NULL for an unknown one.
const char *assay_cn_name(uint32_t algo);
// assay_cn_arena_size is the arena bytes a width needs, 0 for an unknown variant or width.
uint64_t assay_cn_arena_size(uint32_t algo, uint32_t width);

// assay_cn_hash hashes n inputs, concatenated at in, into n × 32 bytes at out,
// up to width of them in lockstep. arena is scratch memory, 64-byte aligned,
// of assay_cn_arena_size(algo, min(width, n)) bytes at least; its content does
// not matter. code is the height's program for cn/r and cn/wow, else ignored.
// Nothing is written to out unless the result is ASSAY_CN_OK.
int32_t assay_cn_hash(uint32_t algo, uint32_t kernel, uint32_t width,
                      const uint8_t *in, uint64_t in_len, const uint32_t *lens, uint64_t n,
                      uint8_t *out, uint64_t out_len, uint8_t *arena, uint64_t arena_len,
                      const assay_cn_code *code);

// assay_cn_profile runs one batch of lanes, all of whose pads are different,
// and gives the CPU time in ns of its parts: explode, main loop, implode. No
// hash comes out. reach is 0, or confines the batch to so many bytes of each
// pad, laid side by side: a power of two from 4096 on, the pad at most. With
// lanes × reach well inside the L2 cache, what the loop then takes is its
// instructions; the rest of a whole pad's time is misses.
enum assay_cn_part { ASSAY_CN_EXPLODE, ASSAY_CN_LOOP, ASSAY_CN_IMPLODE, ASSAY_CN_PARTS };
int32_t assay_cn_profile(uint32_t algo, uint32_t kernel, uint32_t lanes, uint32_t reach,
                         uint8_t *arena, uint64_t arena_len, const assay_cn_code *code,
                         uint64_t part_ns[ASSAY_CN_PARTS]);

// assay_cn_final_hash is one of the four hashes that may end a CryptoNight
// hash, by the selector's value: BLAKE-256, Grøstl-256, JH-256, Skein-512-256.
int32_t assay_cn_final_hash(uint32_t selector, const uint8_t *in, uint64_t len, uint8_t *out, uint64_t out_len);

#endif
