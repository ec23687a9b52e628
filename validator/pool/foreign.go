package pool

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/assay-pool/assay/validator/blob"
)

// Tips gives whole blocks.
type Tips interface {
	Block(ctx context.Context, id [32]byte) ([]byte, error)
}

// tipTimeout bounds the questions for one block; nothing waits for them.
const tipTimeout = 10 * time.Second

// tips looks at the newest block of the chain, once each, for an extra nonce that
// begins as this pool's do although the pool did not find the block: then somebody
// else hands out the same jobs, and the same hash is credited by both.
//
// That a daemon knows a block already when it is first submitted is not taken for
// a sign: it says so too when another daemon was faster to tell it, and to a block
// whose answer was lost. Of two pools with the same jobs one finds the next block
// first, and then the other sees it here.
type tips struct {
	last [32]byte      // owned by Accept's goroutine
	next chan [32]byte // capacity 1; sent to by Accept's goroutine alone
}

// newTip has the parent of a published template looked at. It never waits: while
// one block is asked for only the newest of the others is kept.
func (p *Pool) newTip(id [32]byte) {
	t := &p.tips
	if p.cfg.Tips == nil || id == t.last {
		return
	}
	t.last = id
	if p.known.has(id) {
		return // it must not push out one that has to be looked at, nor count as missed
	}
	select {
	case t.next <- id:
		return
	default:
	}
	select {
	case <-t.next:
		p.metrics.tipsMissed.Inc()
	default:
	}
	t.next <- id
}

// watchTips looks at one tip after the other until the pool closes.
func (p *Pool) watchTips() {
	for {
		select {
		case <-p.closing.Done():
			return
		case id := <-p.tips.next:
			if err := p.lookAtTip(id); err != nil && p.closing.Err() == nil {
				p.metrics.tipsMissed.Inc()
				p.log.Debug("the newest block could not be looked at", "id", hex.EncodeToString(id[:]), "err", err)
			}
		}
	}
}

func (p *Pool) lookAtTip(id [32]byte) error {
	if p.known.has(id) {
		return nil
	}
	ctx, cancel := context.WithTimeout(p.closing, tipTimeout)
	defer cancel()
	raw, err := p.cfg.Tips.Block(ctx, id)
	if err != nil {
		return err
	}
	block, err := blob.Parse(p.cfg.Coin.BlobType, raw, 0)
	if err != nil {
		return err // other pools' blocks may have another form; ours never have
	}
	extra := raw[block.ReservedOffset : block.ReservedOffset+block.ReserveSize]
	session, ours := p.prefix.Session(extra)
	if !ours {
		return nil
	}
	if got := blob.BlockID(block.AppendHashing(nil, extra)); got != id {
		return fmt.Errorf("the daemon gave the block %x for it", got)
	}
	if p.known.has(id) {
		return nil // found while it was asked for
	}
	p.metrics.foreign.Inc()
	p.log.Error("the newest block has an extra nonce of this pool, and this node did not find it: somebody else hands out the same jobs, so hashes are credited twice; "+
		"look for a copy of this machine or process (--wallet names the pool), end it, and restart this node, which then draws other extra nonces",
		"wallet", p.cfg.Wallet, "height", block.Height, "id", hex.EncodeToString(id[:]), "extra_nonce", hex.EncodeToString(extra),
		"session", session, "session_given_out", session != 0 && session <= p.sessions.Load())
	return nil
}
