// Package kernels measures every path to a hash, and checks each hash it makes.
//
//	            ┌ for each algorithm ───────────────────────────────────────────┐
//	fixed work ─┤ portable kernel, one lane, interpreted ──▶ reference hashes   │
//	(nonces)    │                                               │ compared      │
//	            │ round 1: path A, path B, path C …  ──hashes───┤ one by one    │
//	            │ round 2: path A, path B, path C …  ──hashes───┤               │
//	            └──────────┬────────────────────────────────────┼───────────────┘
//	                       ▼ medians over rounds                ▼
//	             H/s, time a hash, × one lane, × one thread   checksum, ok or MISMATCH
//
// A path is a kernel, a width (lanes in lockstep; hashes a call for RandomX)
// and a number of threads. The paths of an algorithm take turns, so that a
// slow spell of the machine hurts all of them alike; ratios are taken within
// a round, then the median over rounds. There are as many nonces as the widest
// path has lanes, 16 at least; the checksum is of the first 16.
//
// RunParts takes the same paths apart instead: explode, main loop, implode, and
// the loop again with all lanes confined to L2, which tells instructions from
// misses. Latencies tells what the caches are worth while all that runs.
//
// The time of a hash is the threads' CPU time, which other programs on the
// machine disturb less than the wall clock; the rate is by the wall clock.
package kernels
