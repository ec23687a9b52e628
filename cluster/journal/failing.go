package journal

import (
	"fmt"
	"time"
)

// trouble is a time in which the disk fails, up to when it has worked for a while.
type trouble struct {
	since    time.Time
	cause    error
	good     time.Time // of the last good segment
	segments int       // tried
	refused  uint64    // credits that were not taken
	dropped  int       // credits that had been taken, and were refused then
}

// failed is who must be told that a batch is lost, once no lock is held.
type failed struct {
	dones []Done
	skips []chan<- error
	err   error
	first bool // of this trouble
}

func (f *failed) tell(j *Journal) {
	if f.err == nil {
		return
	}
	if f.first {
		j.log.Error("no share is taken: the journal cannot be written", "err", f.err)
	}
	for _, d := range f.dones {
		d.Committed(f.err)
	}
	for _, s := range f.skips {
		s <- f.err
	}
}

// fail gives up the segment: all that is not durable by now never will be. Credits
// are refused, the caller must tell them; events are kept. mu is held.
func (j *Journal) fail(cause error) failed {
	j.failing = cause
	f := failed{err: &diskError{dir: j.cfg.Dir, cause: cause}, skips: j.skips}
	j.skips = nil
	for _, b := range [...]*batch{j.inflight, j.cur} {
		if b == nil {
			continue
		}
		f.dones = append(f.dones, b.dones...)
		j.kept = append(j.kept, b.events...)
		clear(b.dones)
		clear(b.events)
		b.dones, b.events = b.dones[:0], b.events[:0]
	}
	j.cur.reset()
	j.waiting = 0
	if f.first = j.trouble == nil; f.first {
		j.trouble = &trouble{since: time.Now()}
	}
	j.trouble.cause = cause
	j.trouble.dropped += len(f.dones)
	j.metrics.failures.Inc()
	j.metrics.refused.Add(float64(len(f.dones)))
	j.review()
	return f
}

// arm starts the clock for a call to the disk. mu is held.
func (j *Journal) arm() {
	j.called, j.late = time.Now(), false
	j.watchdog.Reset(j.cfg.Stall)
}

// disarm stops it; late says that the call was given up meanwhile. mu is held.
func (j *Journal) disarm() (late bool) {
	late = j.late
	j.called, j.late = time.Time{}, false
	j.watchdog.Stop()
	return late
}

// stalled gives up the call under way. Only the committer goes on waiting for it.
func (j *Journal) stalled() {
	j.mu.Lock()
	if j.called.IsZero() || j.failing != nil || time.Since(j.called) < j.cfg.Stall {
		j.mu.Unlock()
		return
	}
	j.late = true
	lost := j.fail(fmt.Errorf("%w within %v", ErrStalled, j.cfg.Stall))
	j.mu.Unlock()
	lost.tell(j)
}

// abandon closes the file of a segment that was given up. What it has behind the
// durable end is cut off, though nothing depends on it: a reader stops where the next
// segment says, but should the process die before there is one, the next start would
// take records of which the miners were told otherwise.
func (j *Journal) abandon() {
	if j.file == nil {
		return
	}
	j.mu.Lock()
	size := j.seg.data() + int64(j.end-j.seg.base)
	j.mu.Unlock()
	j.file.Truncate(size)
	j.file.Close()
	j.file = nil
}

// turn begins the segment that was decided on when the last batch was taken.
func (j *Journal) turn(h *header) {
	j.mu.Lock()
	if j.failing != nil {
		j.mu.Unlock()
		j.abandon()
		return
	}
	j.arm()
	j.mu.Unlock()
	seg, file, err := j.create(h, 0)
	j.mu.Lock()
	late := j.disarm()
	if err != nil || late {
		var lost failed
		if !late {
			lost = j.fail(err)
		}
		j.mu.Unlock()
		if file != nil {
			file.Close() // the next try replaces it
		}
		lost.tell(j)
		j.abandon()
		return
	}
	skips := j.install(seg)
	j.mu.Unlock()
	j.wakeKeeper()
	j.file.Close() // it was synced
	j.seg, j.file = seg, file
	for _, s := range skips {
		s <- nil
	}
}

// retry tries a new segment at the durable end. When there is one, the events that
// were kept come first in it.
func (j *Journal) retry() { j.tryAgain(min(freeBytes, j.cfg.SegmentBytes)) }

func (j *Journal) tryAgain(room int64) {
	j.lastTry = time.Now()
	j.mu.Lock()
	h := j.nextHeader(max(j.prev, j.skip), j.prev, j.sums)
	j.mu.Unlock()
	seg, file, err := j.create(h, room)
	j.mu.Lock()
	j.trouble.segments++
	if err != nil {
		j.failing, j.trouble.cause = err, err
		j.review()
		j.mu.Unlock()
		return
	}
	j.trouble.good = time.Now()
	skips := j.install(seg)
	j.enc.begin(&seg.header)
	j.failing = nil
	kept := j.kept
	j.kept = nil
	for _, e := range kept {
		j.put(e)
	}
	j.review()
	j.mu.Unlock()
	j.seg, j.file = seg, file
	for _, s := range skips {
		s <- nil
	}
	j.wake()
}

// install puts a new segment on the shelf. The caller answers the skips. mu is held.
func (j *Journal) install(seg *segment) (skips []chan<- error) {
	j.shelf.add(seg)
	j.end, j.sums, j.prev, j.unsure = seg.base, seg.sums, seg.base, false
	skips = j.skips
	if j.end < j.skip {
		return nil
	}
	j.skips = nil
	return skips
}

// calmDown says that the disk works again, once it has for a while.
func (j *Journal) calmDown() {
	j.mu.Lock()
	t := j.trouble
	if t == nil || j.failing != nil || time.Since(t.good) < calm {
		j.mu.Unlock()
		return
	}
	j.trouble = nil
	j.mu.Unlock()
	j.log.Info("the journal is written again", "after", t.good.Sub(t.since).Round(time.Millisecond), "cause", t.cause,
		"refused", t.refused+uint64(t.dropped), "of_them_waiting", t.dropped, "segments_tried", t.segments)
}
