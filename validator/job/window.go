package job

import (
	"encoding/binary"

	"github.com/assay-pool/assay/validator/blob"
)

// Job is what one session was asked to work on. Immutable but for the nonces
// seen, which belong to the session's event loop.
type Job struct {
	Template   *Template
	Root       [32]byte    // tree root of the template with the job's extra nonce
	Difficulty uint64      // what an accepted share is credited with
	Target     blob.Target // what the miner was sent, and is held to
	Number     uint32      // within the session
	seen       nonces
}

// Window is a session's few latest jobs. Owned by the session's event loop.
// Its zero value is not usable: make one with NewWindow.
type Window struct {
	prefix  Prefix
	session uint32
	next    uint32 // number of the next job
	keep    uint8
	jobs    []Job // ring once full: slot = number % keep
}

// MaxKeep bounds the jobs a session may keep: each holds a template alive and
// up to its limit of nonces.
const MaxKeep = 32

// NewWindow makes the window of one session; keep is clamped to 1…MaxKeep.
func NewWindow(prefix Prefix, session uint32, keep int) Window {
	return Window{prefix: prefix, session: session, keep: uint8(min(max(keep, 1), MaxKeep))}
}

// Cut makes the session's next job, and hashes its root: the one time for all of
// its shares. The pointer is valid until the window has moved past the job, so
// callers use it at once and keep no copy of it.
func (w *Window) Cut(t *Template, difficulty uint64) *Job {
	extra := w.Extra(w.next)
	job := Job{Template: t, Root: t.Root(extra[:]), Difficulty: difficulty, Target: blob.TargetFor(difficulty), Number: w.next}
	w.next++
	if len(w.jobs) < int(w.keep) {
		w.jobs = append(w.jobs, job)
		return &w.jobs[len(w.jobs)-1]
	}
	slot := &w.jobs[job.Number%uint32(w.keep)]
	*slot = job
	return slot
}

// Latest is the job cut last, or nil.
func (w *Window) Latest() *Job {
	if len(w.jobs) == 0 {
		return nil
	}
	return w.slot(w.next - 1)
}

func (w *Window) slot(number uint32) *Job {
	job := &w.jobs[number%uint32(w.keep)]
	if job.Number != number {
		return nil
	}
	return job
}

// Session is the number that makes this session's extra nonces its own.
func (w *Window) Session() uint32 { return w.session }

// Extra is the extra nonce of one of this session's jobs.
func (w *Window) Extra(number uint32) Extra { return MakeExtra(w.prefix, w.session, number) }

// AppendID appends the wire id of one of this session's jobs.
func (w *Window) AppendID(dst []byte, number uint32) []byte { return AppendID(dst, w.session, number) }

// Find looks up the job a miner names. issued tells a job that has left the
// window (stale) from one that this session was never given.
func (w *Window) Find(id []byte) (job *Job, issued bool) {
	session, number, ok := ParseID(id)
	if !ok || session != w.session || number >= w.next {
		return nil, false
	}
	return w.slot(number), true
}

// AppendHashing appends the job's hashing blob as the miner gets it, with the
// nonce of the template. Nothing is hashed for it.
func (j *Job) AppendHashing(dst []byte) []byte { return j.Template.AppendWithRoot(dst, j.Root) }

// AppendInput appends what a miner hashes for a nonce, which is given as its four
// bytes read little-endian: the hashing blob with it. Nothing is hashed for it.
func (j *Job) AppendInput(dst []byte, nonce uint32) []byte {
	start := len(dst)
	dst = j.AppendHashing(dst)
	binary.LittleEndian.PutUint32(dst[start+j.Template.HashingNonceOffset():], nonce)
	return dst
}

// Use answers for one nonce of a job.
type Use uint8

// What Use found.
const (
	Fresh     Use = iota // not seen before; remembered now
	Duplicate            // seen before
	Full                 // the job has used up its limit; not remembered
)

// Use remembers a nonce, at most limit of them. It is called before the share
// is hashed, so that one nonce sent many times is hashed once (I12).
func (j *Job) Use(nonce uint32, limit int) Use {
	switch {
	case j.seen.has(nonce):
		return Duplicate
	case j.seen.len() >= limit:
		return Full
	}
	j.seen.add(nonce)
	return Fresh
}

// Forget takes a nonce back, because a share that was shed may be sent again.
// A job that has left the window has nothing to forget.
func (w *Window) Forget(number, nonce uint32) {
	if job := w.slot(number); job != nil {
		job.seen.remove(nonce)
	}
}
