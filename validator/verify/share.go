package verify

import (
	"net/netip"
	"time"

	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/job"
)

// Share is one submitted nonce on its way to a verdict. It is written by the
// session until Submit, then by the worker until Judged, then by the sink.
type Share struct {
	Template   *job.Template
	Extra      job.Extra
	Job        uint32 // number within the session
	Nonce      uint32 // as the four blob bytes read little-endian
	Difficulty uint64 // of the job it names: what it is credited with (I5)
	Claim      [32]byte
	// Candidate is set when the claim meets the network's difficulty. It buys
	// priority only: what counts is Block, which a worker sets (I6).
	Candidate bool
	From      netip.Addr // the miner's address: what it may use of the queue goes by it, then by Wallet
	// Unproven is set while the session has had no share accepted: such shares
	// are of a class of their own.
	Unproven bool
	Wallet   string
	Worker   string
	Received time.Time

	Sink   Sink   // told the verdict first
	Origin Origin // answered last
	Owner  any    // the origin's own, a pointer

	Verdict validator.Verdict
	Block   bool     // the hash is proven and meets the network's difficulty
	Hash    [32]byte // set once hashed

	place // in the queue
}

// Sink receives every share once it is judged, on a worker's thread or on the
// thread that submitted it. It must not block for long: hashing waits for it.
type Sink interface{ Judged(*Share) }

// Origin is who asked, and must be answered.
type Origin interface{ Reply(*Share) }

// KeyOf is what the template's shares have in common.
func KeyOf(t *job.Template) pow.Key {
	key := pow.Key{Algo: t.Algo}
	if t.Algo.NeedsSeed() {
		key.Seed = t.Seed
	}
	if t.Algo.NeedsHeight() {
		key.Height = t.Height
	}
	return key
}
