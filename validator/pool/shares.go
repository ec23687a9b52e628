package pool

import (
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/verify"
)

// Submit hands a share to the verifier. Its Origin is answered exactly once. A
// share that could not be credited is not hashed, unless it claims to be a block:
// a block is a block, whatever the books can take.
func (p *Pool) Submit(s *verify.Share) {
	s.Sink = p
	if !s.Template.Difficulty.Meets(&s.Claim) && !p.cfg.Ledger.Takes(s.Wallet, s.Worker, s.Received) {
		s.Verdict = validator.ShedLedger
		p.answer(s)
		return
	}
	p.cfg.Verifier.Submit(s)
}

// Reject counts a share that a session refused before it got here.
func (p *Pool) Reject(wallet, worker string, v validator.Verdict) {
	p.cfg.Ledger.Reject(wallet, worker, v)
}

// Judged implements verify.Sink: credit first, then the block, then the reply.
func (p *Pool) Judged(s *verify.Share) {
	// The work was done by the time the share arrived. By the verdict's time a
	// queue would move a miner's hash rate from one minute to the next.
	if s.Verdict == validator.Accepted && !p.cfg.Ledger.Credit(s.Wallet, s.Worker, s.Difficulty, s.Received) {
		// The miner has not been told anything yet, so nothing false was said;
		// a block is still a block.
		s.Verdict = validator.ShedLedger
	}
	if s.Block {
		p.found(s, s.Received)
	}
	p.answer(s)
}

// answer counts a verdict and sends it to who asked.
func (p *Pool) answer(s *verify.Share) {
	if s.Verdict != validator.Accepted {
		p.cfg.Ledger.Reject(s.Wallet, s.Worker, s.Verdict)
	}
	p.metrics.judged(s)
	s.Origin.Reply(s)
}
