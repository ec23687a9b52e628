// A writer of machine code that never runs over its page: what does not fit
// is counted, not written, and the caller finds the length too large.
#ifndef ASSAY_CN_COMPILE_H
#define ASSAY_CN_COMPILE_H

#include "code.h"

typedef struct {
	uint8_t *page;
	uint64_t at, size;
} cn_writer;

CN_INLINE void cn_put(cn_writer *w, uint8_t byte) {
	if (w->at < w->size)
		w->page[w->at] = byte;
	w->at++;
}

CN_INLINE void cn_put32(cn_writer *w, uint32_t v) {
	for (unsigned i = 0; i < 4; i++)
		cn_put(w, (uint8_t)(v >> (8 * i)));
}

CN_INLINE void cn_align(cn_writer *w, uint64_t to) {
	while (w->at % to)
		cn_put(w, 0xcc); // int3: nothing runs into it
}

// Both append the machine code of a program and return where it begins.
// rotates says that the CPU has the vector rotations of AVX-512VL.
CN_HIDDEN uint64_t assay_cn_compile_group(const assay_cn_code *code, int rotates, cn_writer *w);
CN_HIDDEN uint64_t assay_cn_compile_lane(const assay_cn_code *code, cn_writer *w);

#endif
