package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// answerLimit bounds an answer of the daemon, in bytes; headers take a few KiB.
const answerLimit = 1 << 20

// rpcCall asks the demo's own monerod.
func (d *demo) rpcCall(ctx context.Context, method string, params map[string]any, result any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.rpc+"/json_rpc", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerLimit)).Decode(&answer); err != nil {
		return fmt.Errorf("monerod's answer to %s: %w", method, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("monerod says to %s: %s", method, answer.Error.Message)
	}
	return json.Unmarshal(answer.Result, result)
}

// chainHeight is the number of blocks in the chain, the genesis block included.
func (d *demo) chainHeight(ctx context.Context) (uint64, error) {
	var r struct{ Count uint64 }
	err := d.rpcCall(ctx, "get_block_count", nil, &r)
	return r.Count, err
}

// blockID is the id of a block of the main chain, as monerod reports it.
func (d *demo) blockID(ctx context.Context, height uint64) (string, error) {
	var r struct {
		Header struct{ Hash string } `json:"block_header"`
	}
	err := d.rpcCall(ctx, "get_block_header_by_height", map[string]any{"height": height}, &r)
	return r.Header.Hash, err
}
