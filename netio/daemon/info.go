package daemon

import (
	"context"
	"time"
)

// chainInfo is what one poll tells.
type chainInfo struct {
	height  uint64   // blocks in the chain = height of the block to be found
	tip     [32]byte // id of the last block
	txs     uint64   // in the transaction pool
	network string   // as coins name it; "" when the daemon does not say
	latency time.Duration
}

type infoAnswer struct {
	Height       *uint64 `json:"height"`
	Tip          string  `json:"top_block_hash"`
	TxPool       uint64  `json:"tx_pool_size"`
	Synchronized *bool   `json:"synchronized"`
	BusySyncing  bool    `json:"busy_syncing"`
	networkAnswer
	answerStatus
}

func decodeInfo(result []byte) (chainInfo, *Error) {
	var a infoAnswer
	var ci chainInfo
	if err := strictUnmarshal(result, &a); err != nil {
		return ci, err
	}
	if err := a.check(); err != nil {
		return ci, err
	}
	if a.Height == nil {
		return ci, fault(KindMalformed, "height is missing")
	}
	if *a.Height == 0 || *a.Height >= maxHeight {
		return ci, fault(KindAbsurd, "height %d", *a.Height)
	}
	if a.Tip == "" {
		return ci, fault(KindMalformed, "top_block_hash is missing")
	}
	if err := decodeHash("top_block_hash", a.Tip, &ci.tip); err != nil {
		return ci, err
	}
	if a.BusySyncing || a.Synchronized != nil && !*a.Synchronized {
		return ci, fault(KindNotSynced, "not synchronised at height %d", *a.Height)
	}
	ci.height, ci.txs, ci.network = *a.Height, a.TxPool, a.network()
	return ci, nil
}

func (c *caller) info(ctx context.Context, timeout time.Duration) (chainInfo, error) {
	start := time.Now()
	res, err := c.call(ctx, timeout, "get_info", nil)
	if err != nil {
		return chainInfo{latency: time.Since(start)}, err
	}
	ci, derr := decodeInfo(res)
	ci.latency = time.Since(start)
	return ci, c.named("get_info", derr)
}
