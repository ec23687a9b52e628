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
// One thread of a shared Zen 5 machine, kernel vaes512, CPU time of a whole
// hash in ms, median of 11 to 25 interleaved runs in a quiet minute. The L3 is
// shared with other virtual machines: at other times 5 MiB of its 32 are left,
// x8 then costs 10 ms or more, and Calibrate settles on x3 or x4.
//
//	             x1     x4     x5     x6     x8    x16   bound by, at the best width
//	cn/1       12.7   4.43   3.64   3.15   2.98      –   L3 latency, then L3 capacity
//	cn/2       14.4      –   4.42   4.14   4.30      –   instructions: shuffles 1/4, square root 1/4, division 1/9
//	cn/r       14.2      –   4.73   4.41   4.55      –   as cn/2
//	cn/half    7.38   2.50   2.35   2.22   2.40   5.08   as cn/2
//	cn/ccx     6.76   2.33   1.95   1.71   1.83      –   L3 latency
//	cn-lite/1  4.50   2.09   1.75   1.48   1.18   1.94   L3 latency
//	cn-heavy/0 12.8   4.76   5.90   8.51   9.90   8.00   L3 capacity: pads of 4 MiB
//	cn-pico    1.60   0.53   0.52   0.50   0.46   0.40   instructions; pads in L2
//	cn/upx2    0.42   0.14   0.14   0.13   0.12   0.11   instructions; pads in L2
//	cn/gpu     17.7   15.4   15.3   15.4   15.4   15.4   float units; kernel aesni: 58
//
// The shares of cn/2 were found by leaving one part out at a time, with pads
// of 512 KiB so that the cache is no limit. With such pads cn/1 runs at 2.1 ms
// and cn/2 at 3.5 ms a hash at x8. A hash of cn/gpu is sixteen independent
// chains already, so one lane nearly fills the units that x2 fills. Explode and
// implode take 0.10 ms of a cn/1 hash in a batch, about 3.5 %.
package cryptonight
