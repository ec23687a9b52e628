//go:build amd64

// Life of a random program: one mapping, written once, never writable and
// executable at the same time.
//
//	┌ page 0: struct assay_cn_code, read-write ┬ page 1: machine code, read-execute ┐
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#endif
#include <sys/mman.h>

#include "compile.h"

enum { PAGE = 4096 };

_Static_assert(sizeof(struct assay_cn_code) <= PAGE, "a program fits a page");

// make_executable compiles into page and seals it. Hardened systems refuse
// the last step (SELinux execmem, MDWE, PaX): then the program is interpreted.
static void make_executable(assay_cn_code *code, uint8_t *page) {
	cn_writer w = {page, 0, PAGE};
	uint64_t group = 0;
	const int has_avx2 = code->kernel >= ASSAY_CN_AVX2;
	if (has_avx2)
		group = assay_cn_compile_group(code, code->kernel >= ASSAY_CN_VAES512, &w);
	const uint64_t lane = assay_cn_compile_lane(code, &w);
	if (w.at > PAGE || mprotect(page, PAGE, PROT_READ | PROT_EXEC))
		return;
	uint8_t *at = page + lane;
	memcpy(&code->run_lane, &at, sizeof at); // ISO C has no cast from data to function
	at = page + group;
	if (has_avx2)
		memcpy(&code->run_group, &at, sizeof at);
}

int32_t assay_cn_code_new(uint32_t algo, uint64_t height, uint32_t kernel, uint32_t jit, assay_cn_code **out) {
	if (!out)
		return ASSAY_CN_ERR_CODE;
	*out = NULL;
	if ((algo != ASSAY_CN_R && algo != ASSAY_CN_WOW) || kernel >= ASSAY_CN_KERNELS)
		return ASSAY_CN_ERR_ALGO;
	uint8_t *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return ASSAY_CN_ERR_MEMORY;
	assay_cn_code *code = (assay_cn_code *)(void *)map;
	code->height = height;
	code->algo = algo;
	code->kernel = kernel;
	code->mapped = 2 * PAGE;
	if (assay_cn_generate(code, height, algo == ASSAY_CN_WOW)) {
		assay_cn_code_free(code);
		return ASSAY_CN_ERR_CODE;
	}
	if (jit == ASSAY_CN_JIT_ON)
		make_executable(code, map + PAGE);
	*out = code;
	return ASSAY_CN_OK;
}

void assay_cn_code_free(assay_cn_code *code) {
	if (code)
		munmap(code, code->mapped);
}

int32_t assay_cn_code_compiled(const assay_cn_code *code) { return code && code->run_lane; }
