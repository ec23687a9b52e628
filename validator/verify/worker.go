package verify

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
)

// worker is the state of one hash thread; its buffers grow to the widest batch
// once and are reused, so a share costs no allocation.
type worker struct {
	owner  *Verifier
	hasher Hasher
	batch  []*Share
	late   []*Share // to be shed
	in     []byte
	lens   []uint32
	out    []byte
	logged time.Time // when a failed batch was last logged
}

// failLogGap keeps a seed that is gone from flooding the log with its shares;
// the metrics count them all.
const failLogGap = time.Second

// work judges every share of the batch: all are of one key.
func (w *worker) work() {
	now := time.Now()
	w.in, w.lens = w.in[:0], w.lens[:0]
	for _, s := range w.batch {
		w.owner.metrics.wait.Observe(now.Sub(s.Received).Seconds())
		before := len(w.in)
		w.in = AppendBlob(w.in, s.Template, &s.Extra, s.Nonce)
		w.lens = append(w.lens, uint32(len(w.in)-before))
	}
	n := len(w.batch)
	if len(w.out) < 32*n {
		w.out = make([]byte, 32*n)
	}
	err := w.hasher.Hash(KeyOf(w.batch[0].Template), w.in, w.lens, w.out[:32*n])
	took := time.Since(now)
	if err != nil {
		w.fail(err)
		return
	}
	m := w.owner.metrics
	m.busy.Add(took.Seconds())
	m.hashes.Add(float64(n))
	m.batch.Observe(float64(n))
	for i, s := range w.batch {
		m.hash.Observe(took.Seconds() / float64(n))
		copy(s.Hash[:], w.out[32*i:])
		w.owner.judge(s, w.verdict(s))
	}
	clear(w.batch)
}

// verdict holds the proven hash against the claim, and against the network.
// The job's own target was held against the claim before the queue; as claim
// and hash are equal here, it is met.
func (w *worker) verdict(s *Share) validator.Verdict {
	if s.Hash != s.Claim {
		return validator.RejectBadHash
	}
	if s.Template.Difficulty.Meets(&s.Hash) {
		s.Block = true
		w.owner.metrics.blocks.Inc()
	}
	return validator.Accepted
}

// shed gives up on the shares that have waited too long. What waits as a block
// candidate is never among them: a block is worth its hash even when its miner has
// given up. Claims beyond what a session may have believed wait as plain shares.
func (w *worker) shed() {
	for _, s := range w.late {
		w.owner.judge(s, validator.ShedDeadline)
	}
	clear(w.late)
}

// fail sheds a batch that could not be hashed.
func (w *worker) fail(err error) {
	verdict := validator.ShedError
	if errors.Is(err, pow.ErrEpoch) {
		verdict = validator.ShedEpoch
	}
	if now := time.Now(); now.Sub(w.logged) >= failLogGap {
		w.logged = now
		w.owner.cfg.Log.Error("batch not hashed", "shares", len(w.batch), "algo", w.batch[0].Template.Algo, "height", w.batch[0].Template.Height, "err", err)
	}
	for _, s := range w.batch {
		w.owner.judge(s, verdict)
	}
	clear(w.batch)
}

// AppendBlob appends the hashing blob of one nonce: what a miner hashed.
func AppendBlob(dst []byte, t *job.Template, extra *job.Extra, nonce uint32) []byte {
	start := len(dst)
	dst = t.AppendHashing(dst, extra[:])
	binary.LittleEndian.PutUint32(dst[start+t.HashingNonceOffset():], nonce)
	return dst
}

// Block is the whole block of a share that met the network's difficulty, as
// the daemon wants it, and its id.
func Block(s *Share) (id [32]byte, block []byte) {
	id = blob.BlockID(AppendBlob(nil, s.Template, &s.Extra, s.Nonce))
	return id, s.Template.AppendBlock(nil, s.Extra[:], s.Nonce)
}
