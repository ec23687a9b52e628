//go:build amd64

#include "spec.h"

#define KIB 1024u
#define MIB (1024u * KIB)

// The parameter table. The first column's order is that of enum assay_cn_algo.
//
// cn-pico's mask reaches only the lower half of its pad, so the upper half is
// never kept: implode makes it again, chunk by chunk.
const cn_spec assay_cn_specs[ASSAY_CN_ALGOS] = {
	{"cn/0", 2 * MIB, 2 * MIB, 0x80000, 0x1ffff0, 0, CN_LOOP_v0},
	{"cn/1", 2 * MIB, 2 * MIB, 0x80000, 0x1ffff0, CN_F_V1, CN_LOOP_v1},
	{"cn/xtl", 2 * MIB, 2 * MIB, 0x80000, 0x1ffff0, CN_F_V1 | CN_F_XTL, CN_LOOP_xtl},
	{"cn/rto", 2 * MIB, 2 * MIB, 0x80000, 0x1ffff0, CN_F_V1 | CN_F_RTO, CN_LOOP_rto},
	{"cn/fast", 2 * MIB, 2 * MIB, 0x40000, 0x1ffff0, CN_F_V1, CN_LOOP_v1},
	{"cn/xao", 2 * MIB, 2 * MIB, 0x100000, 0x1ffff0, 0, CN_LOOP_v0},
	{"cn/2", 2 * MIB, 2 * MIB, 0x80000, 0x1ffff0, CN_F_V2, CN_LOOP_v2},
	{"cn/half", 2 * MIB, 2 * MIB, 0x40000, 0x1ffff0, CN_F_V2, CN_LOOP_v2},
	{"cn/zls", 2 * MIB, 2 * MIB, 0x60000, 0x1ffff0, CN_F_V2, CN_LOOP_v2},
	{"cn/double", 2 * MIB, 2 * MIB, 0x100000, 0x1ffff0, CN_F_V2, CN_LOOP_v2},
	{"cn/rwz", 2 * MIB, 2 * MIB, 0x60000, 0x1ffff0, CN_F_V2 | CN_F_REVERSED, CN_LOOP_v2r},
	{"cn/r", 2 * MIB, 2 * MIB, 0x80000, 0x1ffff0, CN_F_V4, CN_LOOP_v4},
	{"cn/wow", 2 * MIB, 2 * MIB, 0x80000, 0x1ffff0, CN_F_V4 | CN_F_WOW, CN_LOOP_wow},
	{"cn/ccx", 2 * MIB, 2 * MIB, 0x40000, 0x1ffff0, CN_F_CCX, CN_LOOP_ccx},
	{"cn/gpu", 2 * MIB, 2 * MIB, 0xc000, 0x1fffc0, CN_F_GPU | CN_F_HEAVY, CN_LOOP_gpu},
	{"cn-lite/0", 1 * MIB, 1 * MIB, 0x40000, 0xffff0, 0, CN_LOOP_v0},
	{"cn-lite/1", 1 * MIB, 1 * MIB, 0x40000, 0xffff0, CN_F_V1, CN_LOOP_v1},
	{"cn-heavy/0", 4 * MIB, 4 * MIB, 0x40000, 0x3ffff0, CN_F_HEAVY, CN_LOOP_heavy},
	{"cn-heavy/xhv", 4 * MIB, 4 * MIB, 0x40000, 0x3ffff0, CN_F_HEAVY | CN_F_XHV, CN_LOOP_xhv},
	{"cn-heavy/tube", 4 * MIB, 4 * MIB, 0x40000, 0x3ffff0, CN_F_HEAVY | CN_F_V1 | CN_F_RTO | CN_F_TUBE, CN_LOOP_tube},
	{"cn-pico", 256 * KIB, 128 * KIB, 0x10000, 0x1fff0, CN_F_V2, CN_LOOP_v2},
	{"cn-pico/tlo", 256 * KIB, 256 * KIB, 0x10000, 0x3fff0, CN_F_V2, CN_LOOP_v2},
	{"cn/upx2", 128 * KIB, 128 * KIB, 0x4000, 0x1fff0, CN_F_V2 | CN_F_REVERSED, CN_LOOP_v2r},
};
