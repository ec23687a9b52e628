package pool

import (
	"time"

	"github.com/assay-pool/assay/validator"
)

// Books are where accepted work and found blocks are written down for good. None
// of the calls may block. All may still come after [Pool.Close], from a share that
// was judged late.
type Books interface {
	// Admit tells whether a credit could be taken now; it is asked before a share
	// is hashed.
	Admit() bool
	// Credit starts to write the share's credit down, by the time it arrived:
	// the work was done then, and by the verdict's time a queue would move a miner's
	// hash rate from one minute to the next. The share's Committed is called exactly
	// once, on any goroutine, possibly before Credit returns. The share must not
	// be read after that call.
	Credit(*Share)
	// Reject counts a share that was refused or shed.
	Reject(wallet, worker string, v validator.Verdict)
	// Found writes a block down, behind every credit started before on the same
	// goroutine. bytes are the whole block, not changed later. The block's
	// submission does not wait for it.
	Found(b Block, bytes []byte)
	// Settle writes down the fate of a block, once it is known: exactly once in
	// the end, by this process or by a later one, to which a block that is not
	// settled is given as a [Leftover].
	Settle(b Block, f Fate)
}

// Block is a proven block on its way to the daemons.
type Block struct {
	ID         [32]byte
	Height     uint64
	Difficulty string // of the network, decimal
	Reward     uint64 // atomic units
	Wallet     string // whose share it was
	Worker     string
	Time       time.Time // when its share arrived
}

// Fate is what became of a block.
type Fate struct {
	Accepted bool
	Daemon   string // that has it on its main chain; of accepted ones
	Reason   string // of the others
}
