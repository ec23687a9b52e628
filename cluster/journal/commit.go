package journal

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/assay-pool/assay/internal/crash"
)

// run is the committer: it writes what waits, at most once in Config.Sync, and looks
// for a new segment while the disk fails.
func (j *Journal) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var last time.Time // when the last commit began
	for {
		var calmed <-chan time.Time
		switch failing, calmAt := j.state(); {
		case failing:
			if !j.sleep(timer, time.Until(j.lastTry.Add(retryEvery))) {
				j.finish()
				return
			}
			j.retry()
			continue
		case !calmAt.IsZero():
			timer.Reset(max(0, time.Until(calmAt)))
			calmed = timer.C
		}
		select {
		case <-j.kick:
		case <-calmed:
			j.calmDown()
			continue
		case <-j.closing:
			j.finish()
			return
		}
		// A closing journal does not wait, but still has to write; nor does one with an
		// event: a found block is on its way to the daemons already.
		j.pace(timer, time.Until(last.Add(j.cfg.Sync.pause())))
		last = time.Now()
		j.round()
	}
}

// state is whether there is no segment to write, and when the last trouble of that
// kind will be over; zero = there was none.
func (j *Journal) state() (failing bool, calmAt time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.trouble != nil {
		calmAt = j.trouble.good.Add(calm)
	}
	return j.failing != nil, calmAt
}

// sleep waits; false when the journal is being closed.
func (j *Journal) sleep(timer *time.Timer, d time.Duration) bool {
	select {
	case <-j.closing:
		return false
	default:
	}
	if d <= 0 {
		return true
	}
	timer.Reset(d)
	select {
	case <-timer.C:
		return true
	case <-j.closing:
		return false
	}
}

// pace waits, unless there is an event to be written.
func (j *Journal) pace(timer *time.Timer, d time.Duration) {
	if d > 0 {
		timer.Reset(d)
		select {
		case <-timer.C:
		case <-j.urgent:
		case <-j.closing:
		}
	}
	select { // what is written now
	case <-j.urgent:
	default:
	}
}

// finish writes what still waits, tries to find a segment if there is none, and tells
// all others that it is over.
func (j *Journal) finish() {
	for range 2 { // the disk may fail at what is written now
		if failing, _ := j.state(); failing {
			j.retry()
		}
		for more := true; more; {
			more = j.round()
		}
	}
	j.mu.Lock()
	kept, skips := j.kept, j.skips
	j.kept, j.skips = nil, nil
	err := error(ErrClosed)
	if j.failing != nil {
		err = fmt.Errorf("%w: %w", ErrClosed, &diskError{dir: j.cfg.Dir, cause: j.failing})
	}
	j.mu.Unlock()
	for _, e := range kept {
		j.unwritten(e, err)
	}
	for _, s := range skips {
		s <- err
	}
	if j.file != nil {
		j.file.Close() // all that counts is on disk
		j.file = nil
	}
}

// round commits what waits; false if that was nothing, or there is no segment.
func (j *Journal) round() bool {
	b := j.take()
	if b == nil {
		return false
	}
	began := time.Now()
	err := j.write(b)
	ok := j.wrote(b, err, time.Since(began))
	turn := b.turn
	j.giveBack(b)
	if ok && turn != nil {
		j.turn(turn)
	}
	if !ok {
		j.abandon()
	}
	return true
}

// take is what waits, or nil. The records that come from now on may be those of the
// next segment: which one is decided here, between two batches.
func (j *Journal) take() *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, e := j.cur, &j.enc
	skip := j.skip > j.end
	if j.failing != nil || len(b.buf) == 0 && !skip {
		return nil
	}
	b.end, b.sums = e.pos, e.sums
	if skip || int64(e.pos-e.base) >= j.cfg.SegmentBytes || e.pairs.full() {
		b.turn = j.nextHeader(max(e.pos, j.skip), e.pos, e.sums)
		e.begin(b.turn)
	}
	j.cur, j.spare, j.inflight = j.spare, nil, b
	j.arm()
	return b
}

// nextHeader is that of a segment; its carry is for the committer to add. One that
// replaces a segment without records tells all that was told there. mu is held.
func (j *Journal) nextHeader(base, prev Position, sums Sums) *header {
	h := &header{
		id: j.id, identity: j.cfg.Identity, base: base, prev: prev, sums: sums,
		salt: newSalt(), time: time.UnixMilli(time.Now().UnixMilli()).UTC(), uncertain: j.unsure,
	}
	if last := j.shelf.last(); last != nil && last.base == base {
		h.prev = last.prev
		h.uncertain = h.uncertain || last.uncertain
	}
	return h
}

// write puts a batch on disk. The last batch of a segment is synced even if no other
// is: so a dead machine tears no segment but the last.
func (j *Journal) write(b *batch) error {
	if err := j.present(); err != nil {
		return err
	}
	if len(b.buf) > 0 {
		n, err := j.file.Write(b.buf)
		if err == nil && n < len(b.buf) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return err
		}
	}
	crash.At(crash.JournalAfterWriteBeforeSync)
	if j.cfg.Sync == SyncOff && b.turn == nil {
		return nil
	}
	return j.file.Sync()
}

// present looks now and then whether the segment's file is still in the folder. One
// that somebody has removed takes all that is written to it, and nobody would ever
// find it.
func (j *Journal) present() error {
	if time.Since(j.looked) < lookEvery {
		return nil
	}
	j.looked = time.Now()
	return j.fs.Here(j.seg.path, j.file)
}

// wrote notes that a batch is durable, counts it and tells its waiters; or that it is
// not, or came too late: then it never will be.
func (j *Journal) wrote(b *batch, err error, took time.Duration) bool {
	j.mu.Lock()
	late := j.disarm()
	if err != nil || late {
		var lost failed
		if !late {
			lost = j.fail(err)
		}
		j.inflight = nil
		j.mu.Unlock()
		lost.tell(j)
		return false
	}
	j.end, j.sums, j.prev, j.inflight = b.end, b.sums, b.end, nil
	j.waiting -= len(b.buf)
	found := j.settle(b.events)
	j.shelf.advance(b.end, b.sums) // before review, which counts bytes
	if j.refusal.Load() != nil {
		j.review()
	}
	j.mu.Unlock()
	if found {
		crash.At(crash.JournalAfterFound)
	}
	crash.At(crash.JournalAfterSyncBeforeReply)
	if len(b.buf) > 0 {
		j.metrics.commit(b, took)
	}
	for _, d := range b.dones {
		d.Committed(nil)
	}
	for _, e := range b.events {
		if e.done != nil {
			e.done.Committed(nil)
		}
	}
	if len(b.dones)+len(b.events) > 0 {
		crash.At(crash.JournalAfterReply)
	}
	return true
}

// settle takes durable events into the list of open blocks. mu is held.
func (j *Journal) settle(events []*event) (found bool) {
	for _, e := range events {
		switch e.kind {
		case KindFound:
			found = true
			j.open = append(j.without(e.found.ID), e.found)
		case KindSettled:
			j.open = j.without(e.settled.ID)
			j.heldSum -= j.held[e.settled.ID]
			delete(j.held, e.settled.ID)
		}
	}
	return found
}

func (j *Journal) without(id [32]byte) []*Found {
	return slices.DeleteFunc(j.open, func(f *Found) bool { return f.ID == id })
}

// giveBack makes a batch's memory the next but one's.
func (j *Journal) giveBack(b *batch) {
	b.reset()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spare = b
}
