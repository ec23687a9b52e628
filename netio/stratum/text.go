package stratum

import (
	"github.com/assay-pool/assay/validator"
)

// Texts of errors that are not verdicts on a share. All but those that begin
// like the first leave XMRig connected; at a login any error makes it close and try again later.
const (
	TextUnauthenticated = "Unauthenticated"
	TextInvalidMethod   = "Invalid method"
	TextBitcoin         = "This is a CryptoNote pool: Bitcoin's mining.* methods are not understood, use a miner with login and submit"
	TextInvalidAddress  = "Invalid address used for login"
	TextLoggedIn        = "Already logged in: open another connection for another login"
	TextNoWork          = "No block template yet, try again in a moment"
	// TextNoWorkLeave begins as it does so that XMRig goes by itself, and after
	// its retries to its backup pool.
	TextNoWorkLeave = "Unauthenticated: the pool has had no work for minutes (its coin daemons are away), please use your backup pool"
	TextWrongHashes = "Too many invalid shares: their results are not the hashes of their jobs. Check the miner's algorithm and the hardware (overclocking)"
	TextShutdown    = "The pool node is shutting down, please reconnect"
	TextLineTooLong = "Parse error: line too long"
	TextAlgoPrefix  = "No compatible algorithm found, change the algo option of your miner: this pool mines "
)

// Text is what a miner is told about a share that was not accepted; empty for
// one that was, and for one not judged yet.
func Text(v validator.Verdict) string {
	switch v {
	case validator.RejectUnauthenticated:
		return TextUnauthenticated
	case validator.RejectMalformed:
		return "Malformed share"
	case validator.RejectNonce:
		return "Malformed nonce"
	case validator.RejectResult:
		return "Malformed result"
	case validator.RejectUnknownJob:
		// Not "Invalid job id": one late share would cost the connection.
		return "Unknown job"
	case validator.RejectStale:
		return "Block expired"
	case validator.RejectDuplicate:
		return "Duplicate share"
	case validator.RejectLowDifficulty:
		return "Low difficulty share"
	case validator.RejectBadHash:
		return "Invalid share: the result is not the hash of this job and nonce"
	case validator.ShedJobFull:
		return "Too many shares for the current job, wait for a new one"
	case validator.ShedQueueFull, validator.ShedSession, validator.ShedDeadline:
		return "Throttled down share submission (please increase difficulty)"
	case validator.ShedEpoch:
		return "The job's seed is not ready, share not counted"
	case validator.ShedLedger:
		return "The pool cannot book shares just now, share not counted"
	case validator.ShedShutdown:
		return TextShutdown
	case validator.ShedError:
		return "The pool could not check the share, share not counted"
	}
	return ""
}
