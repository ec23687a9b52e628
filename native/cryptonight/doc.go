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
// CPU time of a hash in ms, kernel vaes512, one thread. First a quiet minute of
// a Zen 5 machine (medians of 11 to 25 interleaved batches), then a Zen 4 one
// whose neighbours leave it some 4 of 32 MiB of L3, and last the same without
// misses, by Profile; bench/RESULTS.md has all variants and the commands.
//
//	             quiet L3                              L3 used up      no misses
//	             x1     x4     x6     x8    x16     x1     x8    x64   x1    x8   bound by, when quiet
//	cn/1       12.7   4.43   3.15   2.98      –   14.8   13.7    4.7   8.5   2.3  L3 latency, then its size
//	cn/2       14.4      –   4.14   4.30      –   18.4   17.6    8.2  15.6   5.3  instructions: shuffles 1/4, square root 1/4, division 1/9
//	cn/r       14.2      –   4.41   4.55      –   17.3   19.6    8.7  13.0   5.2  as cn/2, the program in the division's place
//	cn-lite/1  4.50   2.09   1.48   1.18   1.94    5.5    1.9    2.2   4.2   1.1  L3 latency
//	cn-heavy/0 12.8   4.76   8.51   9.90   8.00   18.2   15.8    5.5   7.1   1.5  size of the L3: pads of 4 MiB
//	cn-pico    1.60   0.53   0.50   0.46   0.40    2.0    0.6    0.7   1.9   0.6  instructions; pads in L2
//	cn/gpu     17.7   15.4   15.4   15.4   15.4   26.8   22.7   23.5  22.1  21.2  float units; kernel aesni, quiet: 58
//
// The shares of cn/2 were found by leaving one part out at a time. A hash of
// cn/gpu is sixteen independent chains already, so one lane nearly fills the
// units.
package cryptonight
