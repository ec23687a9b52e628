//go:build amd64

// Life of a random program: one mapping, written once, never writable and
// executable at the same time.
//
//	┌ page 0: struct assay_cn_code, read-write ┬ page 1: machine code, read-execute ┐
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE // MAP_ANONYMOUS
#endif
#include <sys/mman.h>

#include "code.h"

enum { PAGE = 4096 };

_Static_assert(sizeof(struct assay_cn_code) <= PAGE, "a program fits a page");

// make_executable compiles into page and seals it. Hardened systems refuse
// the last step (SELinux execmem, MDWE, PaX): then the program is interpreted.
static cn_program_fn make_executable(const assay_cn_code *code, uint8_t *page) {
	const uint64_t entry = assay_cn_compile(code, code->kernel >= ASSAY_CN_VAES512, page, PAGE);
	if (!entry || mprotect(page, PAGE, PROT_READ | PROT_EXEC))
		return NULL;
	cn_program_fn fn;
	uint8_t *at = page + entry;
	memcpy(&fn, &at, sizeof fn); // ISO C has no cast from data to function
	return fn;
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
	if (jit == ASSAY_CN_JIT_ON && kernel >= ASSAY_CN_AVX2)
		code->run = make_executable(code, map + PAGE);
	*out = code;
	return ASSAY_CN_OK;
}

void assay_cn_code_free(assay_cn_code *code) {
	if (code)
		munmap(code, code->mapped);
}

int32_t assay_cn_code_compiled(const assay_cn_code *code) { return code && code->run; }
