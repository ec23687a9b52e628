package blob

// What a template may hold at most. Templates come from the operator's own
// daemon, yet a broken one must not cost memory or time without bound.
const (
	// MaxTransactions is far above what a block can carry: a Monero block at
	// ten times the penalty-free size holds some 4,000 of the smallest.
	MaxTransactions = 65_536
	// MaxOutputs bounds the miner tx. A pool's own has one output, one of
	// p2pool, the longest seen, has hundreds.
	MaxOutputs = 4_096
	// MaxExtra bounds the miner tx's extra field, in bytes: 128 times what
	// a public key and the largest extra nonce need.
	MaxExtra = 32_768
	// MaxReserve is the longest extra nonce: its length is one byte by rule.
	MaxReserve = 255
	// maxAsset is the longest name of an asset in an output; the names in use
	// have three to five letters.
	maxAsset = 16
	// MaxTemplate bounds the whole template, in bytes: everything above at its
	// limit, the longest of outputs, and the header with a price record.
	MaxTemplate = MaxTransactions*32 + MaxOutputs*(3*MaxVarint+37+maxAsset) + MaxExtra + 512
)
