package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
)

// books are a journal and the ledger that reads it, as a pool sees them.
type books struct {
	journal *journal.Journal
	ledger  *ledger.Ledger
}

func (b books) Admit() bool { return b.journal.Takes() && b.ledger.Refuses() == nil }

func (b books) Credit(s *pool.Share) {
	if err := b.ledger.Refuses(); err != nil {
		s.Committed(err)
		return
	}
	b.journal.Credit(journal.Credit{Wallet: s.Wallet, Worker: s.Worker, Difficulty: s.Difficulty, Time: s.Received}, s)
}

func (b books) Reject(wallet, worker string, v validator.Verdict) {
	b.ledger.Reject(wallet, worker, v.String())
}

// The journal keeps blocks and their fates until the disk takes them, and says
// what it cannot keep: there is nothing that the pool could do about it.
func (b books) Found(f pool.Block, bytes []byte) {
	b.journal.Found(journal.Found{Block: entry(f), Bytes: bytes}, noted{})
}

func (b books) Settle(f pool.Block, fate pool.Fate) {
	b.journal.Settle(journal.Settled{Block: entry(f), Accepted: fate.Accepted, Daemon: fate.Daemon, Reason: fate.Reason, At: time.Now()}, noted{})
}

// noted waits for nothing.
type noted struct{}

func (noted) Committed(error) {}

func entry(f pool.Block) journal.Block {
	return journal.Block{
		ID: f.ID, Height: f.Height, Difficulty: f.Difficulty, Reward: f.Reward,
		Wallet: f.Wallet, Worker: f.Worker, Node: nodeName(), Time: f.Time,
	}
}

// leftovers are found blocks of earlier starts as a pool takes them: those that the
// journal has unsettled, and those of which only Redis knows.
func leftovers(open []journal.Found, forgotten []journal.Block) []pool.Leftover {
	all := make([]pool.Leftover, 0, len(open)+len(forgotten))
	for _, b := range forgotten {
		open = append(open, journal.Found{Block: b})
	}
	for _, f := range open {
		all = append(all, pool.Leftover{
			Block: pool.Block{ID: f.ID, Height: f.Height, Difficulty: f.Difficulty, Reward: f.Reward,
				Wallet: f.Wallet, Worker: f.Worker, Time: f.Time},
			Bytes: f.Bytes,
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
