package e2e

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/store"
)

// The wallets of these tests. Regtest has mainnet's prefixes; the keys are
// published ones (validator/coin/testdata/addresses.json).
const (
	walletA = "45pyCXYn2UBVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJW4hqS1"
	walletB = "44MnN1f3Eto8DZYUWuE5XZNUtE3vcRzt2j6PzqWpPau34e6Cf4fAxt6X2MBmrm6F9YMEiMNjN6W4Shn4pLcfNAja621jwyg"
	// integrated and subaddress are walletA's keys in other clothes.
	integrated = "4FXeDLNGdjhVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKSvjmCheAd2CU1uRaPo"
	subaddress = "86f7XuCcctbVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJZEyjoW"
)

// books reads a pool's keys in Redis.
type books struct {
	t *testing.T
	l *ledger.Reader
}

func openBooks(t *testing.T, url, pool string) *books {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := store.Open(ctx, store.Config{URL: url, StartTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l, err := ledger.NewReader(s, pool)
	if err != nil {
		t.Fatal(err)
	}
	return &books{t, l}
}

// maxBlocks is more than any of these tests finds.
const maxBlocks = 10000

// blocks are those that have closed a round, newest first.
func (b *books) blocks() []ledger.BlockRecord {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	blocks, err := b.l.Closing(ctx, maxBlocks)
	if err != nil {
		b.t.Fatal(err)
	}
	return blocks
}

// rounds are all rounds, the closed ones newest first and the open one last.
func (b *books) rounds() []ledger.Round {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	closed, err := b.l.Rounds(ctx, maxBlocks)
	if err != nil {
		b.t.Fatal(err)
	}
	current, err := b.l.CurrentRound(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return append(closed, current)
}

// found are all found blocks that the books know, newest first.
func (b *books) found() []ledger.BlockRecord {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	blocks, err := b.l.Blocks(ctx, maxBlocks)
	if err != nil {
		b.t.Fatal(err)
	}
	return blocks
}

// open are the ids of found blocks whose fate the books do not know, in hex.
func (b *books) open() (ids []string) {
	b.t.Helper()
	for _, block := range b.found() {
		if block.State == ledger.StateFound {
			ids = append(ids, hex.EncodeToString(block.ID[:]))
		}
	}
	return ids
}

// work is difficulty and the number of shares it was done in.
type work struct{ hashes, shares uint64 }

// sum adds up all rounds, for each wallet; "" is the total the rounds state. The
// shares of a wallet are those of its counters: rounds count only all of them.
func (b *books) sum() map[string]work {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all := map[string]work{}
	for _, r := range b.rounds() {
		all[""] = work{all[""].hashes + r.Hashes, all[""].shares + r.Shares}
		for wallet, s := range r.Wallets {
			all[wallet] = work{hashes: all[wallet].hashes + s.Hashes}
		}
	}
	for wallet, w := range all {
		if wallet == "" {
			continue
		}
		counters, err := b.l.Wallet(ctx, wallet)
		if err != nil {
			b.t.Fatal(err)
		}
		all[wallet] = work{w.hashes, counters.Shares}
	}
	return all
}

// workers are a wallet's workers by name.
func (b *books) workers(wallet string) map[string]ledger.WorkerStats {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w, err := b.l.Workers(ctx, wallet)
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// told is what miners of one worker were told.
type told struct {
	wallet, worker string
	hashes, shares uint64
}

// equal holds the books to what the miners were told, to the unit: the total,
// each wallet, each worker, and the blocks' copies of the rounds' sums.
func (b *books) equal(miners []told) {
	b.t.Helper()
	want := map[string]work{}
	workers := map[string]map[string]work{}
	for _, m := range miners {
		if m.shares == 0 {
			continue
		}
		for _, key := range []string{"", m.wallet} {
			want[key] = work{want[key].hashes + m.hashes, want[key].shares + m.shares}
		}
		if workers[m.wallet] == nil {
			workers[m.wallet] = map[string]work{}
		}
		w := workers[m.wallet][m.worker]
		workers[m.wallet][m.worker] = work{w.hashes + m.hashes, w.shares + m.shares}
	}
	got := b.sum()
	if len(want) == 0 {
		b.t.Error("the miners were told of no accepted share, so this compares nothing")
	}
	for key, w := range want {
		if got[key] != w {
			b.t.Errorf("wallet %.8q: the rounds have %+v, the miners were told %+v", key, got[key], w)
		}
	}
	if len(got) != len(want) {
		b.t.Errorf("the rounds know %d wallets, %d have mined", len(got)-1, len(want)-1)
	}
	for wallet, names := range workers {
		booked := b.workers(wallet)
		for name, w := range names {
			if s := (work{booked[name].Hashes, booked[name].Shares}); s != w {
				b.t.Errorf("worker %.8s.%s: the books have %+v, it was told %+v", wallet, name, s, w)
			}
		}
		if len(booked) != len(names) {
			b.t.Errorf("wallet %.8s has the workers %v, mined have %v", wallet, booked, names)
		}
	}
	blocks := map[string]ledger.BlockRecord{}
	for _, block := range b.blocks() {
		blocks[hex.EncodeToString(block.ID[:])] = block
	}
	for _, r := range b.rounds() {
		if r.Closed.IsZero() {
			continue
		}
		if block := blocks[r.Block]; block.Hashes != r.Hashes || block.Shares != r.Shares {
			b.t.Errorf("the round of block %s has %d in %d shares, its record %d in %d", r.Block, r.Hashes, r.Shares, block.Hashes, block.Shares)
		}
	}
}
