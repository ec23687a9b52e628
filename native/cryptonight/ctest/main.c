// The C tree's own test: runs without Go, so that the sanitizers and valgrind
// see nothing else.
//
//	main [--quick | --one] [--kernels LIST] [--no-jit] VECTORS
//
// Every vector of every variant runs through every kernel the CPU has, at every
// lane position of seven widths and in one batch of two wide ones, all lanes
// different (the portable kernel: of four). Of the random programs, one height
// stands in every lane and the others in one batch a width. --quick runs one
// batch of two of each variant and two wide ones of four, --one a single hash.
// VECTORS has lines "ALGO HEIGHT INPUT_HEX HASH_HEX", "-" for no input.
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>

#include "../code.h"
#include "../final_hash.h"
#include "../spec.h"
#include "check.h"

enum {
	MAX_VECTORS = 4096, // random ones included
	MAX_RING = ASSAY_CN_MAX_WIDTH,
	GROUPS = 9,   // more than a group, prefetched to L1
	WIDE = 25,    // the least that prefetches to L2
	ROTATED = 16, // up to this width every vector visits every lane;
	ROTATED_SLOW = 4, // in the portable kernel: its tables are slow under the sanitizers
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

static void fail(const char *what) {
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static vector *new_vector(void) {
	if (vector_count == MAX_VECTORS)
		fail("more vectors than MAX_VECTORS");
	return &vectors[vector_count++];
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
		vector *v = new_vector();
		*v = (vector){a, height, in, len, {0}};
		memcpy(v->hash, want, 32);
	}
	fclose(f);
}

// A ring is what a batch may hold together: all vectors of a variant or, where
// a height has a program of its own, one of them; then random inputs, so that
// no two lanes are equal. The portable kernel alone hashed those.
typedef struct {
	uint32_t algo;
	unsigned listed, count; // of entries, the first are public vectors
	vector *entries[MAX_RING];
} ring;

static ring rings[MAX_VECTORS];
static unsigned ring_count;

// again tells whether a ring is not the first of its variant.
static int again(unsigned i) { return i > 0 && rings[i - 1].algo == rings[i].algo; }

static int has_program(uint32_t algo) { return algo == ASSAY_CN_R || algo == ASSAY_CN_WOW; }

// hash runs count entries of a ring from first on as one batch of that width.
static void hash(const ring *r, uint32_t kernel, uint32_t width, unsigned first, unsigned count, unsigned modulus,
                 uint32_t jit, uint8_t *out) {
	uint64_t bytes = 0;
	uint32_t lens[MAX_RING];
	for (unsigned i = 0; i < count; i++)
		bytes += lens[i] = r->entries[(first + i) % modulus]->len;
	uint8_t *in = malloc(bytes ? bytes : 1), *at = in;
	for (unsigned i = 0; i < count; i++) {
		memcpy(at, r->entries[(first + i) % modulus]->in, lens[i]);
		at += lens[i];
	}
	const uint64_t size = assay_cn_arena_size(r->algo, width);
	uint8_t *arena = aligned_alloc(64, size);
	memset(arena, 0xa5, size);
	assay_cn_code *code = NULL;
	if (has_program(r->algo))
		CHECK(assay_cn_code_new(r->algo, r->entries[0]->height, kernel, jit, &code) == ASSAY_CN_OK, "code");
	const int32_t status = assay_cn_hash(r->algo, kernel, width, in, bytes, lens, count, out, 32 * count, arena, size, code);
	CHECK(status == ASSAY_CN_OK, "%s %s x%u: status %d", assay_cn_name(r->algo), kernel_names[kernel], width, status);
	assay_cn_code_free(code);
	free(arena), free(in);
}

// add_random appends inputs of 43 to 299 bytes until the ring has count entries.
static void add_random(ring *r, unsigned count) {
	static uint64_t state = 88172645463325252u;
	while (r->count < count) {
		vector *v = new_vector();
		*v = (vector){r->algo, r->entries[0]->height, NULL, 43 + state % 257, {0}};
		v->in = malloc(v->len);
		for (uint32_t i = 0; i < v->len; i++) {
			state ^= state << 13, state ^= state >> 7, state ^= state << 17;
			v->in[i] = (uint8_t)(state >> 32);
		}
		const unsigned at = r->count++;
		r->entries[at] = v;
		hash(r, ASSAY_CN_PORTABLE, 1, at, 1, r->count, ASSAY_CN_JIT_OFF, v->hash);
	}
}

// wide_ring tells the variants of check_wide.
static int wide_ring(uint32_t a) {
	return a == ASSAY_CN_PICO || a == ASSAY_CN_UPX2 || a == ASSAY_CN_LITE_1 || a == ASSAY_CN_R;
}

static void make_rings(uint32_t only) {
	const unsigned listed = vector_count; // add_random appends
	for (uint32_t a = 1; a <= ASSAY_CN_ALGOS; a++) {
		const unsigned before = ring_count;
		for (unsigned i = 0; i < listed; i++) {
			if (vectors[i].algo != a)
				continue;
			if (ring_count == before || has_program(a))
				rings[ring_count++] = (ring){.algo = a};
			ring *r = &rings[ring_count - 1];
			if (r->count == MAX_RING)
				fail("more vectors of a variant than MAX_RING");
			r->entries[r->count++] = &vectors[i];
			r->listed = r->count;
		}
		CHECK(ring_count > before, "no vector of %s", assay_cn_name(a));
	}
	for (unsigned i = 0; i < ring_count; i++) {
		const unsigned few = only < 2 || again(i) || !wide_ring(rings[i].algo) ? only : WIDE;
		add_random(&rings[i], only ? few : again(i) ? ROTATED : MAX_RING);
	}
}

// check_ring runs one batch (few), or as many as put each vector into each lane.
static void check_ring(const ring *r, uint32_t kernel, uint32_t width, unsigned first, int few, uint32_t jit) {
	const unsigned modulus = r->listed > width ? r->listed : width;
	for (unsigned turn = 0; turn < (few ? 1 : modulus); turn++, first++) {
		uint8_t *out = malloc(32 * width); // exact bounds for the sanitizer
		hash(r, kernel, width, first, width, modulus, jit, out);
		for (unsigned i = 0; i < width; i++)
			CHECK(!memcmp(out + 32 * i, r->entries[(first + i) % modulus]->hash, 32), "%s %s x%u lane %u%s",
			      assay_cn_name(r->algo), kernel_names[kernel], width, i, jit ? " compiled" : "");
		free(out);
	}
}

// check_wide runs batches of the cheapest variants and of one with a program,
// with a part of a group at the end: one whose prefetches go to L1, one to L2.
static void check_wide(uint32_t kernel, int jit) {
	for (unsigned i = 0; i < ring_count; i++) {
		const uint32_t a = rings[i].algo, mode = jit && a == ASSAY_CN_R ? ASSAY_CN_JIT_ON : ASSAY_CN_JIT_OFF;
		if (again(i) || !wide_ring(a))
			continue;
		check_ring(&rings[i], kernel, GROUPS, 0, 1, mode);
		check_ring(&rings[i], kernel, WIDE, 0, 1, mode);
	}
}

// check_kernel: only is 1 for --one, 2 for --quick, 0 for all widths.
static void check_kernel(uint32_t kernel, uint32_t only, int jit) {
	static const uint32_t all[] = {1, 2, 3, 4, 5, 8, 13, WIDE, MAX_RING};
	const uint32_t *widths = only ? &only : all;
	if (only > 1)
		check_wide(kernel, jit);
	for (unsigned i = 0; i < ring_count; i++) {
		const ring *r = &rings[i];
		if (again(i) && only)
			continue;
		for (unsigned w = 0; w < (only ? 1 : sizeof all / sizeof *all); w++) {
			const int few = again(i) || only || widths[w] > (kernel == ASSAY_CN_PORTABLE ? ROTATED_SLOW : ROTATED);
			if (again(i) && widths[w] > ROTATED)
				continue;
			check_ring(r, kernel, widths[w], i, few, ASSAY_CN_JIT_OFF);
			if (jit && has_program(r->algo))
				check_ring(r, kernel, widths[w], i, few, ASSAY_CN_JIT_ON);
		}
	}
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
	int jit = 1;
	uint32_t only = 0;
	const char *kernels = "portable,aesni,avx2,vaes256,vaes512", *path = NULL;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick"))
			only = 2;
		else if (!strcmp(argv[i], "--one"))
			only = 1;
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
	make_rings(only);
	for (uint32_t k = 0; k < ASSAY_CN_KERNELS; k++) {
		if (!strstr(kernels, kernel_names[k]))
			continue;
		if (!has_kernel(k)) {
			printf("%-9s not on this CPU\n", kernel_names[k]);
			continue;
		}
		check_kernel(k, only, jit);
		printf("%-9s %u checks so far, %u failed\n", kernel_names[k], check_count, check_failures);
		fflush(stdout);
	}
	for (unsigned i = 0; i < vector_count; i++)
		free(vectors[i].in);
	return check_failures != 0;
}
