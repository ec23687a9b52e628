// Package pow is one thread's proof of work, of any algorithm.
//
//	Key{algorithm, seed or height} + inputs ──▶ Worker.Hash ──▶ 32 bytes each
//	                                              │
//	               rx/*: native/randomx ◀─────────┼─────────▶ native/cryptonight: cn*
//	          epoch by seed, VMs of its own       │      scratchpads of its own: one arena for
//	                                              │      all expected algorithms, filled with memory at the start;
//	                                              │      another for all others, at the first hash of one
//
// What the threads share (RandomX's epochs, CryptoNight's kernel) is in
// [Engines]; what one thread owns is in a [Worker]. Verifying, mining and
// settling a dispute about a share all hash through here.
package pow
