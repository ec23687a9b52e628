// Package crash lets a test end the process at a chosen line, as a power cut of
// the process alone would: what is in the page cache stays, what is in memory is
// gone.
//
//	ASSAY_CRASH=journal-after-reply:3 ──▶ third At(JournalAfterReply) ──▶ SIGKILL
//
// It does so only when built with the tag crashpoints. Without it At is empty and
// is inlined to nothing.
package crash

// Point is a place in the code. A test goes through all of them by [Points].
type Point string

// Env is the variable that names the point to die at: "point", or "point:N" for
// its N-th time, counted from 1.
const Env = "ASSAY_CRASH"

// The places. They are named for what has just been done or comes next.
const (
	JournalBeforeAppend         Point = "journal-before-append"           // a credit is not in any buffer
	JournalAfterWriteBeforeSync Point = "journal-after-write-before-sync" // in the page cache
	JournalAfterSyncBeforeReply Point = "journal-after-sync-before-reply" // durable, nobody knows
	JournalAfterReply           Point = "journal-after-reply"             // a batch's waiters were told
	JournalBeforeFound          Point = "journal-before-found"            // a block's record is not in any buffer
	JournalAfterFound           Point = "journal-after-found"             // a block's record is durable
	JournalSegmentMade          Point = "journal-segment-made"            // a new segment has its file, under another name, empty
	JournalSegmentWritten       Point = "journal-segment-written"         // and its header and carry
	JournalSegmentSynced        Point = "journal-segment-synced"          // and is durable under the other name
	JournalSegmentNamed         Point = "journal-segment-named"           // and has its own name
	JournalSegmentReady         Point = "journal-segment-ready"           // and the folder is durable
	JournalBeforeRemove         Point = "journal-before-remove"           // an old segment is about to go
	JournalAfterRemove          Point = "journal-after-remove"

	LedgerBeforeCall       Point = "ledger-before-call"
	LedgerAfterCall        Point = "ledger-after-call"
	LedgerBeforeCloseEvent Point = "ledger-before-close-event"
	LedgerAfterCloseEvent  Point = "ledger-after-close-event"

	PoolBeforeFound  Point = "pool-before-found"
	PoolAfterFound   Point = "pool-after-found"
	PoolBeforeSubmit Point = "pool-before-submit"
	PoolAfterSubmit  Point = "pool-after-submit"
	PoolBeforeSettle Point = "pool-before-settle"
	PoolAfterSettle  Point = "pool-after-settle"
)

// Points are all of them, in the order of the list above.
func Points() []Point {
	return []Point{
		JournalBeforeAppend, JournalAfterWriteBeforeSync, JournalAfterSyncBeforeReply, JournalAfterReply,
		JournalBeforeFound, JournalAfterFound,
		JournalSegmentMade, JournalSegmentWritten, JournalSegmentSynced, JournalSegmentNamed, JournalSegmentReady,
		JournalBeforeRemove, JournalAfterRemove,
		LedgerBeforeCall, LedgerAfterCall, LedgerBeforeCloseEvent, LedgerAfterCloseEvent,
		PoolBeforeFound, PoolAfterFound, PoolBeforeSubmit, PoolAfterSubmit, PoolBeforeSettle, PoolAfterSettle,
	}
}
