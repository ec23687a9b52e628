// Package lockdir keeps a second process out of a folder.
package lockdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Name is the lock's file in the folder.
const Name = "lock"

// Take locks a folder that is there for as long as the file is open. Go opens files
// close-on-exec, so a child does not inherit the lock. Errors name --data-dir.
func Take(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, Name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("--data-dir: %s is in use by another node; give each node its own --data-dir", dir)
		}
		return nil, fmt.Errorf("--data-dir: lock %s: %w", dir, err)
	}
	return f, nil
}
