package miner

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/assay-pool/assay/bench/xmrig"
)

// work is a job with the nonces not tried yet.
type work struct {
	job     *xmrig.Job
	session *session
	next    atomic.Uint64
}

// nonces is how many nonces a job has: XMRig leaves the top byte alone in
// NiceHash mode.
func (w *work) nonces() uint64 {
	if w.job.NiceHash {
		return 1 << 24
	}
	return 1 << 32
}

// reserve takes up to n nonces; none when the job is used up.
func (w *work) reserve(n int) (first uint64, got int) {
	first = w.next.Add(uint64(n)) - uint64(n)
	if first >= w.nonces() {
		w.next.Store(w.nonces()) // keep the counter from running round
		return 0, 0
	}
	return first, int(min(uint64(n), w.nonces()-first))
}

// board is where threads find their work.
type board struct {
	mu      sync.Mutex
	current *work         // guarded by mu; nil = nothing to do
	changed chan struct{} // guarded by mu; closed by the next post
}

// look returns the work and what to wait for when there is none.
func (b *board) look() (*work, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current, b.changed
}

func (b *board) post(w *work) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = w
	close(b.changed)
	b.changed = make(chan struct{})
}

// idleUnless takes the old work down when the next needs another seed: its
// shares would be stale by the time the seed is ready.
func (b *board) idleUnless(job *xmrig.Job) {
	if old, _ := b.look(); old != nil && old.job.Seed != job.Seed {
		b.post(nil)
	}
}

// thread hashes until ctx ends. It owns h.
func (m *Miner) thread(ctx context.Context, h Hasher) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	in := make([]byte, 0, m.cfg.Batch*xmrig.MaxBlobBytes)
	lens := make([]uint32, m.cfg.Batch)
	out := make([]byte, 32*m.cfg.Batch)
	for ctx.Err() == nil {
		w, changed := m.board.look()
		got := 0
		if w != nil {
			var first uint64
			if first, got = w.reserve(m.cfg.Batch); got > 0 {
				in = fill(in[:0], lens, w.job, first, got)
				if err := h.Hash(w.job.Algo, w.job.Seed, w.job.Height, in, lens[:got], out[:32*got]); err != nil {
					m.book.hashError(err)
					m.log.Warn("hash", "err", err, "job", w.job.ID)
					got = 0 // wait for another job; this one would fail again
				} else {
					m.book.hashes.Add(uint64(got))
					m.check(w, in, out[:32*got])
				}
			}
		}
		if got > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// fill appends n blobs with consecutive nonces and sets their lengths.
func fill(in []byte, lens []uint32, job *xmrig.Job, first uint64, n int) []byte {
	for i := range n {
		at := len(in) + xmrig.NonceOffset
		in = append(in, job.Blob...)
		nonce := uint32(first + uint64(i))
		if job.NiceHash {
			nonce |= uint32(job.Blob[xmrig.NonceOffset+3]) << 24
		}
		binary.LittleEndian.PutUint32(in[at:], nonce)
		lens[i] = uint32(len(job.Blob))
	}
	return in
}

// check submits what meets the target.
func (m *Miner) check(w *work, in, out []byte) {
	for i := 0; i*32 < len(out); i++ {
		hash := out[i*32 : i*32+32]
		if !w.job.Meets(hash) {
			continue
		}
		share := Share{
			JobID: w.job.ID, Algo: w.job.Algo, Height: w.job.Height, Seed: w.job.Seed,
			TargetHex: w.job.TargetHex, Target: w.job.Target,
		}
		copy(share.Nonce[:], in[i*len(w.job.Blob)+xmrig.NonceOffset:])
		copy(share.Result[:], hash)
		w.session.submit(share, w.job)
	}
}
