// Tests of the parts that a hash's vector would hardly reach: the edges of
// the arithmetic, the checks of the batch call, the constants' derivation.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // prctl
#endif
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xmmintrin.h>

#include "../code.h"
#include "../final_hash.h"
#include "../spec.h"
#include "check.h"

#define CN_ISA
#include "../loop_math.h"

unsigned check_count, check_failures;

extern const uint64_t assay_cn_jh_constants[42][4];

static uint64_t next_random(uint64_t *s) { // xorshift64*
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1dULL;
}

// exact_root is floor(2·sqrt(2^64 + n)) − 2^33 by bisection in 128 bits.
static uint64_t exact_root(uint64_t n) {
	const unsigned __int128 target = ((unsigned __int128)1 << 66) + 4 * (unsigned __int128)n;
	uint64_t lo = 0, hi = 1ULL << 32;
	while (hi - lo > 1) {
		const uint64_t mid = (lo + hi) / 2;
		const unsigned __int128 v = (unsigned __int128)mid + (1ULL << 33);
		if (v * v <= target)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

// check_sqrt tests near perfect squares, at the ends and at random, in every
// rounding mode: nothing may depend on the caller's MXCSR.
static void check_sqrt(void) {
	const unsigned saved = _mm_getcsr();
	for (unsigned mode = 0; mode < 4; mode++) {
		uint64_t seed = 1, wrong = 0;
		_mm_setcsr(0x1f80 | mode << 13);
		for (unsigned i = 0; i < 20000; i++) {
			const uint64_t r = next_random(&seed) % 3558067408ULL;
			// The least n with root r: (r + 2^33)^2 / 4 − 2^64, rounded up.
			const unsigned __int128 v = (unsigned __int128)r + (1ULL << 33);
			const uint64_t edge = (uint64_t)((v * v + 3) / 4);
			for (uint64_t d = 0; d < 5; d++)
				wrong += cn_v2_sqrt(edge + d - 2) != exact_root(edge + d - 2);
			const uint64_t n = next_random(&seed);
			wrong += cn_v2_sqrt(n) != exact_root(n);
		}
		for (uint64_t d = 0; d < 1000; d++)
			wrong += cn_v2_sqrt(d) != exact_root(d) || cn_v2_sqrt(~d) != exact_root(~d);
		_mm_setcsr(saved);
		CHECK(wrong == 0, "square root: %llu wrong in rounding mode %u", (unsigned long long)wrong, mode);
	}
}

static void check_heavy_divide(void) {
	static const struct {
		int64_t n;
		int32_t d;
		uint64_t quotient;
	} cases[] = {
		{INT64_MIN, -1, 1ULL << 63}, // would trap
		{INT64_MIN, -5, 1ULL << 63}, // −5 | 5 = −1
		{INT64_MIN, 0, (uint64_t)(INT64_MIN / 5)},
		{INT64_MAX, -1, (uint64_t)-INT64_MAX},
		{-7, 2, (uint64_t)-1}, // truncates towards zero: −7 / 7
		{-8, 0, (uint64_t)-1}, // −8 / 5
		{12, INT32_MIN, 0},
	};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t block[16] = {0};
		cn_store64(block, (uint64_t)cases[i].n);
		cn_store32(block + 8, (uint32_t)cases[i].d);
		const uint64_t q = cases[i].quotient, d = (uint64_t)(int64_t)cases[i].d;
		CHECK(cn_heavy_divide(block, CN_F_HEAVY) == (d ^ q), "heavy index, case %u", i);
		CHECK(cn_load64(block) == ((uint64_t)cases[i].n ^ q), "heavy store, case %u", i);
		cn_store64(block, (uint64_t)cases[i].n);
		CHECK(cn_heavy_divide(block, CN_F_HEAVY | CN_F_XHV) == (~d ^ q), "xhv index, case %u", i);
	}
}

// check_v2_math compares the division with its definition where the quotient
// exceeds 32 bits.
static void check_v2_math(void) {
	uint64_t seed = 7;
	for (unsigned i = 0; i < 20000; i++) {
		const uint64_t lo = next_random(&seed), hi = i & 1 ? ~0ULL - i : next_random(&seed);
		uint64_t division = 0, root = next_random(&seed) >> 32;
		const uint32_t d = (uint32_t)(lo + (root << 1)) | 0x80000001u;
		const uint64_t want = ((hi / d) & 0xffffffff) | (hi % d) << 32;
		cn_v2_math(lo, hi, &division, &root);
		CHECK(division == want && root == exact_root(lo + want), "v2 math, case %u", i);
	}
}

// check_jh_constants derives the bit-sliced table from the definition: the
// constants of a round are the last ones through a round of JH on 64 elements
// with zero constants; and element e of round r stands where the permutations
// so far have moved it.
static void jh_round6(uint8_t a[64]) {
	static const uint8_t s0[16] = {9, 0, 4, 11, 13, 12, 3, 15, 1, 10, 2, 6, 7, 5, 8, 14};
	uint8_t b[64];
	for (unsigned i = 0; i < 64; i += 2) {
		const uint8_t x = s0[a[i]], y = s0[a[i + 1]];
		const uint8_t d = (uint8_t)(y ^ (((x << 1) ^ (x >> 3) * 0x13) & 15));
		a[i] = (uint8_t)(x ^ (((d << 1) ^ (d >> 3) * 0x13) & 15));
		a[i + 1] = d;
	}
	for (unsigned i = 0; i < 64; i++) { // π, then P', then φ
		const unsigned swapped = i ^ ((i >> 1) & 1), half = swapped / 2 + (swapped & 1) * 32;
		b[half ^ (half >> 5)] = a[i];
	}
	memcpy(a, b, 64);
}

static void check_jh_constants(void) {
	static const char first[] = "6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a";
	uint8_t c[64], at[256], moved[256], wrong = 0;
	for (unsigned i = 0; i < 64; i++)
		c[i] = (uint8_t)(first[i] <= '9' ? first[i] - '0' : first[i] - 'a' + 10);
	for (unsigned e = 0; e < 256; e++)
		at[e] = (uint8_t)(e / 2 + (e & 1) * 128); // slot of element e: even ones first
	for (unsigned r = 0; r < 42; r++) {
		for (unsigned e = 0; e < 256; e++) {
			const unsigned bit = (c[e / 4] >> (3 - e % 4)) & 1, slot = at[e];
			const uint8_t *row = (const uint8_t *)assay_cn_jh_constants[r];
			wrong |= ((row[slot / 8] >> (7 - slot % 8)) & 1) != bit;
		}
		for (unsigned e = 0; e < 256; e++) {
			const unsigned swapped = e ^ ((e >> 1) & 1), half = swapped / 2 + (swapped & 1) * 128;
			const unsigned slot = at[e];
			moved[half ^ (half >> 7)] = (uint8_t)(slot < 128 ? slot : slot ^ (1u << (r % 7)));
		}
		memcpy(at, moved, sizeof at);
		jh_round6(c);
	}
	CHECK(!wrong, "the table of JH constants differs from its derivation");
}

static void check_statuses(void) {
	enum { ALGO = ASSAY_CN_UPX2 };
	uint8_t in[64] = {0}, out[64];
	const uint64_t size = assay_cn_arena_size(ASSAY_CN_1, 1);
	uint8_t *arena = aligned_alloc(64, (size + 63) & ~63ULL);
	const uint32_t two[2] = {10, 20}, v1_short[1] = {42}, huge[2] = {0xffffffff, 0xffffffff};
	assay_cn_code *code;
#define HASH(algo, kernel, width, in_len, lens, n, out_len, arena, arena_len, want)                             \
	CHECK(assay_cn_hash(algo, kernel, width, in, in_len, lens, n, out, out_len, arena, arena_len, NULL) == (want), \
	      "status of " #algo " " #kernel " " #width " " #in_len " " #lens " " #n " " #out_len)
	HASH(0, 0, 1, 30, two, 2, 64, arena, size, ASSAY_CN_ERR_ALGO);
	HASH(ASSAY_CN_ALGOS + 1, 0, 1, 30, two, 2, 64, arena, size, ASSAY_CN_ERR_ALGO);
	HASH(ALGO, ASSAY_CN_KERNELS, 1, 30, two, 2, 64, arena, size, ASSAY_CN_ERR_ALGO);
	HASH(ALGO, 0, 0, 30, two, 2, 64, arena, size, ASSAY_CN_ERR_WIDTH);
	HASH(ALGO, 0, ASSAY_CN_MAX_WIDTH + 1, 30, two, 2, 64, arena, size, ASSAY_CN_ERR_WIDTH);
	HASH(ALGO, 0, 1, 29, two, 2, 64, arena, size, ASSAY_CN_ERR_INPUT);
	HASH(ALGO, 0, 1, 31, two, 2, 64, arena, size, ASSAY_CN_ERR_INPUT);
	HASH(ALGO, 0, 1, 30, huge, 2, 64, arena, size, ASSAY_CN_ERR_INPUT);
	HASH(ALGO, 0, 1, 30, NULL, 2, 64, arena, size, ASSAY_CN_ERR_INPUT);
	HASH(ALGO, 0, 1, 30, two, 2, 63, arena, size, ASSAY_CN_ERR_OUTPUT);
	HASH(ALGO, 0, 1, 30, two, ~0ULL, 64, arena, size, ASSAY_CN_ERR_OUTPUT);
	HASH(ALGO, 0, 1, 30, two, 2, 64, arena + 1, size - 1, ASSAY_CN_ERR_ARENA);
	HASH(ALGO, 0, 1, 30, two, 2, 64, NULL, size, ASSAY_CN_ERR_ARENA);
	HASH(ASSAY_CN_1, 0, 1, 42, v1_short, 1, 64, arena, size, ASSAY_CN_ERR_INPUT);
	HASH(ASSAY_CN_1, 0, 2, 60, two, 2, 64, arena, size, ASSAY_CN_ERR_ARENA);
	HASH(ASSAY_CN_R, 0, 1, 30, two, 2, 64, arena, size, ASSAY_CN_ERR_CODE);
	HASH(ALGO, 0, 1, 1, NULL, 0, 64, arena, size, ASSAY_CN_ERR_INPUT);
	HASH(ALGO, 0, 1, 0, NULL, 0, 0, NULL, 0, ASSAY_CN_OK);
#undef HASH
	const uint32_t one[1] = {10};
	CHECK(assay_cn_code_new(ASSAY_CN_1, 1, 0, 1, &code) == ASSAY_CN_ERR_ALGO && !code, "a program for cn/1");
	CHECK(assay_cn_code_new(ASSAY_CN_WOW, 1, 0, 1, &code) == ASSAY_CN_OK && code, "a program");
	CHECK(!code->run_group, "vector code without AVX2");
	CHECK(assay_cn_hash(ASSAY_CN_R, 0, 1, in, 10, one, 1, out, 64, arena, size, code) == ASSAY_CN_ERR_CODE,
	      "the program of another variant");
	CHECK(assay_cn_hash(ASSAY_CN_WOW, 1, 1, in, 10, one, 1, out, 64, arena, size, code) == ASSAY_CN_ERR_CODE,
	      "the program of another kernel");
	assay_cn_code_free(code);
	CHECK(assay_cn_code_new(ASSAY_CN_WOW, 1, 1, 1, &code) == ASSAY_CN_OK && code, "a program");
	CHECK(assay_cn_hash(ASSAY_CN_WOW, 0, 1, in, 10, one, 1, out, 64, arena, size, code) == ASSAY_CN_ERR_CODE,
	      "the program of a higher kernel");
	assay_cn_code_free(code);
	CHECK(!assay_cn_name(0) && !assay_cn_name(ASSAY_CN_ALGOS + 1), "names out of range");
	CHECK(!assay_cn_arena_size(1, 0) && !assay_cn_arena_size(1, ASSAY_CN_MAX_WIDTH + 1) && !assay_cn_arena_size(99, 1), "arena sizes");
	CHECK(assay_cn_final_hash(4, in, 1, out, 32) == ASSAY_CN_ERR_ALGO, "a fifth final hash");
	CHECK(assay_cn_final_hash(0, in, 1, out, 31) == ASSAY_CN_ERR_OUTPUT, "short output");
	free(arena);
}

// check_mxcsr: whatever the caller's rounding mode and flush bits, the hash is
// the same and they are as before afterwards.
static void check_mxcsr(void) {
	const unsigned saved = _mm_getcsr();
	static const uint32_t algos[] = {ASSAY_CN_CCX, ASSAY_CN_PICO};
	const uint8_t in[44] = {1, 2, 3};
	const uint32_t lens[1] = {44};
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t size = assay_cn_arena_size(algos[i], 1);
		uint8_t *arena = aligned_alloc(64, size), want[32], got[32];
		(void)assay_cn_hash(algos[i], 0, 1, in, 44, lens, 1, want, 32, arena, size, NULL);
		_mm_setcsr(0x1f80 | 0xe040); // towards zero, flush to zero, denormals are zero
		const unsigned before = _mm_getcsr(); // valgrind knows the rounding mode alone
		(void)assay_cn_hash(algos[i], 0, 1, in, 44, lens, 1, got, 32, arena, size, NULL);
		const unsigned after = _mm_getcsr();
		_mm_setcsr(saved);
		CHECK((after & 0xffc0) == (before & 0xffc0) && before != saved, "MXCSR not restored: %#x", after);
		CHECK(!memcmp(want, got, 32), "%s depends on MXCSR", assay_cn_name(algos[i]));
		free(arena);
	}
}

// check_profile runs confined batches of every variant on an arena of no more
// than its size: the sanitizer sees what is beyond.
static void check_profile(void) {
	uint64_t ns[ASSAY_CN_PARTS];
	for (uint32_t a = 1; a <= ASSAY_CN_ALGOS; a++) {
		const uint64_t size = assay_cn_arena_size(a, 2);
		uint8_t *arena = aligned_alloc(64, size);
		assay_cn_code *code = NULL;
		if (a == ASSAY_CN_R || a == ASSAY_CN_WOW)
			CHECK(assay_cn_code_new(a, 1, 0, ASSAY_CN_JIT_OFF, &code) == ASSAY_CN_OK, "code");
		CHECK(assay_cn_profile(a, 0, 2, 4096, arena, size, code, ns) == ASSAY_CN_OK && ns[ASSAY_CN_LOOP], "profile of %s", assay_cn_name(a));
		CHECK(assay_cn_profile(a, 0, 2, 4096, arena, size - 1, code, ns) == ASSAY_CN_ERR_ARENA, "arena");
		CHECK(assay_cn_profile(a, 0, 2, 4097, arena, size, code, ns) == ASSAY_CN_ERR_WIDTH, "odd reach");
		CHECK(a != ASSAY_CN_UPX2 || assay_cn_profile(a, 0, 2, 1u << 31, arena, size, code, ns) == ASSAY_CN_OK, "reach beyond the pad");
		CHECK(assay_cn_profile(a, 0, 0, 0, arena, size, code, ns) == ASSAY_CN_ERR_WIDTH, "no lane");
		assay_cn_code_free(code);
		free(arena);
	}
	CHECK(assay_cn_profile(0, 0, 1, 0, NULL, 0, NULL, ns) == ASSAY_CN_ERR_ALGO, "no variant");
}

// check_programs compiles programs of many heights and compares each with the
// interpreter's definition, element by element.
static void define(const assay_cn_code *code, uint32_t r[9]) {
	for (uint32_t i = 0; i < code->count; i++) {
		const cn_instruction *in = &code->program[i];
		const uint32_t s = r[in->src], d = r[in->dst];
		const uint32_t results[6] = {d * s, d + s + in->c, d - s, cn_rotr32(d, s & 31), cn_rotl32(d, s & 31), d ^ s};
		r[in->dst] = results[in->op];
	}
}

// check_program counts the differences of one program, as vector code and as
// scalar code, from its definition.
static uint64_t check_program(const assay_cn_code *code, uint64_t *seed) {
	cn_group g;
	uint32_t r[CN_GROUP][9], lane[9 * CN_GROUP] = {0};
	uint64_t wrong = 0;
	for (unsigned l = 0; l < CN_GROUP; l++)
		for (unsigned k = 0; k < 9; k++)
			g.r[k][l] = r[l][k] = (uint32_t)(l == 7 ? (k & 1 ? 0 : 32) : next_random(seed));
	code->run_group(&g);
	for (unsigned l = 0; l < CN_GROUP; l++) {
		const unsigned slot = cn_group_slot(l);
		for (unsigned k = 0; k < 9; k++)
			lane[CN_GROUP * k] = r[l][k];
		code->run_lane(lane);
		wrong += g.cl_xor[slot] != ((uint64_t)(r[l][0] + r[l][1]) | (uint64_t)(r[l][2] + r[l][3]) << 32);
		define(code, r[l]);
		for (unsigned k = 0; k < 4; k++)
			wrong += (g.r[k][l] != r[l][k]) + (lane[CN_GROUP * k] != r[l][k]);
		wrong += g.a_lo_xor[slot] != ((uint64_t)r[l][2] | (uint64_t)r[l][3] << 32);
		wrong += g.a_hi_xor[slot] != ((uint64_t)r[l][0] | (uint64_t)r[l][1] << 32);
	}
	return wrong;
}

static void check_programs(void) {
	uint64_t seed = 99, wrong = 0;
	if (!__builtin_cpu_supports("avx2"))
		return;
	for (unsigned i = 0; i < 2000; i++) {
		assay_cn_code *code;
		const uint32_t algo = i & 1 ? ASSAY_CN_R : ASSAY_CN_WOW;
		const uint32_t kernel = i & 2 && __builtin_cpu_supports("avx512vl") ? ASSAY_CN_VAES512 : ASSAY_CN_AVX2;
		const uint64_t height = i < 100 ? i : next_random(&seed) >> (next_random(&seed) & 63);
		if (assay_cn_code_new(algo, height, kernel, ASSAY_CN_JIT_ON, &code) != ASSAY_CN_OK) {
			wrong++;
			continue;
		}
		wrong += code->count < 60 || code->count > 70;
		if (code->run_group && code->run_lane)
			wrong += check_program(code, &seed);
		assay_cn_code_free(code);
	}
	CHECK(wrong == 0, "%llu wrong results of compiled programs", (unsigned long long)wrong);
}

// check_refused runs where no page may become executable: a program is still
// made, and interpreted.
static void check_refused(void) {
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif
	fflush(NULL);
	const pid_t child = fork();
	if (child == 0) {
		assay_cn_code *code;
		if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
			_exit(2); // a kernel before 6.3
		if (assay_cn_code_new(ASSAY_CN_R, 1806260, ASSAY_CN_AVX2, ASSAY_CN_JIT_ON, &code) != ASSAY_CN_OK)
			_exit(1);
		_exit(assay_cn_code_compiled(code) ? 1 : 0);
	}
	int status = 0;
	CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status), "child");
	if (WEXITSTATUS(status) == 2)
		printf("this system cannot refuse executable pages: interpreter fallback checked by --no-jit only\n");
	else
		CHECK(WEXITSTATUS(status) == 0, "no interpreter where executable pages are refused");
}

void check_units(void) {
	check_sqrt();
	check_heavy_divide();
	check_v2_math();
	check_jh_constants();
	check_statuses();
	check_mxcsr();
	check_profile();
#ifndef CHECK_MEMORY // what compiled programs write, MSan does not see
	check_programs();
#endif
	check_refused();
	check_lanes();
	printf("units     %u checks, %u failed\n", check_count, check_failures);
}
