package journal

import (
	"time"

	"github.com/assay-pool/assay/validator/verify"
)

// Position is a place in a journal: the bytes of all records before it, since the
// journal was made. 0 is before everything. It only grows, also over restarts,
// segments and holes, and is the boundary of two records wherever it was given out.
type Position uint64

// Done is told once what became of a record.
type Done interface {
	// Committed is called exactly once, on the committer's goroutine or, with an
	// error, on the caller's; it must not block. nil is durable. After an error the
	// record is not in the journal and never will be.
	Committed(err error)
}

// Kind is what a Record has.
type Kind uint8

// The kinds of records. KindLost is on no disk: a reader makes it of what it
// cannot read.
const (
	KindCredit Kind = iota + 1
	KindFound
	KindSettled
	KindClawBack
	KindVest
	KindLost
)

var kindNames = [...]string{KindCredit: "credit", KindFound: "found", KindSettled: "settled", KindClawBack: "clawback", KindVest: "vest", KindLost: "lost"}

// String is the kind's name in metrics and logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}

// Credit is one accepted share.
type Credit struct {
	Wallet, Worker string    // at most MaxName bytes each
	Difficulty     uint64    // of the job the share was for; 1 to 2^63-1
	Time           time.Time // when it arrived; kept in milliseconds
	// Work is nil for a share that was verified. A share that was trusted has all
	// that is needed to verify it later.
	Work *verify.Work
}

// Block is a found block.
type Block struct {
	ID             [32]byte
	Height         uint64
	Difficulty     string // of the network, decimal
	Reward         uint64 // atomic units, as the template expects it
	Wallet, Worker string // the finder
	Node           string // that found it
	Time           time.Time
}

// Found is a proven block on its way to the daemons.
type Found struct {
	Block
	Bytes []byte // as a daemon takes it; at most MaxBlock
}

// Settled is a block whose fate is known. It has the whole block, so that it can
// be booked if its Found was never written.
type Settled struct {
	Block
	Accepted bool
	Daemon   string // that took it
	Reason   string // for a refusal
	At       time.Time
}

// ClawBack takes a wallet's unverified credit away, all of it up to here.
type ClawBack struct {
	Wallet, Reason string
	At             time.Time
}

// Vest makes unverified credit of a wallet verified, the oldest first.
type Vest struct {
	Wallet string
	Hashes uint64
	Until  Position // every share up to there was audited
	At     time.Time
}

// Sums are of all credits of a journal up to a position, verified and not.
type Sums struct{ Hashes, Shares uint64 }

// Lost is a part of the journal that cannot be read: damaged, missing, older than
// what is kept, or cut by a position that is no boundary.
type Lost struct {
	From, To Position
	Segment  string // the file; "" when it is missing or deleted
	Offset   int64  // in the file, in bytes
	Reason   string
	Known    bool // whether Hashes and Shares are what was lost; else they are zero
	// Sums of the credits that were lost, as far as the header of a later segment
	// tells: the whole of a segment's loss is with its first damage.
	Sums
}

// Record is one record as a Reader gives it. It and all it points to are valid
// until the reader's next call; strings may be kept. One of the pointers is set,
// or Credit, as Kind says.
type Record struct {
	At, End  Position // where it begins and ends; At is the End before, but after a hole
	Kind     Kind
	Credit   Credit
	Found    *Found
	Settled  *Settled
	ClawBack *ClawBack
	Vest     *Vest
	Lost     *Lost
	Sums     Sums // of the journal up to End; counts what is known of lost credits
}

// Identity is whose shares a journal has.
type Identity struct {
	Coin   string // coin and network in one name, as --coin has it
	Wallet string // that block rewards go to
}

// Status is the journal's state for /readyz and logs.
type Status struct {
	Bytes      int64    // of all segments
	MaxBytes   int64    // Config.MaxBytes
	Begin, End Position // what can be read
	Unreleased uint64   // bytes of records that a reader still needs; all of them without a reader
	Open       int      // found blocks that are not settled
	Err        error    // why no credit is taken, with the operator's remedy; nil = all is well
	Since      time.Time
}
