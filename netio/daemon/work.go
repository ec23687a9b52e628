package daemon

import (
	"github.com/assay-pool/assay/validator/blob"
)

// work is what a template makes a block of: all that decides whether the chain takes it, but for
// the time, the nonce and the extra nonce, which differ from one template or block to the next.
type work struct {
	prev   [32]byte
	major  uint8
	reward uint64
	txs    map[[32]byte]struct{}
}

// readWork reads a template or a block. nil when it cannot be read: then accept refuses it as well.
func readWork(cfg *Config, b []byte) *work {
	t, err := blob.Parse(cfg.BlobType, b, cfg.ReserveSize)
	if err != nil {
		return nil
	}
	w := &work{prev: t.Prev, major: t.Major, reward: t.Reward, txs: make(map[[32]byte]struct{}, t.TxCount)}
	for ids := t.TxIDs(); len(ids) > 0; ids = ids[32:] {
		w.txs[[32]byte(ids)] = struct{}{}
	}
	return w
}

// covers tells whether all transactions of o are in w too. If one is not, o may never become a
// block: the daemon has dropped it (it expired, was spent elsewhere or was flushed).
func (w *work) covers(o *work) bool {
	if w == nil || o == nil || len(o.txs) > len(w.txs) {
		return false
	}
	for id := range o.txs {
		if _, ok := w.txs[id]; !ok {
			return false
		}
	}
	return true
}

// same tells whether the chain would treat blocks of both alike.
func (w *work) same(o *work) bool {
	return w != nil && o != nil && w.prev == o.prev && w.major == o.major && w.reward == o.reward &&
		len(w.txs) == len(o.txs) && w.covers(o)
}
