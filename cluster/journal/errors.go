package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Errors of Done, Admit and the methods of Journal. Test with errors.Is.
var (
	ErrDisk       = errors.New("journal: not on disk")
	ErrStalled    = errors.New("journal: the disk does not answer")
	ErrFull       = errors.New("journal: full")
	ErrBusy       = errors.New("journal: too much waits for the disk")
	ErrClosed     = errors.New("journal: closed")
	ErrReadOnly   = errors.New("journal: open for reading only")
	ErrName       = errors.New("journal: a wallet's or worker's name is too long")
	ErrDifficulty = errors.New("journal: difficulty is 0, above 2^63-1, or too much for the sums")
	ErrBlock      = errors.New("journal: the block is too long")
	ErrOpen       = errors.New("journal: too many found blocks are not settled")
	// ErrAhead is a position beyond the end: what asks for it has seen records that
	// this journal has lost. See Skip.
	ErrAhead = errors.New("journal: the position is beyond the end")
)

// diskError says what to do about a disk that takes nothing; it is an ErrDisk.
type diskError struct {
	dir   string
	cause error
}

func (e *diskError) Error() string {
	return fmt.Sprintf("shares cannot be written to the journal in %s (--data-dir): %v; %s. It is tried again every %v",
		e.dir, e.cause, remedy(e.cause), retryEvery)
}

func (e *diskError) Unwrap() []error { return []error{ErrDisk, e.cause} }

// remedy is what an operator can do about it.
func remedy(cause error) string {
	switch {
	case errors.Is(cause, syscall.ENOSPC), errors.Is(cause, syscall.EDQUOT):
		return "the disk is full: free some space, move --data-dir, or lower --journal-max for the next start"
	case errors.Is(cause, syscall.EROFS):
		return "the file system is read-only: see the kernel's log for the reason, repair it, and mount it writable"
	case errors.Is(cause, fs.ErrNotExist), errors.Is(cause, errReplaced):
		return "the folder, or what was in it, is gone: put back what was there, mount the disk, or start the node anew; what redis does not have yet is lost with it"
	case errors.Is(cause, fs.ErrPermission):
		return "give the node's user the right to write there"
	case errors.Is(cause, ErrStalled):
		return "the disk hangs or is far too busy: see the kernel's log and what else writes to it, or move --data-dir"
	case errors.Is(cause, syscall.EIO):
		return "the disk fails: see the kernel's log, and move --data-dir to another disk"
	}
	return "see the kernel's log, or move --data-dir to another disk"
}

// fullError says why nothing can be deleted; it is an ErrFull.
type fullError struct {
	dir             string
	bytes, maxBytes int64
	unreleased      uint64
}

func (e *fullError) Error() string {
	return fmt.Sprintf("the journal in %s has %d bytes and --journal-max is %d, and %d bytes of it are not in redis yet: mend redis, or raise --journal-max",
		e.dir, e.bytes, e.maxBytes, e.unreleased)
}

func (e *fullError) Unwrap() error { return ErrFull }

// identityError refuses a folder of another pool.
func identityError(dir string, own, has Identity) error {
	return fmt.Errorf("--data-dir: the journal in %s has the shares of coin %s and wallet %s, not of %s and %s: correct --coin or --wallet, or move the folder away to begin anew",
		dir, has.Coin, has.Wallet, own.Coin, own.Wallet)
}
