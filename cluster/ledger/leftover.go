package ledger

// Reopen takes a block of an earlier start whose fate was never written. It cuts
// nothing: the shares before it were flushed, or lost, by that start. Once it is
// accepted it closes the round that is open then; if that start, or another node,
// has closed a round with it, nothing changes. The caller must settle the result
// as that of Found.
func (l *Ledger) Reopen(b Block) *Find {
	if b.Node == "" {
		b.Node = l.cfg.Node
	}
	return &Find{l: l, block: b, late: true, done: make(chan struct{})}
}

// LeaveOpen says that nobody knows the block's fate and this process will not
// learn it: the round goes on, and the block is neither recorded nor refused.
func (f *Find) LeaveOpen() {
	l := f.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.state != fateOpen {
		return
	}
	f.state, f.err = fateNoRound, ErrNotWritten
	close(f.done)
	l.wake()
}
