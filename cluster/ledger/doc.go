// Package ledger keeps a pool's books in Redis: rounds, wallets, workers,
// blocks, each share counted exactly once (I3).
//
//	Credit / Reject ──▶ open segment: sums per (wallet, worker, minute)
//	                        │ Found cuts it
//	                        ▼
//	      [segment │ find]─[segment │ find]─[open segment]     never sent yet: may still
//	                        │                                  grow and be folded
//	                        │ flusher: the oldest, in pieces of BatchEntries
//	                        ▼
//	      item = (stream, sequence, exact content) ── apply.lua / close.lua ──▶ Redis
//	                        │  kept for RetainFor after its answer: a Redis that
//	                        ▼  comes back with less than it had said gets it again,
//	                     retained                           its rejects excepted
//
// A stream is one start of one node; Redis keeps the last sequence applied of
// each (its mark) and moves it in the same script that moves the sums. So an
// item whose answer was lost is sent again unchanged: it is counted if it was
// not, and answered "duplicate" if it was. An item that skips one is refused
// with the mark, and the ledger goes on from there.
//
// A find waits at the head of the queue until its block is settled (Accepted,
// Rejected, LeaveOpen or SettleTimeout), so the round it closes holds exactly this node's
// shares up to the finder's. A block accepted later than that closes whatever
// round is then open, and so does one that an earlier start has left open (Reopen).
// The block id makes closing repeatable.
//
// Order per node is the queue's; between nodes it is the order in which Redis
// runs the scripts. Each share is in one round, each block closes one round.
//
// Locks: Ledger.mu guards the queue and all that hangs on it. Nothing is called
// and nothing is sent while it is held, and no work under it grows with what
// waits: event loops take it for each refused share. Entries are kept in chunks
// that are never copied, folding goes on by a few cells a call (fold.go), and a
// segment is read and emptied only when it is the flusher's alone. The items are
// the flusher's alone, too.
//
// A pool's keys are tied to its coin and wallet by the first node that opens them
// (identity.lua): another one is refused at start, or two coins would share rounds.
//
// Redis may refuse writes for long: READONLY after a failover, OOM, a full disk.
// Nothing is dropped then, the item waits; Status and the metrics tell, as of the
// moment they are read, what waits and since when nothing was written, and the log
// says it again and again (trouble.go). An idle flusher writes its mark, to learn
// of it too.
//
// Refused shares cost their sender no hash, so they never crowd out credits: they
// have a part of the room (rejectPart), calls of their own, and once confirmed
// only an empty call is retained of them.
//
// Two things come later and have their place here: the journal on disk, which
// will feed Credit again after a crash of the node (until then what Redis has
// not confirmed dies with the process), and node leases with fencing (until then
// a node prefix is a number counted up in Redis, one per start).
package ledger
