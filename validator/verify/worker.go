package verify

import (
	"encoding/hex"
	"errors"
	"time"

	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
)

// worker is the state of one hash thread; its buffers grow to the widest batch
// once and are reused, so a task costs no allocation.
type worker struct {
	owner  *Verifier
	hasher Hasher
	batch  []*Task
	late   []*Task // to be shed
	in     []byte
	lens   []uint32
	out    []byte
	logged time.Time // when a failed batch was last logged
}

// failLogGap keeps a seed that is gone from flooding the log with its shares;
// the metrics count them all.
const failLogGap = time.Second

// work judges every task of the batch: all are of one key.
func (w *worker) work() {
	now := time.Now()
	w.in, w.lens = w.in[:0], w.lens[:0]
	for _, t := range w.batch {
		w.owner.metrics.wait.Observe(now.Sub(t.Received).Seconds())
		w.in = append(w.in, t.Input()...)
		w.lens = append(w.lens, uint32(len(t.Input())))
	}
	n := len(w.batch)
	if len(w.out) < 32*n {
		w.out = make([]byte, 32*n)
	}
	err := w.hasher.Hash(w.batch[0].Key, w.in, w.lens, w.out[:32*n])
	took := time.Since(now)
	if err != nil {
		w.fail(err)
		return
	}
	m := w.owner.metrics
	m.busy.Add(took.Seconds())
	m.hashes.Add(float64(n))
	m.batch.Observe(float64(n))
	for i, t := range w.batch {
		m.hash.Observe(took.Seconds() / float64(n))
		copy(t.Hash[:], w.out[32*i:])
		w.owner.judge(t, w.verdict(t))
	}
	clear(w.batch)
}

// verdict holds the hash against the claim, and a proven one against the goals.
// A claim that meets none of them is not worth its hash, and is refused before
// the queue.
func (w *worker) verdict(t *Task) validator.Verdict {
	if t.Hash != t.Claim {
		return validator.RejectBadHash
	}
	t.Met = t.Goals.Meets(&t.Hash)
	if t.Met.Block() {
		w.owner.metrics.blocks.Inc()
	}
	return validator.Accepted
}

// shed gives up on the tasks that have waited too long. What waits as a block
// candidate is never among them: a block is worth its hash even when its miner has
// given up. Claims beyond what a session may have believed wait as plain shares.
func (w *worker) shed() {
	for _, t := range w.late {
		w.owner.judge(t, validator.ShedDeadline)
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
		key := w.batch[0].Key
		w.owner.cfg.Log.Error("batch not hashed", "shares", len(w.batch), "algo", key.Algo, "seed", hex.EncodeToString(key.Seed[:]), "err", err)
	}
	for _, t := range w.batch {
		w.owner.judge(t, verdict)
	}
	clear(w.batch)
}
