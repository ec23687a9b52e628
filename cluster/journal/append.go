package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/assay-pool/assay/internal/crash"
)

// encoder turns records into the bytes of the segment that is being filled, which
// may not be a file yet. Guarded by Journal.mu.
type encoder struct {
	salt  uint64
	began int64 // the segment's time in milliseconds
	base  Position
	pos   Position // behind the last record
	sums  Sums     // up to pos
	pairs book[pair]
	seeds book[[32]byte]
}

func newEncoder() encoder {
	return encoder{pairs: newBook[pair](maxNames), seeds: newBook[[32]byte](maxSeeds)}
}

// begin goes on in another segment.
func (e *encoder) begin(h *header) {
	e.salt, e.began, e.base, e.pos, e.sums = h.salt, h.time.UnixMilli(), h.base, h.base, h.sums
	e.pairs.begin()
	e.seeds.begin()
}

// batch is what one commit writes.
type batch struct {
	buf    []byte
	dones  []Done   // of credits
	events []*event // in the order of their records
	counts [KindLost]int
	end    Position // behind it; set when it is taken, as are:
	sums   Sums
	turn   *header // of the segment that begins behind it; nil = none does
}

// reset empties it and forgets what it was told to call.
func (b *batch) reset() {
	clear(b.dones)
	clear(b.events)
	*b = batch{buf: b.buf[:0], dones: b.dones[:0], events: b.events[:0]}
}

// event is a record that is kept until a disk takes it.
type event struct {
	kind     Kind
	found    *Found
	settled  *Settled
	clawBack *ClawBack
	vest     *Vest
	done     Done
}

func newSalt() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])
}

// Credit starts the append of an accepted share; d, which may be nil, is told
// exactly once. It never blocks and takes no memory once it knows the names. Errors
// are Admit's, ErrName and ErrDifficulty; a disk that fails afterwards is ErrDisk.
func (j *Journal) Credit(c Credit, d Done) {
	crash.At(crash.JournalBeforeAppend)
	first, err := j.credit(&c, d)
	if err != nil {
		j.metrics.refused.Inc()
		if d != nil {
			d.Committed(err)
		}
		return
	}
	if first {
		j.wake()
	}
}

// credit encodes a share into the batch; first says that nothing waited before it.
func (j *Journal) credit(c *Credit, d Done) (first bool, err error) {
	if len(c.Wallet) > MaxName || len(c.Worker) > MaxName {
		return false, ErrName
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.refusal.Load(); r != nil {
		if j.trouble != nil {
			j.trouble.refused++
		}
		return false, r.err
	}
	if c.Difficulty == 0 || c.Difficulty > math.MaxInt64 || j.enc.sums.Hashes > math.MaxInt64-c.Difficulty {
		return false, ErrDifficulty
	}
	if j.shelf.size.Load()+int64(j.waiting) >= j.cfg.MaxBytes {
		j.full = true
		j.review()
		j.wakeKeeper()
		return false, j.refusal.Load().err
	}
	b, e := j.cur, &j.enc
	first = len(b.buf) == 0
	var start int
	b.buf, start = beginFrame(b.buf)
	b.buf = appendCredit(b.buf, c, e.began, &e.pairs, &e.seeds)
	e.sums.Hashes += c.Difficulty
	e.sums.Shares++
	j.endRecord(start, KindCredit)
	if d != nil {
		b.dones = append(b.dones, d)
	}
	return first, nil
}

// endRecord completes the record that begins at start in the batch. mu is held.
func (j *Journal) endRecord(start int, kind Kind) {
	b, e := j.cur, &j.enc
	b.buf = endFrame(b.buf, start, e.salt, e.pos)
	n := len(b.buf) - start
	e.pos += Position(n)
	b.counts[kind]++
	j.waiting += n
	if j.waiting >= j.cfg.MaxWaiting && j.refusal.Load() == nil {
		j.review()
	}
}

// Found starts the append of a found block's record. A disk that fails does not fail
// it: it is written when a disk works again, and d told then. Errors are ErrClosed,
// ErrBlock, ErrOpen, ErrBusy, and ErrFull an eighth beyond Config.MaxBytes; each is
// logged with the block.
func (j *Journal) Found(f Found, d Done) {
	crash.At(crash.JournalBeforeFound)
	f.Bytes = bytes.Clone(f.Bytes)
	j.event(&event{kind: KindFound, found: &f, done: d})
}

// Settle starts the append of a block's fate. Errors are ErrClosed and ErrBusy.
func (j *Journal) Settle(s Settled, d Done) {
	j.event(&event{kind: KindSettled, settled: &s, done: d})
}

// ClawBack starts the append of a claw-back. Errors are ErrClosed and ErrBusy.
func (j *Journal) ClawBack(c ClawBack, d Done) {
	j.event(&event{kind: KindClawBack, clawBack: &c, done: d})
}

// Vest starts the append of a vesting. Errors are ErrClosed and ErrBusy.
func (j *Journal) Vest(v Vest, d Done) {
	j.event(&event{kind: KindVest, vest: &v, done: d})
}

func (j *Journal) event(e *event) {
	first, err := j.enter(e)
	if err != nil {
		j.unwritten(e, err)
		return
	}
	select {
	case j.urgent <- struct{}{}:
	default:
	}
	if first {
		j.wake()
	}
}

// enter gives an event its place; first says that nothing waited before it.
func (j *Journal) enter(e *event) (first bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	events := len(j.cur.events) + len(j.kept)
	if j.inflight != nil {
		events += len(j.inflight.events)
	}
	switch {
	case j.readOnly:
		return false, ErrReadOnly
	case j.closed:
		return false, ErrClosed
	case events >= maxEvents:
		return false, ErrBusy
	}
	if f := e.found; f != nil {
		before, again := j.held[f.ID]
		switch {
		case len(f.Bytes) > MaxBlock:
			return false, ErrBlock
		case !again && len(j.held) >= j.cfg.MaxOpen, int64(j.heldSum+len(f.Bytes)-before) > min(maxOpenBytes, j.cfg.MaxBytes/parts):
			return false, ErrOpen
		case j.shelf.size.Load()+int64(j.waiting+len(f.Bytes)) > j.cfg.MaxBytes+j.cfg.MaxBytes/parts:
			// What only credits are refused for may hold up no block, but a chain of
			// which every share is a block must not fill the disk.
			return false, &fullError{dir: j.cfg.Dir, bytes: j.shelf.size.Load(), maxBytes: j.cfg.MaxBytes, unreleased: j.shelf.unreleased()}
		}
		j.hold(f)
	}
	if j.failing != nil {
		j.kept = append(j.kept, e)
		return false, nil
	}
	first = len(j.cur.buf) == 0
	j.put(e)
	return first, nil
}

// hold counts a block that is not settled. mu is held.
func (j *Journal) hold(f *Found) {
	j.heldSum += len(f.Bytes) - j.held[f.ID]
	j.held[f.ID] = len(f.Bytes)
}

// put encodes an event into the batch. mu is held.
func (j *Journal) put(e *event) {
	b := j.cur
	var start int
	b.buf, start = beginFrame(b.buf)
	switch e.kind {
	case KindFound:
		b.buf = appendFound(b.buf, e.found)
	case KindSettled:
		b.buf = appendSettled(b.buf, e.settled)
	case KindClawBack:
		b.buf = appendClawBack(b.buf, e.clawBack)
	case KindVest:
		b.buf = appendVest(b.buf, e.vest)
	}
	j.endRecord(start, e.kind)
	b.events = append(b.events, e)
}

// unwritten says that an event is not in the journal and never will be.
func (j *Journal) unwritten(e *event, err error) {
	switch e.kind {
	case KindFound:
		j.metrics.unwritten.Inc()
		j.log.Error("a found block has no record on disk (--data-dir); a crash before it is settled would lose it from the books",
			"height", e.found.Height, "id", hex.EncodeToString(e.found.ID[:]), "wallet", e.found.Wallet,
			"block", hex.EncodeToString(e.found.Bytes), "err", err)
	case KindSettled:
		j.log.Error("a block's fate has no record on disk (--data-dir); the next start asks the daemons again",
			"height", e.settled.Height, "id", hex.EncodeToString(e.settled.ID[:]), "accepted", e.settled.Accepted, "err", err)
	case KindClawBack:
		j.log.Error("a claw-back has no record on disk (--data-dir)", "wallet", e.clawBack.Wallet, "err", err)
	}
	if e.done != nil {
		e.done.Committed(err)
	}
}
