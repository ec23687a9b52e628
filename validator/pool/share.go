package pool

import (
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/verify"
)

// Share is one submitted nonce from its session to its answer. Its owner writes it
// until Submit and has it back with Origin.Reply; in between it is the pipeline's.
// It may be used again then, without new memory.
type Share struct {
	verify.Task
	Template   *job.Template
	Extra      job.Extra
	Job, Nonce uint32 // number within the session; the nonce's four bytes read little-endian
	Difficulty uint64 // of the job it names: what it is credited with (I5)
	Worker     string

	Origin Origin // answered last
	Owner  any    // the origin's own, a pointer

	pool *Pool // set by Submit
}

// Origin is who asked, and must be answered.
type Origin interface{ Reply(*Share) }

// A template's hashing blob fits a work: job.NewTemplate refuses longer ones.
const _ = uint(verify.MaxInput - job.MaxHashingBlob)

// For makes s a share of a job: its work, and what it is worth. extra is the job's
// extra nonce, claim the hash that the miner says it has. It is all copied: the
// job may leave its window. The sender, the class and the origin are the caller's
// to set.
func (s *Share) For(j *job.Job, extra job.Extra, nonce uint32, claim *[32]byte) {
	s.Template, s.Extra = j.Template, extra
	s.Job, s.Nonce, s.Difficulty = j.Number, nonce, j.Difficulty
	s.Key = keyOf(j.Template)
	s.Claim = *claim
	s.Goals = verify.Goals{Job: j.Target, Chain: [verify.MaxChains]blob.Difficulty{j.Template.Difficulty}}
	s.SetInput(j.AppendInput(s.Buffer(), nonce))
	s.Verdict, s.Met, s.Hash = validator.Pending, 0, [32]byte{}
}

// keyOf is what the template's shares are hashed with.
func keyOf(t *job.Template) pow.Key {
	key := pow.Key{Algo: t.Algo}
	if t.Algo.NeedsSeed() {
		key.Seed = t.Seed
	}
	if t.Algo.NeedsHeight() {
		key.Height = t.Height
	}
	return key
}

// Release lets go of all that an answered share would keep alive.
func (s *Share) Release() {
	s.Template, s.Wallet, s.Worker = nil, "", ""
	s.Sink, s.Origin, s.Owner, s.pool = nil, nil, nil, nil
}

// Block reports whether the share is a block: its hash is proven and meets the
// difficulty of the pool's chain (I6).
func (s *Share) Block() bool { return s.Met.Chain(0) }

// Submit hands a share to the verifier. Its Origin is answered exactly once. A
// share that could not be credited is not hashed, unless it claims to be a block:
// a block is a block, whatever the books can take.
func (p *Pool) Submit(s *Share) {
	s.pool, s.Sink = p, s
	if !s.Goals.Chain[0].Meets(&s.Claim) && !p.cfg.Books.Admit() {
		s.Verdict = validator.ShedLedger
		p.answer(s)
		return
	}
	p.cfg.Verifier.Submit(&s.Task)
}

// Reject counts a share that a session refused before it got here.
func (p *Pool) Reject(wallet, worker string, v validator.Verdict) {
	p.cfg.Books.Reject(wallet, worker, v)
}

// Judged implements [verify.Sink], on the thread that judged: the credit first,
// then the block, so that the books have them in this order and a round ends with
// the share that found its block. A block is sent on its way whatever becomes of
// its share's credit.
//
// The share may be answered, and be another one, as soon as the books have it:
// what the block needs is taken out of it before.
func (s *Share) Judged(*verify.Task) {
	p := s.pool
	if s.Verdict != validator.Accepted {
		p.answer(s)
		return
	}
	if !s.Block() {
		p.cfg.Books.Credit(s)
		return
	}
	f := newFind(s)
	p.cfg.Books.Credit(s)
	p.found(f)
}

// Committed is told by the [Books], once, what became of the credit of a share that
// was given to Credit, on any goroutine. nil is a credit that no end of the process
// or of the machine takes back, and only then the miner is told "accepted" (I2).
// With an error the miner is told that the share did not count: it has been told
// nothing yet, so nothing false was said.
func (s *Share) Committed(err error) {
	if err != nil {
		s.Verdict = validator.ShedLedger
	}
	s.pool.answer(s)
}

// answer counts a verdict and sends it to who asked. The share is not the pool's
// any more then.
func (p *Pool) answer(s *Share) {
	if s.Verdict != validator.Accepted {
		p.cfg.Books.Reject(s.Wallet, s.Worker, s.Verdict)
	}
	p.metrics.judged(s)
	s.Origin.Reply(s)
}
