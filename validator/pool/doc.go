// Package pool is the heart of one pool: templates come in and jobs go out,
// verdicts come in and credits and blocks go out.
//
//	daemon ──Offer──▶ Accept: check ▶ seed ready? ▶ Board.Publish ──▶ subscribers (fan-out)
//
//	session ──Submit──▶ verify ──Judged──▶ accepted: Ledger.Credit
//	                                   ├── block: Ledger.Found ▶ queue ──placer──▶ Keeper.Keep ▶ Blocks.Submit
//	                                   │            ├──settled──◀── accepted or rejected ────────────┤
//	                                   │            └──settled──◀── Blocks.Locate (asked) ◀─ unknown ┘
//	                                   └──▶ Origin.Reply
//
// A block's share is credited, and its round cut, before its miner is
// answered. No hash worker ever waits for a daemon (I9): a found block goes into
// a bounded queue, in the order it was found, from which at most Submissions
// goroutines, started when there is a block and gone when there is none, submit.
// A block that finds the queue full is given up with its bytes in the log: a
// worker that waited there would not win it and lose its shares.
//
// A block is found once: its nonce stays used and its id is remembered, whatever
// became of its share's credit.
//
// A block is a block only once a daemon has it on its main chain (I6). Before the
// first daemon gets it its record is on disk, or the disk has had its second. When
// none gives a definite answer in SubmitTimeout it may have been taken all the
// same, so the chain is asked for its id, by a goroutine per such block, until it
// has it or has gone on without it; while nobody has it and it can still win it is
// offered again. Its round then closes late, which the Ledger knows how to do.
// Close asks once more, with time of its own, and leaves what nobody knows to the
// next start, which gets it by Resume.
//
// A template is published only when its seed can be hashed (I11): a share
// never waits for a cache to be built.
//
// Each new parent is looked at once, in the background (foreign.go): a block with
// an extra nonce of this pool that it did not find means that somebody hands out
// the same jobs.
//
// The credit is told to the Ledger before the reply, which is where a journal
// on disk takes its place: reply once the share is durable (I2).
package pool
