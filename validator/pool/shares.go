package pool

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/verify"
)

// Submit hands a share to the verifier. Its Origin is answered exactly once.
func (p *Pool) Submit(s *verify.Share) {
	s.Sink = p
	p.cfg.Verifier.Submit(s)
}

// Reject counts a share that a session refused before it got here.
func (p *Pool) Reject(wallet, worker string, v validator.Verdict) {
	p.cfg.Ledger.Reject(wallet, worker, v)
}

// Judged implements verify.Sink: credit first, then the block, then the reply.
func (p *Pool) Judged(s *verify.Share) {
	now := time.Now()
	if s.Verdict == validator.Accepted && !p.cfg.Ledger.Credit(s.Wallet, s.Worker, s.Difficulty, now) {
		// The miner has not been told anything yet, so nothing false was said;
		// a block is still a block.
		s.Verdict = validator.ShedLedger
	}
	if s.Block {
		p.found(s, now)
	}
	if s.Verdict != validator.Accepted {
		p.cfg.Ledger.Reject(s.Wallet, s.Worker, s.Verdict)
	}
	p.metrics.judged(s)
	s.Origin.Reply(s)
}

// found cuts the round and sends the block on its way. It waits only when
// Submissions blocks are on their way already: then a block is worth more than
// the hashes of the worker that waits.
func (p *Pool) found(s *verify.Share, now time.Time) {
	id, block := verify.Block(s)
	b := Block{
		ID: id, Height: s.Template.Height, Difficulty: s.Template.Difficulty.String(),
		Reward: s.Template.Reward, Wallet: s.Wallet, Worker: s.Worker, Time: now,
	}
	pending := p.cfg.Ledger.Found(b)
	p.metrics.found.Inc()
	p.submissions <- struct{}{}
	p.inflight.Add(1)
	go func() {
		defer p.inflight.Done()
		defer func() { <-p.submissions }()
		p.place(b, block, pending)
	}()
}

// place submits a block and settles its round.
func (p *Pool) place(b Block, block []byte, pending Pending) {
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.SubmitTimeout)
	defer cancel()
	id := hex.EncodeToString(b.ID[:])
	daemon, err := p.cfg.Blocks.Submit(ctx, b.ID, block)
	if err != nil {
		p.metrics.lost.Inc()
		// The block's bytes are logged: an operator can still submit them.
		p.log.Error("block not accepted", "height", b.Height, "id", id, "err", err, "block", hex.EncodeToString(block))
		pending.Rejected(err.Error())
		return
	}
	p.metrics.won.Inc()
	p.log.Info("block accepted", "height", b.Height, "id", id, "daemon", daemon, "worker", b.Worker)
	pending.Accepted(daemon)
}
