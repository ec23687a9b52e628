// Package validator holds the words the whole share pipeline speaks: the share
// a miner submitted, the verdict on it, and the reasons for saying no.
//
//	netio ──Share──▶ verify queue (bounded) ──batch──▶ hash worker (OS thread)
//	                                                    │ verdict
//	        cluster/ledger ◀──credit── verify ◀─────────┤
//	        netio/daemon   ◀──block─── verify           │
//	netio ◀──reply, on the session's event loop ◀───────┘
//
// The parts, each a package of its own:
//
//	coin    what a coin is: algorithm schedule, addresses, seeds (data)
//	blob    bytes: templates, hashing blobs, tree hash, difficulty, targets
//	job     templates and the jobs made from them; what is stale; duplicates
//	verify  the bounded queue, the workers, and what follows from a hash
//
// Invariant I1: received = accepted + rejected + shed, on every node, always.
// Every [Share] that enters the pipeline leaves it with exactly one [Verdict].
package validator
