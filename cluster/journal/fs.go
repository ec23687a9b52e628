package journal

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// File is an open file as the journal uses it.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error // its bytes and its size are durable after it
	Truncate(size int64) error
	Size() (int64, error)
	// Probe fails if there is no room for so many bytes behind its end. It takes none.
	Probe(bytes int64) error
}

// FS is a disk as the journal uses it. A test takes the operating system's by
// [OS] and puts a fault in the place of a function.
type FS struct {
	MkdirAll func(dir string) error
	List     func(dir string) (names []string, err error)
	Create   func(name string) (File, error) // to write; one that is there is emptied
	Open     func(name string) (File, error) // to read
	Edit     func(name string) (File, error) // to shorten
	Rename   func(from, to string) error
	Remove   func(name string) error
	SyncDir  func(dir string) error // the names in it are durable after it
	// Here tells whether a name still leads to an open file.
	Here func(name string, f File) error
}

// OS is the operating system's files.
func OS() *FS {
	open := func(name string, flags int) (File, error) {
		f, err := os.OpenFile(name, flags, 0o640)
		if err != nil {
			return nil, err
		}
		return osFile{f}, nil
	}
	return &FS{
		MkdirAll: func(dir string) error { return os.MkdirAll(dir, 0o750) },
		List:     listDir,
		Create:   func(name string) (File, error) { return open(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR) },
		Open:     func(name string) (File, error) { return open(name, os.O_RDONLY) },
		Edit:     func(name string) (File, error) { return open(name, os.O_RDWR) },
		Rename:   os.Rename,
		Remove:   os.Remove,
		SyncDir:  syncDir,
		Here:     here,
	}
}

func listDir(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// here compares by device and inode. A file that is not the system's own, in a test,
// is taken for the one that has the name.
func here(name string, f File) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	own, ok := f.(osFile)
	if !ok {
		return nil
	}
	open, err := own.Stat()
	if err == nil && !os.SameFile(info, open) {
		err = &os.PathError{Op: "write to", Path: name, Err: errReplaced}
	}
	return err
}

// errReplaced is a segment whose name leads to another file.
var errReplaced = errors.New("another file has this name now")

type osFile struct{ *os.File }

// Sync is fdatasync: what is not needed to read the data again, such as the
// file's times, need not be written.
func (f osFile) Sync() error {
	return f.retry("fdatasync", func(fd int) error { return unix.Fdatasync(fd) })
}

// Probe takes the room and gives it back: to shorten a file frees what is behind its
// end on every file system, which other ways do not.
func (f osFile) Probe(bytes int64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	err = f.retry("fallocate", func(fd int) error { return unix.Fallocate(fd, 0, size, bytes) })
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return nil
	case err != nil:
		return err
	}
	return f.Truncate(size)
}

// retry repeats a call that a signal has interrupted.
func (f osFile) retry(call string, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Control(func(fd uintptr) {
		for {
			if result = do(int(fd)); result != unix.EINTR {
				return
			}
		}
	})
	if err == nil && result != nil {
		err = &os.PathError{Op: call, Path: f.Name(), Err: result}
	}
	return err
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
