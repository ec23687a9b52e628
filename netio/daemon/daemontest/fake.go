package daemontest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// FakeOptions describe the chain a Fake starts with. Zero values take the default named.
type FakeOptions struct {
	Height     uint64   // of the block to be found; default 100
	Difficulty uint64   // default 1
	Major      uint8    // default 16
	Seed       [32]byte // default 0x11…
	NextSeed   [32]byte // default none
	SeedHeight uint64
	Txs        int    // transactions in the template
	Reward     uint64 // default 600000000000
	Network    string // nettype of get_info; default none, as forks of an old monerod
}

// Fake is a scripted coin daemon. All methods may be called at any time from any goroutine; a
// change is seen by the next call. It is closed when the test ends.
type Fake struct {
	URL    string // http://127.0.0.1:port
	Wallet string // any address is taken; this one is well formed

	tb  testing.TB
	srv *http.Server

	mu         sync.Mutex // guards everything below
	opt        FakeOptions
	prev       [32]byte
	txs        [][32]byte
	timestamp  uint64
	issued     []Built             // templates for the present tip
	ids        map[[32]byte]uint64 // known blocks by id
	chain      map[uint64][32]byte // main chain
	blocks     map[[32]byte][]byte // those whose bytes are known, by id
	submitted  [][]byte
	calls      map[string]int
	notSynced  bool
	busy       bool
	delay      time.Duration
	status     int // HTTP status other than 200
	replies    map[string]string
	mutate     func(map[string]any)
	checkBlock func(Candidate) error
	lostSubmit int // answers to submit_block still to be lost
	hold       chan struct{}
	claim      uint64   // height in get_info instead of the true one; 0 = the true one
	claimTip   [32]byte // with it
}

// Candidate is a submitted block, as CheckBlock sees it.
type Candidate struct {
	Block, Hashing []byte
	ID, Seed       [32]byte
	Height         uint64
	Difficulty     uint64
}

// NewFake starts a fake daemon on a free loopback port.
func NewFake(tb testing.TB, opt FakeOptions) *Fake {
	tb.Helper()
	if opt.Height == 0 {
		opt.Height = 100
	}
	if opt.Difficulty == 0 {
		opt.Difficulty = 1
	}
	if opt.Seed == ([32]byte{}) {
		opt.Seed = [32]byte(bytes.Repeat([]byte{0x11}, 32))
	}
	if opt.Reward == 0 {
		opt.Reward = 600000000000
	}
	f := &Fake{Wallet: WalletMainnet, tb: tb, opt: opt, prev: RandomID(), timestamp: 1700000000,
		ids: make(map[[32]byte]uint64), blocks: make(map[[32]byte][]byte), chain: make(map[uint64][32]byte),
		calls: make(map[string]int), replies: make(map[string]string)}
	for range opt.Txs {
		f.txs = append(f.txs, RandomID())
	}
	f.ids[f.prev], f.chain[opt.Height-1] = opt.Height-1, f.prev
	f.listen("127.0.0.1:0")
	tb.Cleanup(f.Down)
	return f
}

func (f *Fake) listen(addr string) {
	f.tb.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		f.tb.Fatalf("fake daemon: %v", err)
	}
	f.URL = "http://" + l.Addr().String()
	srv := &http.Server{Handler: http.HandlerFunc(f.serve)}
	f.mu.Lock()
	f.srv = srv
	f.mu.Unlock()
	go srv.Serve(l) // ends with Down
}

// Down closes the port and all connections, as when the daemon dies. Up opens the same port again.
func (f *Fake) Down() {
	f.mu.Lock()
	srv := f.srv
	f.srv = nil
	f.mu.Unlock()
	if srv != nil {
		f.Release()
		srv.Close()
	}
}

func (f *Fake) Up() {
	f.tb.Helper()
	f.listen(f.URL[len("http://"):])
}

// RandomID is 32 random bytes, for ids and seeds.
func RandomID() (id [32]byte) {
	rand.Read(id[:])
	return id
}

// set runs change under the lock.
func (f *Fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// Extend adds n blocks that somebody else found.
func (f *Fake) Extend(n int) {
	f.set(func() {
		for range n {
			f.add(RandomID())
		}
	})
}

// add makes id the tip. Called with mu held.
func (f *Fake) add(id [32]byte) {
	f.ids[id], f.chain[f.opt.Height] = f.opt.Height, id
	f.prev, f.issued = id, nil
	f.opt.Height++
	f.timestamp++
}

// Join makes f a daemon of the same chain as o, with everything o has at this moment.
func (f *Fake) Join(o *Fake) {
	o.mu.Lock()
	ids, chain, prev, height := maps.Clone(o.ids), maps.Clone(o.chain), o.prev, o.opt.Height
	o.mu.Unlock()
	f.set(func() { f.ids, f.chain, f.prev, f.opt.Height, f.issued = ids, chain, prev, height, nil })
}

// Reorg replaces the last block with another one of the same height.
func (f *Fake) Reorg() {
	f.set(func() { f.opt.Height--; f.add(RandomID()) })
}

// SetHeight, SetTip, SetSeeds, SetDifficulty and SetTxs move the chain's state.
func (f *Fake) SetHeight(h uint64)      { f.set(func() { f.opt.Height = h - 1; f.add(RandomID()) }) }
func (f *Fake) SetTip(id [32]byte)      { f.set(func() { f.opt.Height--; f.add(id) }) }
func (f *Fake) SetDifficulty(d uint64)  { f.set(func() { f.opt.Difficulty = d }) }
func (f *Fake) SetReward(atomic uint64) { f.set(func() { f.opt.Reward = atomic }) }
func (f *Fake) SetSeeds(current, next [32]byte, seedHeight uint64) {
	f.set(func() { f.opt.Seed, f.opt.NextSeed, f.opt.SeedHeight = current, next, seedHeight })
}
func (f *Fake) SetTxs(n int) {
	f.set(func() {
		for len(f.txs) < n {
			f.txs = append(f.txs, RandomID())
		}
		f.txs = f.txs[:n]
		f.timestamp++
	})
}

// ReplaceTx puts another transaction in the place of one, as when a transaction leaves the daemon's
// pool and a new one comes.
func (f *Fake) ReplaceTx(i int) {
	f.set(func() {
		f.txs = append([][32]byte(nil), f.txs...)
		f.txs[i] = RandomID()
		f.timestamp++
	})
}

// SetNetwork is the nettype get_info tells from now on.
func (f *Fake) SetNetwork(name string) { f.set(func() { f.opt.Network = name }) }

// Claim makes get_info tell this height and tip, whatever the chain is; 0 = the truth again.
func (f *Fake) Claim(height uint64, tip [32]byte) {
	f.set(func() { f.claim, f.claimTip = height, tip })
}

// SetBusy makes every call but get_info answer as a starting monerod does; SetSynced(false) makes
// get_info say so.
func (f *Fake) SetBusy(busy bool)     { f.set(func() { f.busy = busy }) }
func (f *Fake) SetSynced(synced bool) { f.set(func() { f.notSynced = !synced }) }

// SetDelay holds every answer back. SetHTTPStatus answers with that status, 0 = normal.
func (f *Fake) SetDelay(d time.Duration) { f.set(func() { f.delay = d }) }
func (f *Fake) SetHTTPStatus(code int)   { f.set(func() { f.status = code }) }

// Hold makes every call hang until Release.
func (f *Fake) Hold() {
	f.set(func() {
		if f.hold == nil {
			f.hold = make(chan struct{})
		}
	})
}

func (f *Fake) Release() {
	f.set(func() {
		if f.hold != nil {
			close(f.hold)
			f.hold = nil
		}
	})
}

// SetReply answers a method with these bytes as the whole HTTP body; "" = normal again.
func (f *Fake) SetReply(method, body string) {
	f.set(func() {
		if body == "" {
			delete(f.replies, method)
		} else {
			f.replies[method] = body
		}
	})
}

// MutateTemplate changes the fields of get_block_template's result before it is sent: wrong
// offsets, wrong seeds, wrong types. nil = none.
func (f *Fake) MutateTemplate(change func(result map[string]any)) {
	f.set(func() { f.mutate = change })
}

// CheckBlock is asked before a block is accepted, with everything a proof of work check needs; an
// error rejects the block (code -7). nil = every block that fits an issued template is good.
func (f *Fake) CheckBlock(check func(Candidate) error) { f.set(func() { f.checkBlock = check }) }

// LoseSubmitAnswers makes the next n submit_block calls take effect but break the connection
// instead of answering.
func (f *Fake) LoseSubmitAnswers(n int) { f.set(func() { f.lostSubmit = n }) }

// Calls is how often a method was called, Submitted what submit_block got.
func (f *Fake) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *Fake) Submitted() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([][]byte(nil), f.submitted...)
}

// Height is the height of the block to be found, Tip the id of the last block.
func (f *Fake) Height() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opt.Height
}

func (f *Fake) Tip() [32]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.prev
}

func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	var req struct {
		ID     json.RawMessage
		Method string
		Params json.RawMessage
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil || json.Unmarshal(body, &req) != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.calls[req.Method]++
	hold, delay, status, reply := f.hold, f.delay, f.status, f.replies[req.Method]
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	if status != 0 {
		http.Error(w, "scripted failure", status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if reply != "" {
		io.WriteString(w, reply)
		return
	}
	answer := map[string]any{"jsonrpc": "2.0", "id": req.ID}
	result, rerr, drop := f.dispatch(req.Method, req.Params)
	if drop {
		panic(http.ErrAbortHandler) // net/http closes the connection without an answer
	}
	if rerr != nil {
		answer["error"] = rerr
	} else {
		answer["result"] = result
	}
	json.NewEncoder(w).Encode(answer)
}

// rpcError is a JSON-RPC error with monerod's codes.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (f *Fake) dispatch(method string, params json.RawMessage) (result any, rerr *rpcError, drop bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy && method != "get_info" {
		return nil, &rpcError{-9, "Core is busy"}, false
	}
	switch method {
	case "get_info":
		height, tip := f.opt.Height, f.prev
		if f.claim != 0 {
			height, tip = f.claim, f.claimTip
		}
		r := map[string]any{"status": "OK", "untrusted": false, "height": height, "top_block_hash": hexID(tip),
			"synchronized": !f.notSynced, "busy_syncing": false, "tx_pool_size": len(f.txs), "target_height": 0}
		if f.opt.Network != "" {
			r["nettype"] = f.opt.Network
		}
		return r, nil, false
	case "get_block_template":
		return f.template(params)
	case "submit_block":
		return f.submit(params)
	case "get_block":
		return f.block(params)
	case "get_block_header_by_hash":
		var p struct{ Hash string }
		if json.Unmarshal(params, &p) == nil {
			if b, err := hex.DecodeString(p.Hash); err == nil && len(b) == 32 {
				if h, ok := f.ids[[32]byte(b)]; ok {
					return f.header([32]byte(b), h), nil, false
				}
			}
		}
		return nil, &rpcError{-5, "Internal error: can't get block by hash. Hash = " + p.Hash + "."}, false
	case "get_block_header_by_height":
		var p struct{ Height uint64 }
		if json.Unmarshal(params, &p) == nil {
			if id, ok := f.chain[p.Height]; ok && p.Height < f.opt.Height {
				return f.header(id, p.Height), nil, false
			}
		}
		return nil, &rpcError{-2, fmt.Sprintf("Requested block height: %d greater than current top block height: %d", p.Height, f.opt.Height-1)}, false
	}
	return nil, &rpcError{-32601, "Method not found"}, false
}

// block gives a block that was submitted or added by AddBlock; the bytes of all others are unknown.
func (f *Fake) block(params json.RawMessage) (any, *rpcError, bool) {
	var p struct{ Hash string }
	if json.Unmarshal(params, &p) == nil {
		if b, err := hex.DecodeString(p.Hash); err == nil && len(b) == 32 {
			if block, ok := f.blocks[[32]byte(b)]; ok {
				return map[string]any{"status": "OK", "untrusted": false, "blob": hex.EncodeToString(block),
					"block_header": map[string]any{"hash": p.Hash}}, nil, false
			}
		}
	}
	return nil, &rpcError{-5, "Internal error: can't get block by hash. Hash = " + p.Hash + "."}, false
}

// AddBlock makes block the tip, as if somebody else had found it. It must fill in a template issued
// for the present tip; its proof is not checked. It returns the block's id.
func (f *Fake) AddBlock(block []byte) (id [32]byte) {
	f.tb.Helper()
	f.set(func() {
		t := f.match(block)
		if t == nil {
			f.tb.Errorf("the fake daemon has issued no template for the block")
			return
		}
		id = BlockID(t.Hashing(block))
		f.blocks[id] = bytes.Clone(block)
		f.add(id)
	})
	return id
}

func (f *Fake) header(id [32]byte, height uint64) any {
	prev := f.chain[height-1]
	return map[string]any{"status": "OK", "untrusted": false, "block_header": map[string]any{
		"hash": hexID(id), "prev_hash": hexID(prev), "height": height, "reward": f.opt.Reward, "orphan_status": f.chain[height] != id}}
}

func (f *Fake) template(params json.RawMessage) (any, *rpcError, bool) {
	var p struct {
		Wallet  string `json:"wallet_address"`
		Reserve int    `json:"reserve_size"`
	}
	if err := json.Unmarshal(params, &p); err != nil || p.Wallet == "" {
		return nil, &rpcError{-4, "Failed to parse wallet address"}, false
	}
	if p.Reserve > 255 {
		return nil, &rpcError{-3, "Too big reserved size, maximum 255"}, false
	}
	b := Build(Spec{Major: f.opt.Major, Minor: f.opt.Major, Timestamp: f.timestamp, Prev: f.prev, Height: f.opt.Height,
		Reward: f.opt.Reward, Txs: append([][32]byte(nil), f.txs...), ReserveSize: p.Reserve})
	if n := len(f.issued); n == 0 || !bytes.Equal(f.issued[n-1].Blob, b.Blob) {
		f.issued = append(f.issued, b)
	}
	next := ""
	if f.opt.NextSeed != ([32]byte{}) {
		next = hexID(f.opt.NextSeed)
	}
	r := map[string]any{
		"status": "OK", "untrusted": false,
		"blocktemplate_blob": hex.EncodeToString(b.Blob), "blockhashing_blob": hex.EncodeToString(b.HashingBlob),
		"difficulty": f.opt.Difficulty, "difficulty_top64": 0, "wide_difficulty": fmt.Sprintf("%#x", f.opt.Difficulty),
		"expected_reward": f.opt.Reward, "height": f.opt.Height, "prev_hash": hexID(f.prev),
		"reserved_offset": b.ReservedOffset, "seed_hash": hexID(f.opt.Seed), "next_seed_hash": next, "seed_height": f.opt.SeedHeight,
	}
	if f.mutate != nil {
		f.mutate(r)
	}
	return r, nil, false
}

// submit accepts a block that fills in a template issued for the present tip, and no other.
func (f *Fake) submit(params json.RawMessage) (any, *rpcError, bool) {
	var p []string
	if json.Unmarshal(params, &p) != nil || len(p) != 1 {
		return nil, &rpcError{-1, "Wrong param"}, false
	}
	block, err := hex.DecodeString(p[0])
	if err != nil {
		return nil, &rpcError{-6, "Wrong block blob"}, false
	}
	f.submitted = append(f.submitted, block)
	t := f.match(block)
	if t == nil {
		return nil, &rpcError{-7, "Block not accepted"}, false
	}
	hashing := t.Hashing(block)
	id := BlockID(hashing)
	if f.checkBlock != nil {
		c := Candidate{Block: block, Hashing: hashing, ID: id, Seed: f.opt.Seed, Height: f.opt.Height, Difficulty: f.opt.Difficulty}
		if err := f.checkBlock(c); err != nil {
			return nil, &rpcError{-7, "Block not accepted"}, false
		}
	}
	f.blocks[id] = block
	f.add(id)
	if f.lostSubmit > 0 {
		f.lostSubmit--
		return nil, nil, true
	}
	return map[string]any{"status": "OK", "untrusted": false}, nil, false
}

// match finds the template of the present tip that block differs from in nonce and reserved bytes
// only.
func (f *Fake) match(block []byte) *Built {
	for i := range f.issued {
		t := &f.issued[i]
		if len(block) != len(t.Blob) {
			continue
		}
		c := bytes.Clone(block)
		copy(c[t.NonceOffset:t.NonceOffset+4], []byte{0, 0, 0, 0})
		copy(c[t.ReservedOffset:t.coinbaseEnd-1], t.Blob[t.ReservedOffset:t.coinbaseEnd-1])
		if bytes.Equal(c, t.Blob) {
			return t
		}
	}
	return nil
}

func hexID(id [32]byte) string { return hex.EncodeToString(id[:]) }
