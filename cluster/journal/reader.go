package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Reader gives a journal's records in order, from any position on, and follows its
// end. It is for one goroutine at a time, Release and Ready for any. It takes no
// memory for a credit whose names it has met in the segment.
type Reader struct {
	j        *Journal
	name     string
	ready    chan struct{}
	released Position // guarded by shelf.mu

	from Position // what is before it is not given out
	seg  *segment // that w is in; nil = to be found by from
	file File     // seg's
	v    view     // of seg, w.limit is its limit
	w    walker
	rest walker // looks ahead, behind damage
	// weighed is up to where the loss of seg is told already.
	weighed Position
}

// NewReader begins at a position, and keeps everything behind it from being
// deleted until it is released or the reader closed. What its holder needs is
// deleted if it registers late: open all readers before the first releases
// anything. ErrAhead is a position beyond the end.
func (j *Journal) NewReader(name string, from Position) (*Reader, error) {
	r := &Reader{j: j, name: name, ready: make(chan struct{}, 1), released: from}
	if err := r.Seek(from); err != nil {
		return nil, err
	}
	j.shelf.register(r)
	return r, nil
}

// Name is the name it was opened with.
func (r *Reader) Name() string { return r.name }

// Seek goes on at a position: 0 or one that a Record had. Any other is reported by
// Next as lost, up to the next record. Nothing is released or taken back by it.
func (r *Reader) Seek(to Position) error {
	if _, end := r.j.shelf.bounds(); to > end {
		return fmt.Errorf("%w: %d, which is %d", ErrAhead, to, end)
	}
	r.leave()
	r.from = to
	return nil
}

// Ready has a value when more became durable since Next returned io.EOF, or
// earlier.
func (r *Reader) Ready() <-chan struct{} { return r.ready }

// Release says that this reader needs nothing up to a position any more.
func (r *Reader) Release(to Position) {
	r.j.shelf.release(r, to)
	r.j.wakeKeeper()
}

// Close ends the reader's hold on what it has not released.
func (r *Reader) Close() {
	r.j.shelf.unregister(r)
	r.leave()
}

// leave closes the segment; the next call finds it again by from.
func (r *Reader) leave() {
	if r.file != nil {
		r.file.Close() // it was read only
	}
	r.seg, r.file = nil, nil
}

// Next is the next record; io.EOF when no more is durable now. Any other error is
// the disk's: the call may be repeated. What cannot be read comes as KindLost.
func (r *Reader) Next() (*Record, error) {
	for {
		rec, err := r.next()
		if err != nil {
			return nil, err
		}
		if rec.End <= r.from && rec.At < r.from {
			continue
		}
		if rec.At < r.from {
			r.cut(rec)
		}
		if rec.Kind == KindLost {
			r.j.metrics.damaged.Inc()
		}
		r.from = rec.End
		return rec, nil
	}
}

// cut makes a Lost of a record that the reader was told to begin in the middle of.
func (r *Reader) cut(rec *Record) {
	reason := "the position to begin at is in the middle of a record"
	if rec.Kind == KindLost {
		reason = rec.Lost.Reason
	}
	r.w.contents.lost = Lost{From: r.from, To: rec.End, Segment: r.seg.name(), Offset: r.w.offset(r.from), Reason: reason}
	*rec = Record{At: r.from, End: rec.End, Kind: KindLost, Lost: &r.w.contents.lost, Sums: rec.Sums}
}

// next is Next from the beginning of the segment.
func (r *Reader) next() (*Record, error) {
	for {
		if r.seg == nil {
			if rec, err := r.enter(); rec != nil || err != nil {
				return rec, err
			}
			continue
		}
		step, err := r.w.step()
		if err != nil {
			return nil, fmt.Errorf("read journal segment %s: %w", r.seg.path, err)
		}
		switch step {
		case stepRecord:
			if r.w.rec.Kind == KindLost {
				r.w.rec.Lost.Segment = r.seg.name()
			}
			return &r.w.rec, nil
		case stepDamage:
			return r.damage()
		case stepTorn:
			r.w.lose(r.w.limit, "damaged, or its end is missing")
			return r.damage()
		}
		if rec, err := r.turn(); rec != nil || err != nil {
			return rec, err
		}
	}
}

// enter opens the segment that has from. A record is what was before the first one.
func (r *Reader) enter() (*Record, error) {
	seg, v := r.j.shelf.find(r.from)
	if seg == nil {
		return nil, io.EOF
	}
	if err := r.load(seg, v); err != nil {
		return nil, err
	}
	if r.seg == nil || r.from >= seg.prev {
		return nil, nil
	}
	r.w.contents.lost = Lost{From: r.from, To: seg.base, Reason: "before the oldest segment that there is"}
	r.w.rec = Record{Kind: KindLost, At: r.from, End: seg.base, Lost: &r.w.contents.lost, Sums: seg.sums}
	return &r.w.rec, nil
}

// load opens a segment at its first record. One that was deleted in this moment
// leaves the reader without a segment.
func (r *Reader) load(seg *segment, v view) error {
	file, err := r.j.fs.Open(seg.path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, ok := r.j.shelf.look(seg); !ok {
			r.leave()
			return nil
		}
		file, err = noFile{}, nil
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	r.leave()
	r.seg, r.file, r.v, r.weighed = seg, file, v, 0
	r.w.open(file, &seg.header, v.limit)
	return nil
}

// turn goes on at the end of what was read: with more of the segment, or with the
// next one.
func (r *Reader) turn() (*Record, error) {
	v, ok := r.j.shelf.look(r.seg)
	if !ok { // deleted, or replaced before it had a record
		r.from = max(r.from, r.w.pos)
		r.leave()
		return nil, nil
	}
	r.v, r.w.limit = v, v.limit
	switch {
	case r.w.pos < v.limit:
		return nil, nil
	case v.next == nil:
		return nil, io.EOF
	}
	before, at := r.w.sums, r.w.pos
	next, ok := r.j.shelf.look(v.next)
	if !ok {
		r.from = max(r.from, at)
		r.leave()
		return nil, nil
	}
	if err := r.load(v.next, next); err != nil || r.seg == nil || before == v.next.sums {
		return nil, err
	}
	// Nothing that is known of does this, so it must not pass unseen.
	r.w.contents.lost = Lost{From: at, To: r.seg.base, Segment: r.seg.name(), Reason: "the sums of the segment before do not agree with the header"}
	r.w.rec = Record{Kind: KindLost, At: at, End: r.seg.base, Lost: &r.w.contents.lost, Sums: r.seg.sums}
	r.weigh(&r.w.rec, before, r.seg.sums)
	return &r.w.rec, nil
}

// damage completes the walker's Lost with what the later header says was in it. All
// that a segment has lost is told with its first damage: told at the segment's end,
// it would have no positions of its own to be counted once by.
func (r *Reader) damage() (*Record, error) {
	rec := &r.w.rec
	rec.Lost.Segment = r.seg.name()
	if x, ok := r.j.shelf.strayIn(rec.At, rec.End); ok {
		rec.Lost.Reason = x.path + ": " + x.reason
	}
	if !r.v.certain {
		return rec, nil
	}
	if rec.At < r.weighed {
		rec.Lost.Known = true
		return rec, nil
	}
	r.rest.open(r.file, &r.seg.header, r.w.limit)
	r.rest.pos, r.rest.sums = rec.End, r.w.sums
	for {
		step, err := r.rest.step()
		if err != nil {
			r.w.pos = rec.At // to meet it again
			return nil, fmt.Errorf("read journal segment %s: %w", r.seg.path, err)
		}
		if step == stepEnd || step == stepTorn {
			break
		}
	}
	r.weighed = r.w.limit
	r.weigh(rec, r.rest.sums, r.v.sums)
	r.w.sums.Hashes += rec.Lost.Hashes
	r.w.sums.Shares += rec.Lost.Shares
	rec.Sums = r.w.sums
	return rec, nil
}

// weigh says what was lost: the difference of what there is and what there was.
func (r *Reader) weigh(rec *Record, is, was Sums) {
	if was.Hashes < is.Hashes || was.Shares < is.Shares {
		return
	}
	rec.Lost.Known = true
	rec.Lost.Sums = Sums{Hashes: was.Hashes - is.Hashes, Shares: was.Shares - is.Shares}
}

// noFile stands for a file that somebody has removed: all of it is lost.
type noFile struct{ File }

func (noFile) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (noFile) Close() error                      { return nil }
