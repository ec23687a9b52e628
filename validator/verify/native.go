package verify

import (
	"errors"
	"fmt"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/randomx"
)

// Native is the Hasher over our native packages. It belongs to one thread.
// CryptoNight's engine takes its place beside RandomX's here.
type Native struct {
	epochs *randomx.Manager
	rx     *randomx.Worker
}

// NewNative makes the hasher of one worker thread.
func NewNative(epochs *randomx.Manager) (*Native, error) {
	rx, err := epochs.NewWorker()
	if err != nil {
		return nil, fmt.Errorf("make a RandomX worker: %w", err)
	}
	return &Native{epochs: epochs, rx: rx}, nil
}

// fullWidth is the batch in full-memory mode. Pipelining gains its 1…4 % from
// the second hash on, and four hashes (8 ms) keep replies prompt. In light mode
// a hash takes 22 ms and gains nothing, so shares go one by one.
const fullWidth = 4

// Batch implements Hasher. A pipelined batch gains too little to wait for.
func (n *Native) Batch(key Key) (width int, wait bool) {
	if key.Algo.Family() != algo.RandomX {
		return 1, false
	}
	epoch, err := n.epochs.Acquire(key.Seed)
	if err != nil {
		return 1, false
	}
	defer epoch.Release()
	if epoch.Full() {
		return fullWidth, false
	}
	return 1, false
}

// Hash implements Hasher.
func (n *Native) Hash(key Key, in []byte, lens []uint32, out []byte) error {
	if key.Algo != algo.RX0 {
		return fmt.Errorf("%v is not built into this node", key.Algo)
	}
	epoch, err := n.epochs.Acquire(key.Seed)
	if err != nil {
		return errors.Join(ErrEpoch, err)
	}
	defer epoch.Release()
	return n.rx.Hash(epoch, in, lens, out)
}

// Close implements Hasher.
func (n *Native) Close() { n.rx.Close() }
