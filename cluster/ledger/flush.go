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
			return fmt.Errorf("ledger: %s: %w", l.unwritten(), ctx.Err())
		}
	}
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
		if p := s.find; p != nil && p.state != pendingRejected {
			blocks = append(blocks, fmt.Sprintf("%d %s", p.block.Height, hex.EncodeToString(p.block.ID[:])))
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

// Close takes no more credits, writes what is left and ends the flusher. If ctx
// ends first, the error says what could not be written; that is lost with the
// process. Blocks still unsettled are waited for, up to SettleTimeout.
func (l *Ledger) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	target := l.cutForFlush()
	l.mu.Unlock()
	err := l.await(ctx, target)
	l.stop()
	<-l.done
	l.mu.Lock()
	for _, s := range l.queue {
		if p := s.find; p != nil && p.state != pendingRejected {
			select {
			case <-p.done:
			default:
				p.state, p.err = pendingRejected, ErrNotWritten
				close(p.done)
			}
		}
	}
	l.mu.Unlock()
	l.metrics.unregister()
	return err
}

// Status of the ledger at one moment, for readiness and the operator.
type Status struct {
	Pending    int           // entries and finds that Redis has not confirmed
	MaxPending int           // at this number Credit refuses
	Age        time.Duration // of the oldest of them; 0 = none
	Err        error         // of the last attempt; nil after a success
	Lost       uint64        // items that Redis forgot and nobody could send again
}

// Status returns the state of the queue.
func (l *Ledger) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Status{Pending: l.entries, MaxPending: l.cfg.MaxPending, Err: l.lastErr, Lost: l.lost}
	oldest := l.sending
	if oldest.IsZero() {
		oldest = l.queue[0].born
	}
	if !oldest.IsZero() {
		st.Age = time.Since(oldest)
	}
	return st
}
