// Package pool is the heart of one pool: templates come in and jobs go out,
// verdicts come in and credits and blocks go out.
//
//	daemon ──Offer──▶ Accept: check ▶ seed ready? ▶ Board.Publish ──▶ subscribers (fan-out)
//
//	session ──Submit──▶ verify ──Judged──▶ accepted: Ledger.Credit
//	                                   ├── block: Ledger.Found ▶ Blocks.Submit (own goroutine)
//	                                   │            └──settled──◀── accepted or rejected
//	                                   └──▶ Origin.Reply
//
// A block's share is credited, and its round cut, before its miner is
// answered; the daemon is asked on a goroutine of its own, so no hash worker
// waits for it. A block is a block only once a daemon has accepted it (I6).
//
// A template is published only when its seed can be hashed (I11): a share
// never waits for a cache to be built.
//
// The credit is told to the Ledger before the reply, which is where a journal
// on disk takes its place: reply once the share is durable (I2).
package pool
