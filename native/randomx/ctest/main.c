/*
 * Standalone test of the C face, without Go: public vectors on two seeds,
 * pipelined against single, the floating point state, and bad arguments.
 * Light mode only. Build and run it with ./run (ASan and UBSan).
 */
#include "../assay_randomx.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(cond)                                                          \
	do {                                                                     \
		if (!(cond)) {                                                       \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);       \
			failures++;                                                      \
		}                                                                    \
	} while (0)

/* tevador/RandomX, src/tests/tests.cpp, tests a to d */
static const char *const inputs[3] = {
	"This is a test",
	"Lorem ipsum dolor sit amet",
	"sed do eiusmod tempor incididunt ut labore et dolore magna aliqua",
};
static const char *const hashes[4] = {
	"639183aae1bf4c9a35884cb46b09cad9175f04efd7684e7262a0ac1c2f0b4e3f",
	"300a0adb47603dedb42228ccb2b211104f4da45af709cd7547cd049e9489c969",
	"c36d4ed4191e617309867ed66a443be4075014e2b061bcdaf9ce7b721d2b77a8",
	"e9ff4503201c0c2cca26d285c93ae883f9b1d30c9eb240b820756f2d5a7905fc", /* the third input, second seed */
};

static int is_hash(const uint8_t *got, const char *want) {
	char hex[65];
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", got[i]);
	return strcmp(hex, want) == 0;
}

static void set_rounding(uint32_t mxcsr) { __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr)); }

static void test_hashes(assay_rx_vm *vm) {
	uint8_t in[256], out[96], one[32];
	uint32_t lens[3];
	uint64_t total = 0;
	for (int i = 0; i < 3; i++) {
		lens[i] = (uint32_t)strlen(inputs[i]);
		memcpy(in + total, inputs[i], lens[i]);
		total += lens[i];
	}
	/* 0x3f80 rounds down, 0x7f80 to zero: neither is what the library leaves. */
	static const uint32_t modes[] = {0x1f80, 0x3f80, 0x7f80};
	for (unsigned m = 0; m < sizeof modes / sizeof modes[0]; m++) {
		memset(out, 0, sizeof out);
		set_rounding(modes[m]);
		uint64_t before = assay_rx_float_state();
		int32_t rc = assay_rx_hash(vm, in, total, lens, 3, out, sizeof out);
		uint64_t after = assay_rx_float_state();
		set_rounding(0x1f80);
		CHECK(rc == ASSAY_RX_OK);
		CHECK((uint32_t)before == modes[m] && before == after);
		for (int i = 0; i < 3; i++)
			CHECK(is_hash(out + 32 * i, hashes[i]));
	}
	uint64_t at = 0;
	for (int i = 0; i < 3; at += lens[i++]) {
		CHECK(assay_rx_hash(vm, in + at, lens[i], &lens[i], 1, one, 32) == ASSAY_RX_OK);
		CHECK(memcmp(one, out + 32 * i, 32) == 0);
	}

	/* The yardstick counts its nonce up to the first four letters of the input. */
	uint32_t nonce;
	memcpy(&nonce, in, 4);
	CHECK(assay_rx_bare_loop(vm, in, lens[0], 0, nonce - 1, 2, one, 32) == ASSAY_RX_OK && is_hash(one, hashes[0]));

	/* An empty input is an input; its pointer may be NULL. */
	uint32_t zero = 0;
	CHECK(assay_rx_hash(vm, NULL, 0, &zero, 1, one, 32) == ASSAY_RX_OK);

	CHECK(assay_rx_hash(NULL, in, total, lens, 3, out, 96) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_hash(vm, NULL, total, lens, 3, out, 96) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_hash(vm, in, total, NULL, 3, out, 96) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_hash(vm, in, total, lens, 0, out, 0) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_hash(vm, in, total, lens, 3, NULL, 96) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_hash(vm, in, total, lens, 3, out, 95) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_hash(vm, in, total - 1, lens, 3, out, 96) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_bare_loop(vm, in, lens[0], 0, 0, 0, one, 32) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_bare_loop(vm, in, lens[0], lens[0] - 3, 0, 1, one, 32) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_bare_loop(vm, in, 3, 0, 0, 1, one, 32) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_bare_loop(vm, in, ASSAY_RX_MAX_BARE_INPUT + 1, 0, 0, 1, one, 32) == ASSAY_RX_ARGUMENT);
}

static void test_bad_arguments(assay_rx_cache *cache) {
	uint8_t key[61] = {1};
	int32_t thp = 0;
	assay_rx_vm *vm = NULL;
	CHECK(assay_rx_cache_alloc(0, NULL) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_cache_init(NULL, key, 1, 0) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_cache_init(cache, NULL, 1, 0) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_cache_init(cache, key, 0, 0) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_cache_init(cache, key, 61, 0) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_vm_light(0, cache, &vm) == ASSAY_RX_ARGUMENT); /* not filled yet: the library would assert */
	CHECK(assay_rx_vm_light(0, NULL, &vm) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_vm_full(0, NULL, &vm) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_vm_set_cache(NULL, cache) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_vm_set_dataset(NULL, NULL) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_dataset_alloc(0, &thp, NULL) == ASSAY_RX_ARGUMENT);
	CHECK(assay_rx_dataset_fill(NULL, cache, 0, 1, 1, 0) == ASSAY_RX_ARGUMENT);
	assay_rx_cache_free(NULL);
	assay_rx_dataset_free(NULL);
	assay_rx_vm_free(NULL);
}

int main(void) {
	uint32_t flags = assay_rx_flags();
	CHECK(assay_rx_probe_exec() >= 0);
	assay_rx_cache *cache = NULL;
	assay_rx_vm *vm = NULL;
	if (assay_rx_cache_alloc(flags, &cache) != ASSAY_RX_OK) {
		fprintf(stderr, "no memory for a cache\n");
		return 1;
	}
	test_bad_arguments(cache);
	CHECK(assay_rx_cache_init(cache, (const uint8_t *)"test key 000", 12, 10) == ASSAY_RX_OK);
	CHECK(assay_rx_vm_light(flags, cache, &vm) == ASSAY_RX_OK);
	if (vm != NULL) {
		test_hashes(vm);
		uint8_t out[32];
		uint32_t len = (uint32_t)strlen(inputs[2]);
		CHECK(assay_rx_cache_init(cache, (const uint8_t *)"test key 001", 12, 0) == ASSAY_RX_OK);
		CHECK(assay_rx_vm_set_cache(vm, cache) == ASSAY_RX_OK);
		CHECK(assay_rx_hash(vm, (const uint8_t *)inputs[2], len, &len, 1, out, 32) == ASSAY_RX_OK);
		CHECK(is_hash(out, hashes[3]));
	}
	assay_rx_vm_free(vm);
	assay_rx_cache_free(cache);
	printf("native/randomx ctest: %s\n", failures == 0 ? "ok" : "FAILED");
	return failures != 0;
}
