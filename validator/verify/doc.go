// Package verify proves the work behind shares, on threads of its own.
//
//	Submit(Task = Work + class + sender)
//	   │
//	   ▼          classes, by weight            by host, then by wallet
//	 queue ─┬─ candidate ───────────┐
//	        ├─ unproven candidate ──┤
//	        ├─ crowded candidate ───┼──▶ next bin (one key) ──Batch──▶ worker 0…n (pinned OS thread)
//	        ├─ share ───────────────┤                                   │ inputs, native hash
//	        ├─ unproven ────────────┤                                   │ compare with claim,
//	        └─ … as the rules say ──┘                                   │ then with the goals
//	   │                                                                ▼
//	   └──full, too late: shed──────────────────────────▶ Sink.Judged, exactly once a task
//
// A [Work] is all that a hash needs and refers to nothing: no session, no template.
// A [Task] is a work with its place in the order of service. What follows from a
// verdict is for the sink to do.
//
// The queue is bounded, and fair by sender: within a class service goes round by
// host (IP address; IPv6: its /64), and within a host by wallet, so that many
// connections or wallets of one machine get no more of the hash threads than
// one. When a class is full, the newest task of the sender with the longest
// line gives way, not the newcomer: to the class below, or it is shed. Classes
// share by weight, and the keys of a class by the hosts that wait: see
// schedule.go and fair.go. There are as many classes as the rules say (rules.go);
// which one a task is of is for its submitter to know.
//
// By the default rules sessions that have had no share accepted yet are in classes
// of their own, with a small weight. A block candidate waits for a running batch if
// all workers have one, and for one batch of plain shares between two of
// candidates.
//
// A batch holds tasks of one pow.Key only (algorithm, seed or height), of all
// senders in turn, so that a kernel can interleave them. A task that has waited
// longer than the deadline, in a class that has one, is shed, not hashed: its
// miner would have given up on the answer.
//
// Submit never blocks (I10). Every task handed to Submit is judged exactly
// once, also when the verifier is closed (I1, I9). One task costs at most one
// hash (I12). A wrong hash is the miner's fault alone: a seed that is gone or a
// library that fails sheds the task.
//
// # Locks
//
// The queue's mutex is the only one, and it is a leaf: with it held nothing
// else is locked, no Hasher is asked and no Sink is told. So it never spans the
// locks behind them, those of the RandomX manager and of the books:
//
//	Hasher.Batch, Hasher.Hash ─▶ RandomX manager   without the queue's mutex
//	Sink.Judged ─▶ books                           without the queue's mutex
//	event loop ─▶ Submit ─▶ queue's mutex          for O(1), never over a call
package verify
