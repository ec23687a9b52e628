package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"time"
)

// Block is a found block, verified and on its way to the daemons.
type Block struct {
	ID             [32]byte
	Height         uint64
	Difficulty     string // network difficulty, decimal, up to 128 bits
	Reward         uint64 // atomic units, as the template expects it
	Wallet, Worker string // the finder
	Node           string // "" = Config.Node
	Time           time.Time
	Daemon         string // that accepted it; set by Accepted
}

// BlockRecord is a block as Redis has it, with the round it closed.
type BlockRecord struct {
	Block
	Round          uint64
	Hashes, Shares uint64    // of the round
	Closed         time.Time // when the round was closed
}

// Errors of Find.Wait.
var (
	ErrBlockRejected = errors.New("ledger: the daemons refused the block")
	ErrNotWritten    = errors.New("ledger: closed before the block was recorded")
)

// Find is a found block that the daemons have not judged yet.
type Find struct {
	l     *Ledger
	block Block // Daemon is written by Accepted, before state

	state    fate          // guarded by l.mu
	late     bool          // guarded by l.mu; the flusher no longer waits
	deadline time.Time     // immutable
	done     chan struct{} // closed after rec or err is set
	rec      BlockRecord
	err      error
}

type fate uint8

const (
	fateOpen fate = iota
	fateAccepted
	fateNoRound
)

// Found cuts the segment: all shares credited so far, the finder's included,
// belong to the round this block closes if it is accepted. It never blocks, and
// is not refused for want of room among the credits, but counts against Admit;
// nil when MaxFinds wait for Redis. The caller must settle the result by
// Accepted, Rejected or LeaveOpen.
func (l *Ledger) Found(b Block) *Find {
	if b.Node == "" {
		b.Node = l.cfg.Node
	}
	if b.Time.IsZero() {
		b.Time = time.Now()
	}
	f := &Find{l: l, block: b, deadline: time.Now().Add(l.cfg.SettleTimeout), done: make(chan struct{})}
	switch l.take(f) {
	case ErrFull:
		return nil
	case ErrClosed:
		l.cfg.Log.Error("block found after the ledger was closed; it is not recorded", "id", hex.EncodeToString(b.ID[:]), "height", b.Height)
	}
	return f
}

// take attaches a find: nil, ErrFull, or ErrClosed, which settles it.
func (l *Ledger) take(f *Find) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		f.state, f.err = fateNoRound, ErrClosed
		close(f.done)
		return ErrClosed
	case l.finds >= l.cfg.MaxFinds:
		return ErrFull
	}
	l.attach(f)
	return nil
}

// attach ends the open segment with a find.
func (l *Ledger) attach(f *Find) {
	s := l.open()
	s.find = f
	s.born = bornAt(s.born)
	l.entries++
	l.finds++
	l.cut()
	l.wake()
}

// Accepted says that a daemon took the block: the round is closed. After
// SettleTimeout it closes whatever round is open by then.
func (f *Find) Accepted(daemon string) {
	if !f.accept(daemon) {
		f.l.cfg.Log.Error("block accepted after the ledger was closed; it is not recorded", "id", hex.EncodeToString(f.block.ID[:]), "height", f.block.Height)
	}
}

// accept settles an open find; false when it can no longer be recorded.
func (f *Find) accept(daemon string) bool {
	l := f.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.state != fateOpen {
		return true
	}
	f.block.Daemon = daemon
	f.state = fateAccepted
	switch {
	case !f.late:
		l.wake()
	case l.closed:
		f.err = ErrNotWritten
		close(f.done)
		return false
	default:
		l.attach(f)
	}
	return true
}

// Rejected says that no daemon took the block: the round goes on.
func (f *Find) Rejected(reason string) {
	if f.reject() {
		f.l.metrics.rejectedBlocks.Inc()
		f.l.cfg.Log.Warn("block refused; the round goes on", "id", hex.EncodeToString(f.block.ID[:]), "height", f.block.Height, "reason", reason)
	}
}

// reject settles an open find; false when it was settled before.
func (f *Find) reject() bool {
	l := f.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.state != fateOpen {
		return false
	}
	f.state = fateNoRound
	f.err = ErrBlockRejected
	close(f.done)
	l.wake()
	return true
}

// Wait returns the record once the round is closed in Redis; ErrBlockRejected,
// ErrNotWritten, ErrClosed or ctx's error otherwise.
func (f *Find) Wait(ctx context.Context) (BlockRecord, error) {
	select {
	case <-f.done:
		return f.rec, f.err
	case <-ctx.Done():
		return BlockRecord{}, ctx.Err()
	}
}
