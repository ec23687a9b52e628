package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// spareBatches is the size up to which a sent segment is used again, in batches:
// a usual flush interval's has a few.
const spareBatches = 4

// flusher sends the queue to Redis, one item at a time. All fields are its
// goroutine's; what it reaches through l is guarded as the Ledger says.
type flusher struct {
	l       *Ledger
	scripts scripts
	stream  string
	nextSeq uint64

	// items are those of the stream in order of sequence, without gaps:
	// items[:pos] are confirmed and retained, items[pos:] are to be sent.
	items    []*item
	pos      int
	retained int // entries of items[:pos]

	// seg is the frozen head of the queue, cut into items piece by piece.
	seg    *segment
	off    int  // cells done
	rejOff int  // rejects done
	due    bool // the flush interval has passed: take the open segment
	broken error
	said   said
}

func newFlusher(l *Ledger) *flusher {
	return &flusher{l: l, scripts: newScripts(), stream: newStream(l.prefix), nextSeq: 1}
}

func (f *flusher) run(ctx context.Context) {
	defer close(f.l.done)
	tick := time.NewTicker(f.l.cfg.FlushInterval)
	defer tick.Stop()
	beat := time.Now().Add(f.l.cfg.Heartbeat)
	lift := beat
	wait := retryMin
	for ctx.Err() == nil {
		if now := time.Now(); now.After(lift) && wait == retryMin {
			// That it failed the store has counted. It is tried again, and node
			// prefixes are no reason to hold credits back.
			_ = f.lift(ctx)
			lift = now.Add(f.l.cfg.Heartbeat)
		}
		it := f.next()
		if it == nil {
			if time.Now().After(beat) {
				f.heartbeat(ctx)
				beat = time.Now().Add(f.l.cfg.Heartbeat)
				continue
			}
			select {
			case <-ctx.Done():
			case <-f.l.kick:
			case <-tick.C:
				f.due = true
			}
			continue
		}
		if f.send(ctx, it) {
			wait = retryMin
			beat = time.Now().Add(f.l.cfg.Heartbeat)
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, f.l.cfg.RetryMax)
	}
	f.next() // a segment whose last call was confirmed just now is finished; nothing is sent
}

// next gives the item to send now: one that was sent before and is not
// confirmed, or the next piece of the queue. nil = nothing to do yet.
func (f *flusher) next() *item {
	for {
		if f.pos < len(f.items) {
			return f.items[f.pos]
		}
		if f.seg == nil && !f.take() {
			return nil
		}
		if it := f.piece(); it != nil {
			return f.push(it)
		}
		it, settled := f.settle()
		if it != nil {
			return f.push(it)
		}
		if !settled {
			return nil
		}
		f.finishSegment()
	}
}

// push gives an item its place in the stream.
func (f *flusher) push(it *item) *item {
	it.number(f.l.keys, f.stream, f.nextSeq)
	f.nextSeq++
	f.items = append(f.items, it)
	return it
}

// take freezes the head of the queue if its time has come.
func (f *flusher) take() bool {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	s := f.l.queue[0]
	if len(f.l.queue) == 1 {
		if !f.due || s.empty() {
			f.due = false
			return false
		}
		f.l.cut()
	}
	f.due = false
	s.frozen = true
	f.seg, f.off, f.rejOff = s, 0, 0
	f.l.sending = s.born
	return true
}

// piece makes the next batch of the frozen segment, nil when none is left: of
// credits first, then of rejects, never of both, see forgetRejects. The segment
// is frozen: nobody else writes to it, so no lock is needed.
func (f *flusher) piece() *item {
	s := f.seg
	b := newBatch()
	for ; f.off < s.cells.n && b.sum.entries < f.l.cfg.BatchEntries; f.off++ {
		b.addCell(s.cells.at(f.off))
	}
	rejects := b.sum.entries == 0
	for ; rejects && f.rejOff < s.refs.n && b.sum.entries < f.l.cfg.BatchEntries; f.rejOff++ {
		b.addReject(s.refs.at(f.rejOff))
	}
	if b.sum.entries == 0 {
		return nil
	}
	f.l.metrics.batchEntries.Observe(float64(b.sum.entries))
	it := b.item(&f.l.cfg, f.l.keys, f.scripts.apply, s.first)
	it.rejects = rejects
	return it
}

// forgetRejects empties a confirmed call that had rejects alone, which keeps its
// place in the stream. Refused shares are statistics and cost their sender
// nothing: kept like credits, a flood of them would push the credits out of what
// is retained, just when Redis may need them again. A Redis that forgets a call
// forgets its rejects.
func (f *flusher) forgetRejects(it *item) {
	blank := newBatch().item(&f.l.cfg, f.l.keys, f.scripts.apply, 0)
	blank.number(f.l.keys, f.stream, it.seq)
	it.keys, it.args, it.sum = blank.keys, blank.args, totals{entries: 1}
}

// settle looks at the find that ends the segment: an item when the block was
// accepted and is not written, and whether the segment is done with.
func (f *flusher) settle() (*item, bool) {
	find := f.seg.find
	if find == nil {
		return nil, true
	}
	f.l.mu.Lock()
	state := find.state
	if state == fateOpen && !time.Now().Before(find.deadline) {
		find.late = true
		f.l.metrics.lateBlocks.Inc()
	}
	late := find.late
	f.l.mu.Unlock()
	switch {
	case state == fateAccepted:
		select {
		case <-find.done:
			return nil, true
		default:
			return closeItem(&f.l.cfg, f.l.keys, f.scripts.close, find, time.Now()), false
		}
	case state == fateNoRound:
		return nil, true
	case late:
		f.l.cfg.Log.Warn("block not settled in time; later shares go on, it will close the round that is open when it is accepted",
			"id", hex.EncodeToString(find.block.ID[:]), "height", find.block.Height, "after", f.l.cfg.SettleTimeout)
		return nil, true
	}
	return nil, false
}

// finishSegment drops the head, all of which is in Redis.
func (f *flusher) finishSegment() {
	s := f.seg
	f.seg = nil
	f.dequeue(s)
	// Not in the queue any more, it is the flusher's alone: emptied without the
	// lock. An outage's or a flood's memory is not kept: emptied maps stay as large
	// as they were.
	if max(s.peak, s.refs.n) > spareBatches*f.l.cfg.BatchEntries {
		return
	}
	s.reset()
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	if f.l.spare == nil {
		f.l.spare = s
	}
}

func (f *flusher) dequeue(s *segment) {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	f.l.queue[0] = nil
	f.l.queue = f.l.queue[1:]
	if s.find != nil {
		f.l.entries--
		f.l.finds--
	}
	f.l.finished = s.id
	f.l.sending = time.Time{}
	close(f.l.progress)
	f.l.progress = make(chan struct{})
}

// send tries an item once and reports whether the flusher may go on at once.
func (f *flusher) send(ctx context.Context, it *item) bool {
	start := time.Now()
	if it.seq == 1 {
		// A Redis that was emptied before a stream's first item has no gap to tell of.
		if err := identify(ctx, &f.l.cfg, f.l.keys); err != nil {
			f.fail(it, err)
			return false
		}
	}
	reply, err := f.l.cfg.Store.Eval(ctx, it.script, it.keys, it.args).AsStrSlice()
	f.l.metrics.calls.Inc()
	if err == nil && len(reply) < 2 {
		err = fmt.Errorf("script %s: reply of %d parts", it.script.Name(), len(reply))
	}
	if err != nil {
		f.fail(it, fmt.Errorf("script %s: %w", it.script.Name(), err))
		return false
	}
	switch reply[0] {
	case "ok", "known", "dup":
		if reply[0] == "dup" {
			f.l.metrics.duplicates.Inc()
			if mark, err := strconv.ParseUint(reply[1], 10, 64); err != nil || mark >= f.nextSeq {
				f.fail(it, fmt.Errorf("%w: stream %s is at %s, %d were sent", ErrMark, f.stream, reply[1], f.nextSeq-1))
				return false
			}
		}
		if it.find != nil && !f.record(ctx, it) {
			return false
		}
		f.l.metrics.latency.Observe(time.Since(start).Seconds())
		f.confirm(it)
		return true
	case "gap":
		mark, err := strconv.ParseUint(reply[1], 10, 64)
		if err != nil {
			f.fail(it, fmt.Errorf("script %s: mark %q: %w", it.script.Name(), reply[1], err))
			return false
		}
		return f.resync(ctx, mark)
	case "half":
		cause := f.broken
		if cause == nil {
			cause = errors.New("the cause is in this node's log")
		}
		f.fail(it, fmt.Errorf("%w: stream %s stops at %s: %w", ErrHalf, f.stream, reply[1], cause))
	case "overflow":
		f.fail(it, fmt.Errorf("%w: %s", ErrSum, reply[1]))
	default:
		f.fail(it, fmt.Errorf("redis holds a value that Assay did not write (%s): %s", reply[0], reply[1]))
	}
	return false
}

// Errors of Redis' content; they stay in Status until an operator has acted.
// Nothing is lost meanwhile: the item waits, and Credit refuses when full.
var (
	// ErrSum: a sum would exceed 2^63-1.
	ErrSum = errors.New("ledger: a sum in redis would exceed 2^63-1")
	// ErrMark: the mark is ahead of all that was ever sent, so a "duplicate" is
	// none; believing it would drop shares.
	ErrMark = errors.New("ledger: the mark in redis was not written by this node")
	// ErrHalf: a key of a wrong type broke a script between its writes.
	ErrHalf = errors.New("ledger: an error stopped a batch half way; it is not sent again, since that would count twice")
)

// fail notes a failed attempt; the same item is tried again.
func (f *flusher) fail(it *item, err error) {
	f.l.metrics.retries.Inc()
	if strings.Contains(err.Error(), "WRONGTYPE") || strings.Contains(err.Error(), "not an integer") {
		f.broken = err
	}
	f.trouble(fmt.Errorf("stream %s, sequence %d (%d entries): %w", f.stream, it.seq, it.sum.entries, err))
}

// confirm moves past an item that Redis has.
func (f *flusher) confirm(it *item) {
	first, entries := it.acked.IsZero(), it.sum.entries
	it.acked = time.Now()
	if first && it.rejects {
		f.forgetRejects(it)
	}
	f.pos++
	f.retained += it.sum.entries
	drop := 0
	for drop < f.pos && (f.retained > f.l.cfg.RetainEntries || it.acked.Sub(f.items[drop].acked) > f.l.cfg.RetainFor) {
		f.retained -= f.items[drop].sum.entries
		drop++
	}
	if drop > 0 {
		n := copy(f.items, f.items[drop:])
		clear(f.items[n:])
		f.items, f.pos = f.items[:n], f.pos-drop
	}
	f.wrote()
	if !first {
		f.l.metrics.replayed.Inc()
		return
	}
	if it.find == nil {
		f.l.mu.Lock()
		f.l.entries -= entries
		f.l.mu.Unlock()
	}
}

// record reads back what a close has written and tells who waits for it. A
// replayed close has told already.
func (f *flusher) record(ctx context.Context, it *item) bool {
	find := it.find
	select {
	case <-find.done:
		return true
	default:
	}
	rec, err := f.l.block(ctx, hex.EncodeToString(find.block.ID[:]))
	if err != nil {
		f.fail(it, fmt.Errorf("read the block just recorded: %w", err))
		return false
	}
	find.rec = rec
	close(find.done)
	f.l.metrics.rounds.Inc()
	f.l.cfg.Log.Info("round closed", "round", rec.Round, "hashes", rec.Hashes, "shares", rec.Shares,
		"height", rec.Height, "id", hex.EncodeToString(rec.ID[:]))
	if f.l.cfg.OnClose != nil {
		f.l.cfg.OnClose(rec)
	}
	return true
}
