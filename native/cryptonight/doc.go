// Package cryptonight hashes every variant of CryptoNight, in batches.
//
//	inputs ──Keccak──▶ states ──explode──▶ scratchpads   2 MiB each, one arena a worker
//	                                           │
//	             main loop, N lanes in lockstep│         N cache misses at a time instead of one
//	                                           ▼
//	hashes ◀─BLAKE, Grøstl, JH or Skein── states ◀──implode──┘
//
// An Engine picks the kernel (instruction set) by CPU features, tests it
// against public vectors, and knows the width (lanes in lockstep) that is
// best for each algorithm on this machine's caches. A Worker owns the
// scratchpads of one OS thread and hashes batches of any size with them.
//
// The C tree beside this file compiles on its own (ctest/run):
//
//	assay_cn.h    the narrow header cgo sees        hash.c       checks, groups, phases
//	spec.[hc]     variants as data                  kernel_*.c   one instruction set each:
//	loop*.h       the main loop, one template        ├ loop.h, loop_random.h, loop_math.h
//	pads.h        explode and implode                ├ pads.h
//	gpu.h         cn/gpu                             └ gpu.h
//	generate.c, compile_*.c, code.c                 CN/R's random programs
//	blake256.c, groestl256.c, jh256.c, skein512.c, keccak.c, aes_soft.c
package cryptonight
