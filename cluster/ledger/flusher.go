package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/internal/crash"
)

// flusher reads the journal from the mark on and applies it to Redis, one range
// at a time. All fields are its goroutine's; what it reaches through l is guarded
// as the Ledger says.
//
// Nothing is kept for a repetition. While an answer is missing the same range is
// offered again, and when Redis says that its mark is elsewhere the journal is read
// again from there, however far back that is.
type flusher struct {
	l       *Ledger
	scripts scripts
	r       *journal.Reader
	id      string // of the journal

	batch  *batch
	held   *journal.Record // read, and not in the batch yet
	until  time.Time       // later records wait; zero = none do
	unread error           // of the last attempt to read on
	tool   bool            // no node: what no waiting cures ends it
	over   error           // such an error
	broken error           // that stopped a script half way
	said   said
}

func newFlusher(l *Ledger, r *journal.Reader) *flusher {
	return &flusher{l: l, scripts: newScripts(), r: r, id: l.cfg.Journal.ID(), batch: newBatch()}
}

func (f *flusher) run(ctx context.Context) {
	defer close(f.l.done)
	tick := time.NewTicker(f.l.cfg.FlushInterval)
	defer tick.Stop()
	beat := time.Now().Add(f.l.cfg.Heartbeat)
	for ctx.Err() == nil {
		if f.drain(ctx) {
			beat = time.Now().Add(f.l.cfg.Heartbeat)
		} else if time.Now().After(beat) {
			// A range of nothing: it tells of a mark that went back, and of a Redis
			// that takes no writes. That a lift failed the store has counted, and
			// node prefixes are no reason to hold credits back.
			_ = f.lift(ctx)
			f.deliver(ctx)
			beat = time.Now().Add(f.l.cfg.Heartbeat)
		}
		select {
		case <-ctx.Done():
		case <-f.l.kick:
		case <-tick.C:
		}
	}
}

// drain applies all that is durable and not applied, and reports whether that was
// anything.
func (f *flusher) drain(ctx context.Context) (any bool) {
	for ctx.Err() == nil && f.over == nil {
		full := f.fill()
		if f.batch.rejects == nil {
			f.batch.reject(f.l.rejects.take(f.l.cfg.BatchEntries - f.batch.entries))
		}
		if f.batch.empty() {
			f.l.note(f.batch)
			return any
		}
		any = true
		f.deliver(ctx)
		if !full && f.l.rejects.len() == 0 {
			return any
		}
	}
	return any
}

// fill reads on until the batch is full, an event has ended it, or nothing more
// is durable; it reports whether there may be more.
func (f *flusher) fill() (full bool) {
	b := f.batch
	if b.event != nil {
		return true
	}
	size := f.l.size.get()
	for b.entries < f.l.cfg.BatchEntries && !size.part(b.sum.hashes, time.Duration(b.last-b.first)*time.Millisecond) {
		rec := f.held
		f.held = nil
		if rec == nil {
			var err error
			rec, err = f.r.Next()
			if f.unread = err; errors.Is(err, io.EOF) {
				f.unread = nil
				return false
			} else if err != nil {
				f.trouble(fmt.Errorf("read the journal (--data-dir): %w", err))
				return false
			}
		}
		if !f.until.IsZero() && timeOf(rec).After(f.until) {
			f.held = rec
			return false
		}
		switch {
		case rec.Kind == journal.KindCredit && !b.takes(&rec.Credit), rec.Kind == journal.KindLost && b.from != b.to:
			f.held = rec
			return true
		case rec.Kind == journal.KindLost && rec.End == b.to:
			f.disagree(rec)
			continue // it has no range that could be applied
		case rec.Kind == journal.KindCredit:
			b.credit(&rec.Credit)
		default:
			b.event = rec
			if rec.Kind == journal.KindFound {
				f.l.learn(rec.Found.Difficulty)
			}
		}
		b.to, b.after = rec.End, rec.Sums
		if b.event != nil {
			return true
		}
	}
	return true
}

// deliver offers the batch until Redis has it, or has another mark, or ctx ends.
func (f *flusher) deliver(ctx context.Context) {
	f.l.note(f.batch)
	f.l.metrics.batchEntries.Observe(float64(f.batch.entries))
	keys, args := f.batch.call(&f.l.cfg, f.l.keys, f.id, f.l.prefix, f.l.size.get())
	for wait := retryMin; ctx.Err() == nil; wait = min(2*wait, f.l.cfg.RetryMax) {
		if f.offer(ctx, keys, args) || f.over != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		if f.batch.from == f.batch.to && f.batch.rejects == nil {
			return // a range of nothing has no need of being repeated: there may be more now
		}
	}
}

// offer makes one attempt and reports whether the batch is done with.
func (f *flusher) offer(ctx context.Context, keys, args []string) bool {
	if f.batch.from == 0 {
		// A Redis that was emptied before a journal's first range has no mark to
		// tell of it.
		if err := identify(ctx, &f.l.cfg, f.l.keys); err != nil {
			f.fail(err)
			return false
		}
	}
	start := time.Now()
	if f.batch.settles() {
		crash.At(crash.LedgerBeforeCloseEvent)
	}
	crash.At(crash.LedgerBeforeCall)
	reply, err := f.l.cfg.Store.Eval(ctx, f.scripts.apply, keys, args).AsStrSlice()
	crash.At(crash.LedgerAfterCall)
	f.l.metrics.calls.Inc()
	if err == nil && len(reply) < 2 {
		err = fmt.Errorf("reply of %d parts", len(reply))
	}
	if err != nil {
		if strings.Contains(err.Error(), "script") { // it ran, and may have stopped half way
			f.broken = err
		}
		f.fail(fmt.Errorf("script apply: %w", err))
		return false
	}
	switch reply[0] {
	case "ok":
		f.l.metrics.latency.Observe(time.Since(start).Seconds())
		f.confirm(reply[2:])
		return true
	case "mark":
		m, err := parseMark(reply[1])
		switch {
		case err != nil:
			f.fail(err)
		case m.at == f.batch.to && f.batch.to != f.batch.from:
			f.l.metrics.duplicates.Inc()
			f.confirm(nil)
			return true
		default:
			return f.resync(ctx, m)
		}
	case "fenced":
		f.l.fenced.Store(true)
		f.fail(fmt.Errorf("%w (node prefix %s, this one has %d; %d shares are not in redis)", ErrFenced, reply[1], f.l.prefix, f.behind()))
	case "half":
		cause := f.broken
		if cause == nil {
			cause = errors.New("the cause stood in the log of the process that met it")
		}
		f.fail(fmt.Errorf("%w: it stops at %s: %w", ErrHalf, reply[1], cause))
	case "overflow":
		f.fail(fmt.Errorf("%w: %s", ErrSum, reply[1]))
	default:
		f.fail(fmt.Errorf("redis holds a value that Assay did not write (%s): %s", reply[0], reply[1]))
	}
	return false
}

// behind is the shares that Redis does not have.
func (f *flusher) behind() uint64 {
	_, sums := f.l.cfg.Journal.Durable()
	return sums.Shares - min(f.batch.before.Shares, sums.Shares)
}

// Errors of Redis' content; they stay in Status until an operator has acted.
// Nothing is lost meanwhile: the journal has it.
var (
	// ErrSum: a sum would exceed 2^63-1.
	ErrSum = errors.New("ledger: a sum in redis would exceed 2^63-1")
	// ErrMark: the mark is ahead of the journal. Another process writes a copy of
	// it, whose ranges would be taken for this one's.
	ErrMark = errors.New("ledger: the mark in redis is ahead of this journal: another process uses a copy of it (--data-dir); end that one, and start this one again")
	// ErrHalf: a key of a wrong type broke a script between its writes.
	ErrHalf = errors.New("ledger: an error stopped a range half way, and it is not applied again, since that would count twice: delete the key of the wrong type, end the pool's nodes, and run assayd ledger rebuild --replace")
)

// fail notes a failed attempt; the same batch is tried again.
func (f *flusher) fail(err error) {
	f.l.metrics.retries.Inc()
	f.trouble(fmt.Errorf("journal %s, from %d to %d (%d entries): %w", f.id, f.batch.from, f.batch.to, f.batch.entries, err))
}

// confirm moves past a batch that Redis has. words tell what its event did; none
// after an answer that was lost.
func (f *flusher) confirm(words []string) {
	b := f.batch
	f.wrote()
	f.tell(b, words)
	if b.settles() {
		crash.At(crash.LedgerAfterCloseEvent)
	}
	f.r.Release(b.to)
	f.l.rejects.counted()
	f.begin(mark{b.to, b.after})
}

// begin makes an empty batch behind a mark that Redis has.
func (f *flusher) begin(m mark) {
	f.batch.begin(m.at, m.sums)
	f.l.applied(m.at)
}

// mark is how much of a journal Redis has.
type mark struct {
	at   journal.Position
	sums journal.Sums
}

// parseMark reads "position hashes shares node".
func parseMark(text string) (m mark, err error) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) < 3 {
		return m, fmt.Errorf("redis holds a mark that Assay did not write: %q", text)
	}
	var n [3]uint64
	for i := range n {
		if n[i], err = strconv.ParseUint(parts[i], 10, 64); err != nil {
			return m, fmt.Errorf("redis holds a mark that Assay did not write: %q", text)
		}
	}
	return mark{journal.Position(n[0]), journal.Sums{Hashes: n[1], Shares: n[2]}}, nil
}

// readMark asks Redis for a journal's mark; none is 0.
func readMark(ctx context.Context, s *store.Store, keys store.Keys, id string) (mark, error) {
	values, err := s.DoRepeatable(ctx, "HMGET", keys.Marks(), id).ToArray()
	if err != nil {
		return mark{}, fmt.Errorf("ledger: read %s: %w", keys.Marks(), err)
	}
	if len(values) != 1 || values[0].IsNil() {
		return mark{}, nil
	}
	text, err := values[0].ToString()
	if err != nil {
		return mark{}, fmt.Errorf("ledger: read %s: %w", keys.Marks(), err)
	}
	m, err := parseMark(strings.TrimPrefix(text, "!"))
	if err != nil {
		return mark{}, fmt.Errorf("ledger: %w", err)
	}
	return m, nil
}

// lift renews this start's claim to its node prefix.
func (f *flusher) lift(ctx context.Context) error {
	return lift(ctx, f.l.cfg.Store, strconv.FormatUint(uint64(f.l.prefix), 10))
}

// resync reads the journal from the mark that Redis has: it came back with less
// than it had confirmed (a crash within the fsync window, a failover to a lagging
// replica, an older dump), or a range whose answer was lost has been applied after
// all. Reports whether the batch is done with.
func (f *flusher) resync(ctx context.Context, m mark) bool {
	if end := f.l.cfg.Journal.End(); m.at > end {
		f.fail(fmt.Errorf("%w: mark %d, journal %d", ErrMark, m.at, end))
		return false
	}
	if err := f.lift(ctx); err != nil {
		f.fail(err)
		return false
	}
	if err := identify(ctx, &f.l.cfg, f.l.keys); err != nil {
		f.fail(err) // nothing is written into the books of another pool
		return false
	}
	if err := f.r.Seek(m.at); err != nil {
		f.fail(fmt.Errorf("read the journal (--data-dir) at %d: %w", m.at, err))
		return false
	}
	f.l.metrics.resyncs.Inc()
	f.l.cfg.Log.Warn("redis has another mark of the journal than was confirmed; the journal is read again from there",
		"pool", f.l.cfg.Pool, "journal", f.id, "mark", uint64(m.at), "confirmed", uint64(f.batch.from), "shares", f.batch.before.Shares-min(m.sums.Shares, f.batch.before.Shares))
	f.l.rejects.give(f.batch.rejects)
	f.held = nil
	f.begin(m)
	return true
}
