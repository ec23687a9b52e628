// CN_KERNEL instantiates the templates for one instruction set and collects
// them in the table of that kernel. The including file has defined CN_ISA,
// CN_AESENC, CN_VECTOR_CODE and the vector words of pads.h and gpu.h.
//
// CN_VECTOR_CODE is 1 where random programs may run as AVX2 code.
#include "gpu.h"
#include "loop_random.h"
#include "pads.h"

#define CN_RUN_LOOP(flags)                                  \
	if ((flags)&CN_F_V4) {                                   \
		cn_loop_random(lanes, n, flags, spec, code);         \
	} else {                                                 \
		(void)code;                                          \
		cn_loop(lanes, n, flags, spec);                      \
	}
#define CN_DEFINE_LOOP(name, flags)                                                                             \
	CN_ISA static void near_##name(cn_lane *lanes, uint32_t n, const cn_spec *spec, const assay_cn_code *code) { \
		CN_RUN_LOOP(flags)                                                                                      \
	}                                                                                                           \
	CN_ISA static void far_##name(cn_lane *lanes, uint32_t n, const cn_spec *spec, const assay_cn_code *code) {  \
		CN_RUN_LOOP((flags) | CN_F_FAR)                                                                         \
	}                                                                                                           \
	CN_ISA static void loop_##name(cn_lane *lanes, uint32_t n, const cn_spec *spec, const assay_cn_code *code) { \
		(n < CN_FAR_LEAST ? near_##name : far_##name)(lanes, n, spec, code);                                     \
	}
CN_LOOPS(CN_DEFINE_LOOP)

#define CN_LOOP_ENTRY(name, flags) [CN_LOOP_##name] = loop_##name,
#define CN_KERNEL(symbol)                                      \
	const cn_kernel symbol = {                                 \
		.explode = cn_explode,                                 \
		.explode_gpu = cn_explode_gpu,                         \
		.implode = cn_implode,                                 \
		.loop = {CN_LOOPS(CN_LOOP_ENTRY)[CN_LOOP_gpu] = cn_loop_gpu}, \
	};
