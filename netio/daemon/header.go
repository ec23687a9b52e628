package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"time"
)

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

// Codes of monerod's JSON-RPC errors that mean "there is no such block".
const (
	codeTooBigHeight = -2 // CORE_RPC_ERROR_CODE_TOO_BIG_HEIGHT
	codeNoSuchBlock  = -5 // CORE_RPC_ERROR_CODE_INTERNAL_ERROR, its answer to an unknown id
)

// unknownBlock tells a definite "I do not have it" from every other failure.
func unknownBlock(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == KindRPC && (e.Code == codeNoSuchBlock || e.Code == codeTooBigHeight)
}
