package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cluster/openblocks"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
)

// books is a ledger as a pool sees it.
type books struct{ *ledger.Ledger }

func (b books) Credit(wallet, worker string, difficulty uint64, arrived time.Time) bool {
	return b.Ledger.Credit(ledger.Credit{Wallet: wallet, Worker: worker, Difficulty: difficulty, Time: arrived}) == nil
}

func (b books) Reject(wallet, worker string, v validator.Verdict) {
	b.Ledger.Reject(wallet, worker, v.String())
}

func (b books) Found(f pool.Block) (pool.Settler, bool) {
	if find := b.Ledger.Found(entry(f)); find != nil {
		return find, true
	}
	return nil, false
}

func (b books) Reopen(f pool.Block) pool.Settler { return b.Ledger.Reopen(entry(f)) }

func entry(f pool.Block) ledger.Block {
	return ledger.Block{
		ID: f.ID, Height: f.Height, Difficulty: f.Difficulty, Reward: f.Reward,
		Wallet: f.Wallet, Worker: f.Worker, Time: f.Time,
	}
}

// keeper is a folder of open blocks as a pool sees it.
type keeper struct{ *openblocks.Store }

func (k keeper) Keep(ctx context.Context, b pool.Block, block []byte) error {
	return k.Store.Keep(ctx, openblocks.Record{
		ID: b.ID, Height: b.Height, Difficulty: b.Difficulty, Reward: b.Reward,
		Wallet: b.Wallet, Worker: b.Worker, Time: b.Time, Block: block,
	})
}

// leftovers are open blocks of earlier starts as a pool takes them.
func leftovers(records []openblocks.Record) []pool.Leftover {
	all := make([]pool.Leftover, 0, len(records))
	for _, r := range records {
		all = append(all, pool.Leftover{
			Block: pool.Block{ID: r.ID, Height: r.Height, Difficulty: r.Difficulty, Reward: r.Reward,
				Wallet: r.Wallet, Worker: r.Worker, Time: r.Time},
			Bytes: r.Block,
		})
	}
	return all
}

// chain is a daemon client as a pool sees it.
type chain struct{ *daemon.Client }

// Submit gives the daemon that has the block on its main chain. A block that
// every daemon has beside its main chain only (they kept it because a rival
// came first) is taken, but pays nothing unless the chain turns to it: until then
// it closes no round, so that a round is never paid by a rival's block.
func (c chain) Submit(ctx context.Context, id [32]byte, block []byte) (string, error) {
	outcome := c.Client.Submit(ctx, id, block)
	switch {
	case outcome.Alternative:
		return "", beside(outcome.Daemon)
	case outcome.Accepted:
		return outcome.Daemon, nil
	case outcome.Unreachable:
		return "", fmt.Errorf("%w: %s", pool.ErrUnknownFate, outcome.Detail)
	}
	return "", fmt.Errorf("%w by %s: %s", pool.ErrRefused, outcome.Daemon, outcome.Detail)
}

// Locate implements pool.Blocks.
func (c chain) Locate(ctx context.Context, id [32]byte) pool.Location {
	return pool.Location(c.Client.Locate(ctx, id))
}

func beside(daemon string) error {
	return fmt.Errorf("%w: %s has another block of that height on its main chain", pool.ErrBeside, daemon)
}

func (c chain) BlockID(ctx context.Context, height uint64) ([32]byte, error) {
	header, err := c.HeaderByHeight(ctx, height)
	return header.ID, err
}

// verdict marks a template that was refused for what it is, so that its daemon
// is left alone for a while. What kept the pool from judging it (a seed block
// nobody could be asked for, a cache that is not built) is not the daemon's
// fault.
func verdict(err error) error {
	var refusal *job.Refusal
	if errors.As(err, &refusal) {
		return daemon.Refused(err)
	}
	return err
}

// offer is a daemon's template as a pool takes it.
func offer(t *daemon.Template) *job.Offer {
	return &job.Offer{
		Blob: t.Blob, HashingBlob: t.HashingBlob, Height: t.Height, Difficulty: t.Difficulty,
		Prev: t.Prev, Seed: t.Seed, NextSeed: t.NextSeed, SeedHeight: t.SeedHeight,
		ReservedOffset: t.ReservedOffset, Reward: t.ExpectedReward, Daemon: t.Daemon,
	}
}
