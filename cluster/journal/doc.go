// Package journal is a pool's share journal on local disk: what is in it, a miner
// may be told (I2), and Redis will have exactly once (I3).
//
//	Credit, Found, Settle, ClawBack, Vest            any goroutine, never blocks
//	    │ encoded under a mutex into a buffer; the Done goes on a list
//	    ▼
//	committer: write ─▶ fdatasync ─▶ durable end moves ─▶ Done(nil) ─▶ the miner's answer
//	    │   once in Config.Sync               │
//	    │ error, or later than Config.Stall   ▼
//	    ▼                                   Reader.Next: ledger, audit, each with a mark
//	credits: Done(error), never applied       │ Release
//	events: kept                              ▼
//	new segment at the durable end, every   keeper: deletes what all have released
//	250 ms until it works                   and Config.Keep is over for
//
// A position is a number of bytes of records. Files have headers between them that
// do not count, so the End of a segment's last record is the At of the next one's
// first, and a mark means the same after any restart:
//
//	00000000000000000000.journal       00000000000067108871.journal
//	┌────────┬───────┬─────────────┐   ┌────────┬───────┬──────────
//	│ header │ carry │ records     │…  │ header │ carry │ records
//	└────────┴───────┴─────────────┘   └────────┴───────┴──────────
//	                 ▲ base        ▲                    ▲ base = 67108871
//	                 0             prev of the next     prev, sums, salt in the header
//
// The header (header.go) has the sums of all credits before the segment; the carry
// has each found block that is not settled, whole. So old segments can go, and a
// start reads the last segment only. A record (frame.go) has a checksum that begins
// with the segment's random salt and its own position. Wallets, workers and seeds
// have numbers within a segment (names.go, encode.go): a verified credit of a known
// worker costs 15 to 19 bytes, a trusted RandomX share with its work about 140.
//
// # Invariants
//
//   - Done(nil) is called behind fdatasync (with SyncOff: behind the write), and
//     readers see nothing that is not durable in this sense.
//   - Each Done is called once. A credit that was told an error is in no later
//     position: its segment ends at the durable end, the next one's header says so,
//     and a reader stops there whatever the file has behind it. Behind a failed or
//     late call to the disk nothing of that file is called durable any more, also if
//     a later call succeeds: the kernel may have dropped the pages.
//   - If the process ends on a broken or hanging disk before there is a next segment,
//     by a signal too, the next start may find credits that were told an error. What was cut off (failing.go)
//     makes it unlikely. The other way round never happens.
//   - Events are never failed by a disk. They come first in the next good segment,
//     in order. They are bounded: MaxOpen blocks, 65,536 in all, 64 MiB of blocks
//     and an eighth of MaxBytes; an eighth beyond MaxBytes blocks are refused, too.
//   - Positions never repeat: a segment begins at the durable end or above it.
//
// # Restart
//
// A start goes on in a new segment, never in the old one. Bytes that a file system
// brings back behind a repaired end would have the salt and the positions of new
// records there; in a new file they cannot pass. A segment without records gives way
// to the new one, so starts leave nothing behind. A segment gets its name when its
// header is durable, so no crash leaves half a header.
//
// # What is discarded, and who says so
//
//   - A torn end: bytes behind the last valid record with none after them. Nobody was
//     told of them. Cut off by Open, logged with their number.
//   - Damage with valid records behind it is never cut. Readers skip it as KindLost,
//     with file, offset and positions. What credits it had is known from the next
//     header; the whole loss of a segment is told with its first damage, because only
//     that has positions to be counted once by. A credit whose name was in the damage
//     is lost, too, by its own sums: a name is repeated every 256 of its credits.
//   - A missing segment, one whose header is damaged, one under another's name:
//     KindLost by the next header's prev. Copies and files of other journals are
//     never read, and reported at each start.
//   - Damage in the last segment at a start: its sums are unknown, the new header says
//     so. An unreadable last segment: the start falls back on the one before, says
//     so, and begins behind all positions that the unreadable one can have had.
//   - A hole by Skip is intended and no loss.
//
// # Goroutines and locks
//
// committer (commit.go, failing.go), keeper (keeper.go), and for the length of a call
// the watchdog's timer. Lock order: Journal.mu, then shelf.mu. No file is touched, no
// Done called and nothing logged under either.
package journal
