// Package verify proves the work behind shares, on threads of its own.
//
//	event loops ──Submit──▶ queue ──Batch──▶ worker 0…n (pinned OS thread)
//	                        │ candidates        │ hashing blob, native hash
//	                        │ crowded ones      │
//	                        │ shares            │ compare with claim, network
//	                        │ unproven ones     │
//	                        ▼ full, too late    ▼
//	                       shed ───────────▶ Sink.Judged, exactly once a share
//
// The queue is bounded, and fair by sender: within a class service goes round by
// host (IP address; IPv6: its /64), and within a host by wallet, so that many
// connections or wallets of one machine get no more of the hash threads than
// one. When a class is full, the newest share of the sender with the longest
// line gives way, not the newcomer. Classes share by weight, and the keys of a
// class by the hosts that wait: see schedule.go and fair.go.
//
// Sessions that have had no share accepted yet are in classes of their own, with
// a small weight.
//
// A block candidate waits for a running batch if all workers have one, and for
// one batch of plain shares between two of candidates. A batch holds shares of
// one pow.Key only (algorithm, seed or height), of all senders in turn, so
// that a kernel can interleave them. A share that has waited longer than the
// deadline is shed, not hashed: its miner would have given up on the answer.
//
// Submit never blocks (I10). Every share handed to Submit is judged exactly
// once, also when the pool is closed (I1, I9). One share costs at most one
// hash (I12). A wrong hash is the miner's fault alone: a seed that is gone or a
// library that fails sheds the share.
//
// # Locks
//
// The queue's mutex is the only one, and it is a leaf: with it held nothing
// else is locked, no Hasher is asked and no Sink is told. So it never spans the
// locks behind them, those of the RandomX manager and of the ledger:
//
//	Hasher.Batch, Hasher.Hash ─▶ RandomX manager   without the queue's mutex
//	Sink.Judged ─▶ ledger                          without the queue's mutex
//	event loop ─▶ Submit ─▶ queue's mutex          for O(1), never over a call
//
// Trust decisions and audits take their place between Submit and the queue;
// other nodes' batches are one more class of the queue.
package verify
