// Package verify proves the work behind shares, on threads of its own.
//
//	event loops ──Submit──▶ queue ──Batch──▶ worker 0…n (pinned OS thread)
//	                        │ candidates        │ hashing blob, native hash
//	                        │ shares            │ compare with claim, network
//	                        ▼ full, too late    ▼
//	                       shed ───────────▶ Sink.Judged, exactly once a share
//
// The queue is bounded. A block candidate waits for a running batch if all
// workers have one, and for one batch of plain shares between two of
// candidates; never for more. A batch holds shares of one pow.Key only (algorithm, seed or height), so
// that a kernel can interleave them. A share that has waited longer than the
// deadline is shed, not hashed: its miner would have given up on the answer.
//
// Submit never blocks (I10). Every share handed to Submit is judged exactly
// once, also when the pool is closed (I1, I9). One share costs at most one
// hash (I12).
//
// Trust decisions and audits take their place between Submit and the queue;
// other nodes' batches are one more class of the queue.
package verify
