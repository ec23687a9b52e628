// Package pool is the heart of one pool: templates come in and jobs go out,
// verdicts come in and credits and blocks go out.
//
//	daemon ──Offer──▶ Accept: check ▶ seed ready? ▶ Board.Publish ──▶ subscribers (fan-out)
//
//	session ──Submit──▶ verify ──Judged──▶ rejected, shed ──────────────▶ Origin.Reply
//	                                   ├── accepted: Books.Credit ──Committed──▶ Origin.Reply
//	                                   └── then, if a block: Books.Found ▶ queue ──placer──▶ Blocks.Submit
//	                                                ├──Books.Settle──◀── accepted or refused ───────┤
//	                                                └──Books.Settle──◀── Blocks.Locate (asked) ◀ unknown, beside
//
// A miner is answered "accepted" once its credit is durable (I2). Credit only
// starts to write: no hash worker waits for a disk, and the answer comes from the
// goroutine that the books tell the end on. A credit that could not be written is
// answered as shed, and counts for nothing.
//
// The books have a block's share before the block, because both are told on the
// goroutine that judged it: what stands before the block's record is its round. A
// block is a block whatever becomes of its share's credit, and its submission waits
// neither for that nor for the record.
//
// No hash worker ever waits for a daemon (I9): a found block goes into
// a bounded queue, in the order it was found, from which at most Submissions
// goroutines, started when there is a block and gone when there is none, submit.
// A block that finds the queue full is given up with its bytes in the log: a
// worker that waited there would not win it and lose its shares.
//
// A block is found once: its nonce stays used and its id is remembered, whatever
// became of its share's credit.
//
// A block is a block only once a daemon has it on its main chain (I6). When none
// gives a definite answer in SubmitTimeout it may have been taken all the
// same, so the chain is asked for its id, by a goroutine per such block, until it
// has it or has gone on without it; while nobody has it and it can still win it is
// offered again. A block beside the main chain is watched in the same way, for the
// chain may turn to it. Each block is settled once, when its fate is known, however
// late that is. Close asks once more, with time of its own. What nobody knows then
// is settled by nobody: it is still open in the books, and the next start gets it
// by Resume.
//
// A template is published only when its seed can be hashed (I11): a share
// never waits for a cache to be built.
//
// Each new parent is looked at once, in the background (foreign.go): a block with
// an extra nonce of this pool that it did not find means that somebody hands out
// the same jobs.
package pool
