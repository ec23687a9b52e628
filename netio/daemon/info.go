package daemon

import (
	"context"
	"encoding/hex"
	"errors"
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

// Header is a block as a daemon reports it.
type Header struct {
	ID     [32]byte
	Prev   [32]byte
	Height uint64
	Reward uint64 // atomic units
	Orphan bool   // known, but not on the main chain
	Daemon string
}

type headerAnswer struct {
	Header *struct {
		Hash   string  `json:"hash"`
		Prev   string  `json:"prev_hash"`
		Height *uint64 `json:"height"`
		Reward uint64  `json:"reward"`
		Orphan bool    `json:"orphan_status"`
	} `json:"block_header"`
	answerStatus
}

func decodeHeader(result []byte) (Header, *Error) {
	var a headerAnswer
	var h Header
	if err := strictUnmarshal(result, &a); err != nil {
		return h, err
	}
	if err := a.check(); err != nil {
		return h, err
	}
	if a.Header == nil || a.Header.Height == nil || a.Header.Hash == "" {
		return h, fault(KindMalformed, "block_header, its hash or its height is missing")
	}
	if *a.Header.Height >= maxHeight {
		return h, fault(KindAbsurd, "height %d", *a.Header.Height)
	}
	if err := decodeHash("hash", a.Header.Hash, &h.ID); err != nil {
		return h, err
	}
	if err := decodeHash("prev_hash", a.Header.Prev, &h.Prev); err != nil {
		return h, err
	}
	h.Height, h.Reward, h.Orphan = *a.Header.Height, a.Header.Reward, a.Header.Orphan
	return h, nil
}

// named puts the daemon and method into a decoder's error.
func (c *caller) named(method string, err *Error) error {
	if err == nil {
		return nil
	}
	err.Daemon, err.Method = c.name, method
	return err
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

func (c *caller) template(ctx context.Context, timeout time.Duration, wallet string, reserve int) (*Template, error) {
	asked := time.Now()
	res, err := c.call(ctx, timeout, "get_block_template", map[string]any{"wallet_address": wallet, "reserve_size": reserve})
	if err != nil {
		return nil, err
	}
	t, derr := decodeTemplate(res, reserve)
	if derr != nil {
		return nil, c.named("get_block_template", derr)
	}
	t.Daemon, t.asked, t.Received = c.name, asked, time.Now()
	return t, nil
}

func (c *caller) headerByID(ctx context.Context, timeout time.Duration, id [32]byte) (Header, error) {
	const method = "get_block_header_by_hash"
	h, err := c.header(ctx, timeout, method, map[string]any{"hash": hex.EncodeToString(id[:])})
	if err == nil && h.ID != id {
		return h, c.named(method, fault(KindAbsurd, "header of another block"))
	}
	return h, err
}

func (c *caller) headerByHeight(ctx context.Context, timeout time.Duration, height uint64) (Header, error) {
	const method = "get_block_header_by_height"
	h, err := c.header(ctx, timeout, method, map[string]any{"height": height})
	if err == nil && h.Height != height {
		return h, c.named(method, fault(KindAbsurd, "header of height %d", h.Height))
	}
	return h, err
}

func (c *caller) header(ctx context.Context, timeout time.Duration, method string, params any) (Header, error) {
	res, err := c.call(ctx, timeout, method, params)
	if err != nil {
		return Header{}, err
	}
	h, derr := decodeHeader(res)
	if derr != nil {
		return Header{}, c.named(method, derr)
	}
	h.Daemon = c.name
	return h, nil
}

// submit gives nil when the daemon said OK.
func (c *caller) submit(ctx context.Context, timeout time.Duration, block []byte) error {
	const method = "submit_block"
	res, err := c.call(ctx, timeout, method, []string{hex.EncodeToString(block)})
	if err != nil {
		return err
	}
	var a answerStatus
	derr := strictUnmarshal(res, &a)
	if derr == nil {
		derr = a.check()
	}
	return c.named(method, derr)
}

// codes of monerod's JSON-RPC errors that mean "there is no such block".
const (
	codeTooBigHeight = -2
	codeNoSuchBlock  = -5 // "internal error": also its answer to an unknown id
)

// unknownBlock tells a definite "I do not have it" from every other failure.
func unknownBlock(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == KindRPC && (e.Code == codeNoSuchBlock || e.Code == codeTooBigHeight)
}
