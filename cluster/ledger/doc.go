// Package ledger keeps a pool's books in Redis: chunks of credit, rounds, blocks,
// wallets and workers, each share counted exactly once (I3).
//
//	journal (disk) ──read from the mark──▶ batch: a range (from, to], summed by wallet,
//	    ▲                                    │     worker and minute; at most one event ends it
//	    │ Seek(mark)                         ▼
//	    └──"mark is elsewhere"── apply.lua: is from the mark? ── yes ──▶ chunks, counters,
//	                                         ▲                           blocks, rounds; mark = to
//	        rejects (memory) ──ride along────┘
//
// # Exactly once
//
// The journal is the stream, and the mark in Redis is a position in it. One script
// applies a range and moves the mark, and it does so only if the range begins at the
// mark. A range whose answer was lost is offered again: it is applied if it was not,
// and if it was the mark says so. A Redis that comes back with less than it had
// confirmed (a crash within its fsync window, a failover to a lagging replica, an
// older dump, an empty one) has an older mark, and the journal is read again from
// there. So nothing is kept in memory for a repetition, whatever it takes: a Redis
// that is away for an hour costs disk.
//
// A mark older than the journal, or bytes of it that are damaged, are a gap: its sums
// are told to the unit (the journal's headers have them), it is listed in Redis,
// counted, and an alarm. Then the range behind it is applied.
//
// Refused shares are statistics. They are not journalled; they ride along with a
// range, or alone, and may be lost with the process.
//
// # Chunks, rounds, blocks
//
//	chunk   1      2      3      4      5      6      7
//	     ───────┬──────┬──────┬──────┬──────┬──────┬─ ─ ─ ▶ credit
//	          full   block A  full  full  block B full  open
//	     └─ round of A ┘└──── round of B ─────┘└─ open ─
//
// Credit lands in the open chunk. A chunk is cut when it is full (size.go) and at
// every found block, so that the finder's share and all before it of that node are
// in the chunks up to the cut. A round is the chunks between the cuts of two blocks
// that were accepted, whenever that became known: a block that is accepted late takes
// its chunks from the round behind it, and one that is refused leaves only a cut. A
// PPLNS window is a range of chunks, too, the oldest in part ([Reader.Window]).
// Each wallet has a verified and an unverified sum in a chunk; trust moves one to
// the other (vest) or empties it (claw-back), by records of the journal.
//
// A chunk remembers up to where each journal is in it. So an audit ([Audit]) adds up
// the journals again and compares to the unit, whatever the order of many nodes was.
//
// Chunks of paid rounds are put away as one compressed value a round (archive.go).
//
// Order per node is the journal's; between nodes it is the order in which Redis runs
// the scripts. Each share is in one chunk, each block closes at most one round.
//
// # Who may touch what
//
// The flusher's goroutine owns the reader of the journal, the batch and all that is
// said to Redis. Ledger.mu guards what others read of it, rejects.mu the refusals that
// wait; both are leaves, held for a few instructions.
//
// A pool's keys are tied to its coin and wallet by the first node that opens them
// (identity.lua): another one is refused at start, or two coins would share rounds.
// Keys of an earlier layout are refused, too.
//
// Redis may refuse writes for long: READONLY after a failover, OOM, a full disk.
// Status and the metrics tell, as of the moment they are read, how much of the journal
// waits and since when nothing was written, and the log says it again and again
// (trouble.go). An idle flusher applies a range of nothing, to learn of it too.
//
// Node leases with fencing have their place in Open, which now takes a number counted
// up in Redis as this start's prefix.
package ledger
