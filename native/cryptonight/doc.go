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
//
// # Speed
//
// Three things can bound a batch, and the width decides which:
//
//	lanes        where          what a step of all lanes waits for
//	up to 8      L3 is ours     L3 latency, hidden behind the other lanes' work
//	             L3 is others'  one memory latency; 8 lanes are as slow as one
//	25 to 64     L3 is others'  misses under way: prefetched to L2, more than L1 can track
//	8 and more   pads in L2     instructions
//
// CPU time of a hash in ms, kernel vaes512, one thread of a Zen 4 machine whose
// neighbours leave it some 4 of 32 MiB of L3, and the same without misses, by
// Profile. bench/RESULTS.md has all variants, the command, and what an L3 of our
// own gave on another machine.
//
//	             L3 used up          no misses
//	             x1     x8    x64    x1    x8   bound by, without misses
//	cn/1        14.8   15.6    4.6   8.6   2.2  out-of-order window
//	cn/2        16.7   17.3    6.8  10.0   4.3  instructions, a quarter of the time its math
//	cn/r        17.6   18.9    8.0  12.8   4.6  instructions of the program and the shuffles
//	cn-lite/1    5.4    2.4    2.2   4.2   1.1  as cn/1
//	cn-heavy/0  17.2   14.5    4.2   6.9   1.4  as cn/1
//	cn-pico      1.2    0.6    0.6   1.2   0.5  as cn/2
//	cn/gpu      26.9   22.7   23.4  22.2  21.2  float units
//
// A hash of cn/gpu is sixteen independent chains already, so one lane nearly
// fills the units.
package cryptonight
