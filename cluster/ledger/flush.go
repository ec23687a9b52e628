package ledger

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Flush returns once all credited, rejected and found before the call is in
// Redis; a find counts when it is settled. After an error the ledger goes on
// trying.
func (l *Ledger) Flush(ctx context.Context) error {
	l.mu.Lock()
	target := l.cutForFlush()
	l.mu.Unlock()
	return l.await(ctx, target)
}

// cutForFlush ends the open segment and returns the id to wait for.
func (l *Ledger) cutForFlush() uint64 {
	s := l.open()
	target := s.id
	if s.empty() {
		target-- // all that matters was cut before
	} else {
		l.cut()
	}
	l.wake()
	return target
}

func (l *Ledger) await(ctx context.Context, target uint64) error {
	for {
		l.mu.Lock()
		finished, progress := l.finished, l.progress
		l.mu.Unlock()
		if finished >= target {
			return nil
		}
		select {
		case <-progress:
		case <-l.done:
			return fmt.Errorf("%w: %s", ErrClosed, l.unwritten())
		case <-ctx.Done():
			return l.gaveUp(ctx)
		}
	}
}

func (l *Ledger) gaveUp(ctx context.Context) error {
	return fmt.Errorf("ledger: %s: %w", l.unwritten(), ctx.Err())
}

// unwritten says in words what Redis does not have, for an operator.
func (l *Ledger) unwritten() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum totals
	var blocks []string
	for _, s := range l.queue {
		sum.hashes += s.sum.hashes
		sum.shares += s.sum.shares
		if find := s.find; find != nil && find.state != fateNoRound {
			blocks = append(blocks, fmt.Sprintf("%d %s", find.block.Height, hex.EncodeToString(find.block.ID[:])))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "up to %d shares (%d hashes) in %d entries", sum.shares, sum.hashes, l.entries)
	if len(blocks) > 0 {
		fmt.Fprintf(&b, " and %d blocks (height and id: %s)", len(blocks), strings.Join(blocks, ", "))
	}
	b.WriteString(" are not known to be in redis")
	if l.lastErr != nil {
		fmt.Fprintf(&b, "; last error: %v", l.lastErr)
	}
	return b.String()
}

// Close takes no more credits, writes what is left and ends the flusher. Blocks
// still unsettled are waited for, up to SettleTimeout.
//
// ctx is all the time there is to write: when it ends the call under way is
// given up and nothing more is sent, and with a ctx that has ended already
// nothing is sent at all. The error then says what is not known to be in Redis,
// which is lost with the process; it wraps ctx's. nil = all is in Redis. So give
// Close its own time, not what other steps of a shutdown have left of theirs.
//
// A second Close waits for the first and returns nil.
func (l *Ledger) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	if ctx.Err() != nil {
		l.stop() // before the flusher could wake up for what is left
	}
	target := l.cutForFlush()
	l.mu.Unlock()
	late := l.await(ctx, target) != nil
	l.stop()
	<-l.done
	// Said only now: the last call may have been confirmed while it was given up.
	var err error
	if late && l.finishedID() < target {
		err = l.gaveUp(ctx)
	}
	l.mu.Lock()
	for _, s := range l.queue {
		if find := s.find; find != nil && find.state != fateNoRound {
			select {
			case <-find.done:
			default:
				find.state, find.err = fateNoRound, ErrNotWritten
				close(find.done)
			}
		}
	}
	l.mu.Unlock()
	l.metrics.unregister()
	return err
}

// finishedID is the id of the last segment that is wholly in Redis.
func (l *Ledger) finishedID() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.finished
}

// Status of the ledger at one moment, for readiness and the operator.
type Status struct {
	Pending    int           // entries and finds that Redis has not confirmed
	MaxPending int           // at this number Credit refuses
	Age        time.Duration // of the oldest of them; 0 = none
	Err        error         // of the last attempt; nil after a success
	Failing    time.Time     // of the first failure since the last success; zero = none
	Lost       uint64        // items that Redis forgot and nobody could send again
}

// Status returns the state of the queue.
func (l *Ledger) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Status{Pending: l.entries, MaxPending: l.cfg.MaxPending, Err: l.lastErr, Failing: l.failing, Lost: l.lost}
	oldest := l.sending
	if oldest.IsZero() {
		oldest = l.queue[0].born
	}
	if !oldest.IsZero() {
		st.Age = time.Since(oldest)
	}
	return st
}
