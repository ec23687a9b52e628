// Package validator holds the words the whole share pipeline speaks: the verdict on
// a share that a miner submitted, and the reasons for saying no.
//
//	netio ──Share──▶ pool ──Task──▶ verify queue (bounded) ──batch──▶ hash worker (OS thread)
//	                                                                  │ verdict
//	                 pool ◀──Judged───────────────────────────────────┘
//	                  ├── accepted: credit ──▶ cluster's books (a journal) ──durable──┐
//	                  ├── block: record ─────▶ the same, behind the credit            │
//	                  │        └─────────────▶ netio/daemon                           │
//	                  └── rejected or shed ──┐                                        │
//	netio ◀──reply, on the session's loop ◀──┴────────────────────────────────────────┘
//
// The parts, each a package of its own:
//
//	coin    what a coin is: algorithm schedule, addresses, seeds (data)
//	blob    bytes: templates, hashing blobs, tree hash, difficulty, targets
//	job     templates and the jobs made from them; what is stale; duplicates
//	verify  the bounded queue, the hash workers, and what a hash meets
//	pool    one pool: templates in and jobs out, credits and blocks to the books
//
// Invariant I1: received = accepted + rejected + shed, on every node, always.
// Every share that enters the pipeline leaves it with exactly one [Verdict].
//
// Invariant I2: accepted means durable. No miner is told "accepted" before its
// credit is where the end of the process cannot take it back.
package validator
