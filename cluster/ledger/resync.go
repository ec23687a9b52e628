package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/assay-pool/assay/cluster/store"
)

// heartbeat looks at the mark of an idle stream.
func (f *flusher) heartbeat(ctx context.Context) {
	mark, err := f.readMark(ctx)
	if err != nil {
		f.trouble(fmt.Errorf("read the mark: %w", err))
		return
	}
	f.wrote()
	if mark+1 < f.nextSeq {
		f.resync(ctx, mark)
	}
}

// lift sees to it that no other start gets this one's node prefix from a Redis
// that forgot having given it.
func (f *flusher) lift(ctx context.Context) error {
	err := f.l.cfg.Store.Eval(ctx, f.scripts.lift, []string{store.NodeNext}, []string{strconv.FormatUint(uint64(f.l.prefix), 10)}).Error()
	if err != nil {
		return fmt.Errorf("lift %s: %w", store.NodeNext, err)
	}
	return nil
}

func (f *flusher) readMark(ctx context.Context) (uint64, error) {
	text, err := f.l.cfg.Store.Eval(ctx, f.scripts.mark, []string{f.l.keys.Mark(f.stream)},
		[]string{strconv.FormatInt(seconds(f.l.cfg.MarkTTL), 10)}).ToString()
	if err != nil {
		return 0, err
	}
	if strings.HasSuffix(text, "!") {
		return 0, fmt.Errorf("%w: stream %s stops at %s", ErrHalf, f.stream, text)
	}
	mark, err := strconv.ParseUint(text, 10, 64)
	if err != nil || mark >= f.nextSeq {
		return 0, fmt.Errorf("%w: stream %s is at %s, %d were sent", ErrMark, f.stream, text, f.nextSeq-1)
	}
	return mark, nil
}

// resync goes back to what Redis has: it came back with less than it had
// confirmed (a crash within the fsync window, a failover to a lagging replica).
// What is retained is sent again; what is older is lost and reported, and the
// rest goes on as a new stream: under the old one it would be refused for ever,
// which also keeps stray copies of it from counting.
func (f *flusher) resync(ctx context.Context, mark uint64) bool {
	if err := f.lift(ctx); err != nil {
		f.trouble(err)
		return false
	}
	if err := identify(ctx, &f.l.cfg, f.l.keys); err != nil {
		f.trouble(err) // nothing is written into the books of another pool
		return false
	}
	oldest := f.nextSeq
	if len(f.items) > 0 {
		oldest = f.items[0].seq
	}
	if mark+1 >= oldest {
		f.rewind(int(mark + 1 - oldest))
		f.l.cfg.Log.Warn("redis came back without writes it had confirmed; they are sent again",
			"stream", f.stream, "mark", mark, "items", len(f.items)-f.pos)
		return true
	}
	lost := oldest - 1 - mark
	f.l.metrics.lost.Add(float64(lost))
	f.l.mu.Lock()
	f.l.lost += lost
	f.l.mu.Unlock()
	old := f.stream
	f.stream = newStream(f.l.prefix)
	f.rewind(0)
	for i, it := range f.items {
		it.number(f.l.keys, f.stream, uint64(i+1))
	}
	f.nextSeq = uint64(len(f.items)) + 1
	f.l.cfg.Log.Error("redis lost confirmed writes that are no longer retained; their shares are gone",
		"stream", old, "mark", mark, "lost", lost, "retained", len(f.items), "new_stream", f.stream)
	return true
}

// rewind makes items[n:] the ones to send.
func (f *flusher) rewind(n int) {
	f.pos = n
	f.retained = 0
	for _, it := range f.items[:n] {
		f.retained += it.sum.entries
	}
}
