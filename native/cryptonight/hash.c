//go:build amd64

// The batch call: checks, splits a batch into groups of lanes, and runs each
// group through the phases.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // clock_gettime
#endif
#include <time.h>
#include <xmmintrin.h>

#include "code.h"
#include "final_hash.h"
#include "spec.h"

// Round to nearest, all exceptions masked, denormals kept: what cn/ccx, cn/gpu
// and the square root of cn/2 are defined with.
enum { MXCSR_DEFAULT = 0x1f80 };

static const cn_kernel *const kernels[ASSAY_CN_KERNELS] = {
	[ASSAY_CN_PORTABLE] = &assay_cn_kernel_portable, [ASSAY_CN_AESNI] = &assay_cn_kernel_aesni,
	[ASSAY_CN_AVX2] = &assay_cn_kernel_avx2,         [ASSAY_CN_VAES256] = &assay_cn_kernel_vaes256,
	[ASSAY_CN_VAES512] = &assay_cn_kernel_vaes512,
};

static const cn_spec *find_spec(uint32_t algo) {
	return algo >= 1 && algo <= ASSAY_CN_ALGOS ? &assay_cn_specs[algo - 1] : NULL;
}

const char *assay_cn_name(uint32_t algo) {
	const cn_spec *spec = find_spec(algo);
	return spec ? spec->name : NULL;
}

uint64_t assay_cn_arena_size(uint32_t algo, uint32_t width) {
	const cn_spec *spec = find_spec(algo);
	if (!spec || width < 1 || width > ASSAY_CN_MAX_WIDTH)
		return 0;
	return (uint64_t)width * ((uint64_t)spec->pad + ASSAY_CN_STAGGER);
}

int32_t assay_cn_final_hash(uint32_t selector, const uint8_t *in, uint64_t len, uint8_t *out, uint64_t out_len) {
	if (!out || out_len < ASSAY_CN_HASH_SIZE)
		return ASSAY_CN_ERR_OUTPUT;
	if (!in && len)
		return ASSAY_CN_ERR_INPUT;
	switch (selector) {
	case 0:
		assay_cn_blake256(in, len, out);
		return ASSAY_CN_OK;
	case 1:
		assay_cn_groestl256(in, len, out);
		return ASSAY_CN_OK;
	case 2:
		assay_cn_jh256(in, len, out);
		return ASSAY_CN_OK;
	case 3:
		assay_cn_skein512_256(in, len, out);
		return ASSAY_CN_OK;
	default:
		return ASSAY_CN_ERR_ALGO;
	}
}

static void lane_begin(cn_lane *lane, const cn_spec *spec, const uint8_t *in, uint32_t len, uint8_t *pad) {
	assay_cn_keccak_state(in, len, lane->st);
	lane->pad = pad;
	lane->tweak = spec->flags & CN_F_V1 ? cn_load64(in + 35) ^ lane->st[24] : 0;
}

static void lane_end(cn_lane *lane, const cn_spec *spec, uint8_t *out) {
	assay_cn_keccakf(lane->st);
	const uint8_t *st = (const uint8_t *)lane->st;
	if (spec->flags & CN_F_GPU)
		memcpy(out, st, ASSAY_CN_HASH_SIZE);
	else
		(void)assay_cn_final_hash(st[0] & 3, st, 200, out, ASSAY_CN_HASH_SIZE);
}

static void explode(cn_lane *lanes, uint32_t n, const cn_spec *spec, const cn_kernel *kernel) {
	(spec->flags & CN_F_GPU ? kernel->explode_gpu : kernel->explode)(lanes, n, spec);
}

// check_inputs adds up the lengths; the sum of 2^64 / 2^32 of them cannot wrap
// before in_len is exceeded.
static int32_t check_inputs(const cn_spec *spec, const uint8_t *in, uint64_t in_len, const uint32_t *lens, uint64_t n) {
	uint64_t sum = 0;
	for (uint64_t i = 0; i < n; i++) {
		if (spec->flags & CN_F_V1 && lens[i] < ASSAY_CN_V1_MIN_INPUT)
			return ASSAY_CN_ERR_INPUT;
		sum += lens[i];
		if (sum > in_len)
			return ASSAY_CN_ERR_INPUT;
	}
	return sum == in_len && (in || !in_len) ? ASSAY_CN_OK : ASSAY_CN_ERR_INPUT;
}

static int32_t check(const cn_spec *spec, uint32_t algo, uint32_t kernel, uint32_t width, uint64_t n,
                     const void *lens, const void *out, uint64_t out_len, const void *arena, uint64_t arena_len,
                     const assay_cn_code *code) {
	if (!spec || kernel >= ASSAY_CN_KERNELS)
		return ASSAY_CN_ERR_ALGO;
	if (width < 1 || width > ASSAY_CN_MAX_WIDTH)
		return ASSAY_CN_ERR_WIDTH;
	if (!lens)
		return ASSAY_CN_ERR_INPUT;
	if (!out || n > out_len / ASSAY_CN_HASH_SIZE)
		return ASSAY_CN_ERR_OUTPUT;
	const uint32_t lanes = n < width ? (uint32_t)n : width;
	if (!arena || (uintptr_t)arena % 64 || arena_len < assay_cn_arena_size(algo, lanes))
		return ASSAY_CN_ERR_ARENA;
	if (spec->flags & CN_F_V4 && (!code || code->algo != algo || code->kernel != kernel))
		return ASSAY_CN_ERR_CODE;
	return ASSAY_CN_OK;
}

int32_t assay_cn_hash(uint32_t algo, uint32_t kernel, uint32_t width,
                      const uint8_t *in, uint64_t in_len, const uint32_t *lens, uint64_t n,
                      uint8_t *out, uint64_t out_len, uint8_t *arena, uint64_t arena_len,
                      const assay_cn_code *code) {
	const cn_spec *spec = find_spec(algo);
	if (!n)
		return in_len ? ASSAY_CN_ERR_INPUT : ASSAY_CN_OK;
	int32_t status = check(spec, algo, kernel, width, n, lens, out, out_len, arena, arena_len, code);
	if (status == ASSAY_CN_OK)
		status = check_inputs(spec, in, in_len, lens, n);
	if (status != ASSAY_CN_OK)
		return status;

	const unsigned mxcsr = _mm_getcsr();
	_mm_setcsr(MXCSR_DEFAULT);
	cn_lane lanes[ASSAY_CN_MAX_WIDTH];
	// Equal groups: a batch of 9 at width 8 runs as 5 and 4, not 8 and 1.
	for (uint64_t groups = (n + width - 1) / width; groups; groups--) {
		const uint32_t k = (uint32_t)((n + groups - 1) / groups);
		for (uint32_t l = 0; l < k; l++) {
			lane_begin(&lanes[l], spec, in, lens[l], arena + (uint64_t)l * (spec->pad + ASSAY_CN_STAGGER));
			in += lens[l];
		}
		explode(lanes, k, spec, kernels[kernel]);
		kernels[kernel]->loop[spec->loop](lanes, k, spec, code);
		kernels[kernel]->implode(lanes, k, spec);
		for (uint32_t l = 0; l < k; l++)
			lane_end(&lanes[l], spec, out + ASSAY_CN_HASH_SIZE * (uint64_t)l);
		lens += k;
		out += ASSAY_CN_HASH_SIZE * (uint64_t)k;
		n -= k;
	}
	_mm_setcsr(mxcsr);
	return ASSAY_CN_OK;
}

static uint64_t thread_ns(void) {
	struct timespec t = {0};
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int32_t assay_cn_profile(uint32_t algo, uint32_t kernel, uint32_t lanes, uint32_t reach,
                         uint8_t *arena, uint64_t arena_len, const assay_cn_code *code,
                         uint64_t part_ns[ASSAY_CN_PARTS]) {
	const cn_spec *whole = find_spec(algo);
	const uint32_t any = 0; // stands for the inputs and outputs there are none of
	const int32_t status = check(whole, algo, kernel, lanes, lanes, &any, &any, ~0ULL, arena, arena_len, code);
	if (status != ASSAY_CN_OK)
		return status;
	if (reach && (reach < 4096 || reach & (reach - 1)))
		return ASSAY_CN_ERR_WIDTH;
	cn_spec spec = *whole;
	if (reach > spec.pad)
		reach = spec.pad;
	uint64_t stride = spec.pad + ASSAY_CN_STAGGER;
	if (reach) {
		spec.pad = spec.mem = reach;
		spec.mask &= reach - 1;
		stride = reach;
	}
	const unsigned mxcsr = _mm_getcsr();
	_mm_setcsr(MXCSR_DEFAULT);
	cn_lane batch[ASSAY_CN_MAX_WIDTH];
	for (uint32_t l = 0; l < lanes; l++) {
		uint8_t in[76] = {(uint8_t)l};
		lane_begin(&batch[l], &spec, in, sizeof in, arena + l * stride);
	}
	uint64_t at[ASSAY_CN_PARTS + 1];
	at[0] = thread_ns();
	explode(batch, lanes, &spec, kernels[kernel]);
	at[1] = thread_ns();
	kernels[kernel]->loop[spec.loop](batch, lanes, &spec, code);
	at[2] = thread_ns();
	kernels[kernel]->implode(batch, lanes, &spec);
	at[3] = thread_ns();
	_mm_setcsr(mxcsr);
	for (unsigned i = 0; i < ASSAY_CN_PARTS; i++)
		part_ns[i] = at[i + 1] - at[i];
	return ASSAY_CN_OK;
}
