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

// Errors of Pending.Wait.
var (
	ErrBlockRejected = errors.New("ledger: the daemons refused the block")
	ErrNotWritten    = errors.New("ledger: closed before the block was recorded")
)

// Pending is a found block that the daemons have not judged yet.
type Pending struct {
	l     *Ledger
	block Block // Daemon is written by Accepted, before state

	state    pendingState  // guarded by l.mu
	late     bool          // guarded by l.mu; the flusher no longer waits
	deadline time.Time     // immutable
	done     chan struct{} // closed after rec or err is set
	rec      BlockRecord
	err      error
}

type pendingState uint8

const (
	pendingOpen pendingState = iota
	pendingAccepted
	pendingRejected
)

// Found cuts the segment: all shares credited so far, the finder's included,
// belong to the round this block closes if it is accepted. It never blocks, and
// is not refused for want of room among the credits, but counts against Admit;
// nil when MaxFinds wait for Redis. The caller must settle the result by
// Accepted, Rejected or LeaveOpen.
func (l *Ledger) Found(b Block) *Pending {
	if b.Node == "" {
		b.Node = l.cfg.Node
	}
	if b.Time.IsZero() {
		b.Time = time.Now()
	}
	p := &Pending{l: l, block: b, deadline: time.Now().Add(l.cfg.SettleTimeout), done: make(chan struct{})}
	switch l.take(p) {
	case ErrFull:
		return nil
	case ErrClosed:
		l.cfg.Log.Error("block found after the ledger was closed; it is not recorded", "id", hex.EncodeToString(b.ID[:]), "height", b.Height)
	}
	return p
}

// take attaches a find: nil, ErrFull, or ErrClosed, which settles it.
func (l *Ledger) take(p *Pending) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		p.state, p.err = pendingRejected, ErrClosed
		close(p.done)
		return ErrClosed
	case l.finds >= l.cfg.MaxFinds:
		return ErrFull
	}
	l.attach(p)
	return nil
}

// attach ends the open segment with a find.
func (l *Ledger) attach(p *Pending) {
	s := l.open()
	s.find = p
	s.born = bornAt(s.born)
	l.entries++
	l.finds++
	l.cut()
	l.wake()
}

// Accepted says that a daemon took the block: the round is closed. After
// SettleTimeout it closes whatever round is open by then.
func (p *Pending) Accepted(daemon string) {
	if !p.accept(daemon) {
		p.l.cfg.Log.Error("block accepted after the ledger was closed; it is not recorded", "id", hex.EncodeToString(p.block.ID[:]), "height", p.block.Height)
	}
}

// accept settles an open find; false when it can no longer be recorded.
func (p *Pending) accept(daemon string) bool {
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.state != pendingOpen {
		return true
	}
	p.block.Daemon = daemon
	p.state = pendingAccepted
	switch {
	case !p.late:
		l.wake()
	case l.closed:
		p.err = ErrNotWritten
		close(p.done)
		return false
	default:
		l.attach(p)
	}
	return true
}

// Rejected says that no daemon took the block: the round goes on.
func (p *Pending) Rejected(reason string) {
	if p.reject() {
		p.l.metrics.rejectedBlocks.Inc()
		p.l.cfg.Log.Warn("block refused; the round goes on", "id", hex.EncodeToString(p.block.ID[:]), "height", p.block.Height, "reason", reason)
	}
}

// reject settles an open find; false when it was settled before.
func (p *Pending) reject() bool {
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.state != pendingOpen {
		return false
	}
	p.state = pendingRejected
	p.err = ErrBlockRejected
	close(p.done)
	l.wake()
	return true
}

// Wait returns the record once the round is closed in Redis; ErrBlockRejected,
// ErrNotWritten, ErrClosed or ctx's error otherwise.
func (p *Pending) Wait(ctx context.Context) (BlockRecord, error) {
	select {
	case <-p.done:
		return p.rec, p.err
	case <-ctx.Done():
		return BlockRecord{}, ctx.Err()
	}
}
