package validator

// Verdict is what became of a share. Its zero value is no verdict yet.
//
// A refusal is either a rejection (the miner's share was wrong or late) or a
// shed (the pool could not judge it in time and says so); I1 counts them apart.
type Verdict uint8

// The verdicts. The wire texts they map to are in netio/stratum.
const (
	// Pending is a share nobody has judged yet.
	Pending Verdict = iota
	// Accepted is a share whose work was proven and credited.
	Accepted

	// RejectUnauthenticated is a submit before a login. XMRig disconnects on
	// its text, which is right: such a session has no job to work on.
	RejectUnauthenticated
	// RejectMalformed is a submit without the fields a submit has.
	RejectMalformed
	// RejectNonce is a nonce that is not exactly eight hex digits.
	RejectNonce
	// RejectResult is a result that is not exactly 64 hex digits.
	RejectResult
	// RejectUnknownJob is a job id this session was never given.
	RejectUnknownJob
	// RejectStale is a job whose template has been replaced for longer than the
	// grace time, or that has left the session's window of jobs.
	RejectStale
	// RejectDuplicate is a nonce already submitted for the same job.
	RejectDuplicate
	// RejectLowDifficulty is a claimed result above the job's target.
	RejectLowDifficulty
	// RejectBadHash is a result that is not the hash of the share.
	RejectBadHash

	// ShedJobFull is a job that has used up its bounded duplicate set.
	ShedJobFull
	// ShedQueueFull is a share that found the verify queue at its limit.
	ShedQueueFull
	// ShedSession is a session with its limit of shares already in the queue.
	ShedSession
	// ShedDeadline is a share that waited longer than the verify deadline.
	ShedDeadline
	// ShedEpoch is a share whose RandomX seed is not resident.
	ShedEpoch
	// ShedLedger is a share that could not be written down: the journal is full, or
	// its disk takes nothing.
	ShedLedger
	// ShedShutdown is a share that arrived while the node was stopping.
	ShedShutdown
	// ShedError is a share whose hash the library could not compute.
	ShedError

	// Verdicts is the number of verdicts, for tables indexed by one.
	Verdicts
)

// labels are the metric labels, in the order of the constants.
var labels = [Verdicts]string{
	Pending:               "pending",
	Accepted:              "accepted",
	RejectUnauthenticated: "unauthenticated",
	RejectMalformed:       "malformed",
	RejectNonce:           "malformed_nonce",
	RejectResult:          "malformed_result",
	RejectUnknownJob:      "unknown_job",
	RejectStale:           "stale",
	RejectDuplicate:       "duplicate",
	RejectLowDifficulty:   "low_difficulty",
	RejectBadHash:         "bad_hash",
	ShedJobFull:           "job_full",
	ShedQueueFull:         "queue_full",
	ShedSession:           "session_limit",
	ShedDeadline:          "deadline",
	ShedEpoch:             "epoch",
	ShedLedger:            "ledger_full",
	ShedShutdown:          "shutdown",
	ShedError:             "hash_error",
}

// String is the verdict's metric label.
func (v Verdict) String() string {
	if v < Verdicts {
		return labels[v]
	}
	return "invalid"
}

// Rejected reports whether the share itself was wrong or late.
func (v Verdict) Rejected() bool { return v >= RejectUnauthenticated && v <= RejectBadHash }

// Shed reports whether the pool gave up on a share that may have been right.
// The miner may submit it again, and it never counts against the miner.
func (v Verdict) Shed() bool { return v >= ShedJobFull && v < Verdicts }
