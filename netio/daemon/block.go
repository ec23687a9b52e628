package daemon

import (
	"context"
	"encoding/hex"
)

type blockAnswer struct {
	Blob   string `json:"blob"`
	Header *struct {
		Hash string `json:"hash"`
	} `json:"block_header"`
	answerStatus
}

// decodeBlock gives the block's bytes and the id the daemon names.
func decodeBlock(result []byte) (id [32]byte, block []byte, _ *Error) {
	var a blockAnswer
	if err := strictUnmarshal(result, &a); err != nil {
		return id, nil, err
	}
	if err := a.check(); err != nil {
		return id, nil, err
	}
	if a.Header == nil || a.Header.Hash == "" || a.Blob == "" {
		return id, nil, fault(KindMalformed, "blob, block_header or its hash is missing")
	}
	if err := decodeHash("hash", a.Header.Hash, &id); err != nil {
		return id, nil, err
	}
	block, err := hex.DecodeString(a.Blob)
	if err != nil {
		return id, nil, fault(KindMalformed, "blob: %w", err)
	}
	return id, block, nil
}

// block gives the bytes of a block the daemon knows.
func (c *caller) block(ctx context.Context, cfg *Config, id [32]byte) ([]byte, error) {
	const method = "get_block"
	res, err := c.call(ctx, cfg.RPCTimeout, method, map[string]any{"hash": hex.EncodeToString(id[:])})
	if err != nil {
		return nil, err
	}
	got, block, derr := decodeBlock(res)
	if derr == nil && got != id {
		block, derr = nil, fault(KindAbsurd, "another block")
	}
	return block, c.named(method, derr)
}

// Block asks the daemons in order of preference, the chosen one first, for a whole block; the
// first answer counts. Its transactions are ids only. The error is the last daemon's.
func (c *Client) Block(ctx context.Context, id [32]byte) (block []byte, err error) {
	for _, n := range c.order() {
		if block, err = n.block(ctx, &c.cfg, id); err == nil {
			return block, nil
		}
	}
	return nil, err
}
