// The C tree's own test: runs without Go, so that the sanitizers and valgrind
// see nothing else.
//
//	main [--quick | --one] [--kernels LIST] [--no-jit] VECTORS
//
// Every vector of every variant runs through every kernel the CPU has, at
// every lane position of every width (--quick: one batch of two, --one: one hash).
// VECTORS has lines "ALGO HEIGHT INPUT_HEX HASH_HEX", "-" for no input.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // prctl
#endif
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xmmintrin.h>

#include "../code.h"
#include "../final_hash.h"
#include "../spec.h"
#include "check.h"

enum {
	MAX_VECTORS = 512,
	MAX_INPUT = 16384,
	LINE = 2 * MAX_INPUT + 256,
};

typedef struct {
	uint32_t algo;
	uint64_t height;
	uint8_t *in;
	uint32_t len;
	uint8_t hash[32];
} vector;

static const char *const kernel_names[ASSAY_CN_KERNELS] = {"portable", "aesni", "avx2", "vaes256", "vaes512"};

static vector vectors[MAX_VECTORS];
static unsigned vector_count;

static unsigned unhex(const char *hex, uint8_t *out, unsigned max) {
	unsigned n = 0, v;
	for (; n < max && sscanf(hex + 2 * n, "%2x", &v) == 1; n++)
		out[n] = (uint8_t)v;
	return n;
}

static uint32_t find_algo(const char *name) {
	for (uint32_t a = 1; a <= ASSAY_CN_ALGOS; a++)
		if (!strcmp(assay_cn_name(a), name))
			return a;
	return 0;
}

static void check_final(const char *algo, const uint8_t *in, uint32_t len, const uint8_t *want) {
	static const char *const names[4] = {"blake256", "groestl256", "jh256", "skein512-256"};
	for (uint32_t i = 0; i < 4; i++) {
		uint8_t got[32];
		if (strcmp(algo, names[i]))
			continue;
		CHECK(assay_cn_final_hash(i, in, len, got, sizeof got) == ASSAY_CN_OK, "%s", algo);
		CHECK(!memcmp(got, want, 32), "%s of %u bytes", algo, len);
		return;
	}
	CHECK(0, "unknown algorithm %s", algo);
}

static void read_vectors(const char *path) {
	static char line[LINE], hex[LINE];
	FILE *f = fopen(path, "r");
	if (!f) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof line, f)) {
		char algo[32], hash[80];
		unsigned long long height;
		uint8_t want[32];
		if (line[0] == '#')
			continue;
		if (sscanf(line, "%31s %llu %32900s %79s", algo, &height, hex, hash) != 4 || unhex(hash, want, 32) != 32) {
			fprintf(stderr, "bad line: %.80s\n", line);
			exit(1);
		}
		uint8_t *in = malloc(MAX_INPUT); // exact bounds for the sanitizer come from realloc
		const unsigned len = hex[0] == '-' ? 0 : unhex(hex, in, MAX_INPUT);
		in = realloc(in, len ? len : 1);
		const uint32_t a = find_algo(algo);
		if (!a) {
			check_final(algo, in, len, want);
			free(in);
			continue;
		}
		vector *v = &vectors[vector_count++];
		*v = (vector){a, height, in, len, {0}};
		memcpy(v->hash, want, 32);
		if (vector_count == MAX_VECTORS)
			break;
	}
	fclose(f);
}

// run hashes count vectors from first on, wrapping within the variant's list.
static void run(uint32_t algo, uint32_t kernel, uint32_t width, vector *const *list, unsigned listed,
                unsigned first, unsigned count, uint32_t jit) {
	uint64_t bytes = 0;
	uint32_t lens[ASSAY_CN_MAX_WIDTH * 2];
	for (unsigned i = 0; i < count; i++)
		bytes += lens[i] = list[(first + i) % listed]->len;
	uint8_t *in = malloc(bytes ? bytes : 1), *out = malloc(32 * count), *at = in;
	for (unsigned i = 0; i < count; i++) {
		memcpy(at, list[(first + i) % listed]->in, lens[i]);
		at += lens[i];
	}
	const uint64_t size = assay_cn_arena_size(algo, width);
	uint8_t *arena = aligned_alloc(64, size);
	memset(arena, 0xa5, size);
	assay_cn_code *code = NULL;
	if (algo == ASSAY_CN_R || algo == ASSAY_CN_WOW)
		CHECK(assay_cn_code_new(algo, list[first]->height, kernel, jit, &code) == ASSAY_CN_OK, "code");
	const int32_t status = assay_cn_hash(algo, kernel, width, in, bytes, lens, count, out, 32 * count, arena, size, code);
	CHECK(status == ASSAY_CN_OK, "%s %s x%u: status %d", assay_cn_name(algo), kernel_names[kernel], width, status);
	for (unsigned i = 0; i < count; i++)
		CHECK(!memcmp(out + 32 * i, list[(first + i) % listed]->hash, 32), "%s %s x%u lane %u%s", assay_cn_name(algo),
		      kernel_names[kernel], width, i, jit ? " compiled" : "");
	assay_cn_code_free(code);
	free(arena), free(in), free(out);
}

static void check_algo(uint32_t algo, uint32_t kernel, int quick, uint32_t jit) {
	static const uint32_t all[] = {1, 2, 3, 4, 5, 8, 13, 16};
	const uint32_t few[] = {(uint32_t)quick};
	const uint32_t *widths = quick ? few : all;
	const unsigned width_count = quick ? 1 : 8;
	vector *list[MAX_VECTORS];
	unsigned n = 0;
	for (unsigned i = 0; i < vector_count; i++)
		if (vectors[i].algo == algo)
			list[n++] = &vectors[i];
	CHECK(n > 0, "no vector of %s", assay_cn_name(algo));
	if (!n)
		return;
	if (algo == ASSAY_CN_R || algo == ASSAY_CN_WOW) { // a height each: the list is one vector long
		for (unsigned v = 0; v < (quick ? 1 : n); v++)
			for (unsigned w = 0; w < width_count; w++)
				run(algo, kernel, widths[w], &list[v], 1, 0, widths[w], jit);
		return;
	}
	// With first from 0 to n − 1, every vector stands in every lane once.
	for (unsigned w = 0; w < width_count; w++)
		for (unsigned first = 0; first < (quick ? 1 : n); first++)
			run(algo, kernel, widths[w], list, n, first, widths[w], jit);
}

// has_kernel asks the CPU; GCC's own test includes the operating system's part.
static int has_kernel(uint32_t kernel) {
	const int sse = __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("avx2");
	unsigned a, b, c, d;
	const int leaf1 = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES);
	const int vaes = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 9 & 1);
	switch (kernel) {
	case ASSAY_CN_PORTABLE:
		return 1;
	case ASSAY_CN_AESNI:
		return leaf1 && __builtin_cpu_supports("sse4.1");
	case ASSAY_CN_AVX2:
		return leaf1 && sse && __builtin_cpu_supports("bmi2");
	case ASSAY_CN_VAES256:
		return leaf1 && sse && vaes;
	default:
		return leaf1 && sse && vaes && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	}
}

int main(int argc, char **argv) {
	int quick = 0, jit = 1;
	const char *kernels = "portable,aesni,avx2,vaes256,vaes512", *path = NULL;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick"))
			quick = 2;
		else if (!strcmp(argv[i], "--one"))
			quick = 1;
		else if (!strcmp(argv[i], "--no-jit"))
			jit = 0;
		else if (!strcmp(argv[i], "--kernels") && i + 1 < argc)
			kernels = argv[++i];
		else
			path = argv[i];
	}
	if (!path) {
		fprintf(stderr, "usage: main [--quick | --one] [--kernels LIST] [--no-jit] VECTORS\n");
		return 2;
	}
	check_units();
	read_vectors(path);
	for (uint32_t k = 0; k < ASSAY_CN_KERNELS; k++) {
		if (!strstr(kernels, kernel_names[k]))
			continue;
		if (!has_kernel(k)) {
			printf("%-9s not on this CPU\n", kernel_names[k]);
			continue;
		}
		for (uint32_t a = 1; a <= ASSAY_CN_ALGOS; a++) {
			check_algo(a, k, quick, ASSAY_CN_JIT_OFF);
			if (jit && (a == ASSAY_CN_R || a == ASSAY_CN_WOW))
				check_algo(a, k, quick, ASSAY_CN_JIT_ON);
		}
		printf("%-9s %u checks so far, %u failed\n", kernel_names[k], check_count, check_failures);
		fflush(stdout);
	}
	for (unsigned i = 0; i < vector_count; i++)
		free(vectors[i].in);
	return check_failures != 0;
}
