package journal

import (
	"sync"
	"syscall"
)

// faultFS is the operating system's files with faults.
type faultFS struct {
	fs *FS

	mu    sync.Mutex
	calls int // of those that may fail
	// fault is asked before each call that may fail, with its number from 1; what it
	// returns the call returns, but a write has written short bytes first.
	fault func(n int, call string) (short int, err error)
	// hold is waited for in Sync while it is not nil.
	hold    chan struct{}
	waiting chan struct{} // capacity 1; has a value when a Sync waits
}

func newFaultFS() *faultFS { return newFaultFSOver(OS()) }

func newFaultFSOver(under *FS) *faultFS {
	f := &faultFS{waiting: make(chan struct{}, 1)}
	wrapFile := func(file File, err error) (File, error) {
		if err != nil {
			return nil, err
		}
		return &faultFile{File: file, fs: f}, nil
	}
	fs := *under
	fs.Create = func(name string) (File, error) {
		if _, err := f.call("create"); err != nil {
			return nil, err
		}
		return wrapFile(under.Create(name))
	}
	fs.Edit = func(name string) (File, error) {
		if _, err := f.call("edit"); err != nil {
			return nil, err
		}
		return wrapFile(under.Edit(name))
	}
	fs.Rename = func(from, to string) error {
		if _, err := f.call("rename"); err != nil {
			return err
		}
		return under.Rename(from, to)
	}
	fs.Remove = func(name string) error {
		if _, err := f.call("remove"); err != nil {
			return err
		}
		return under.Remove(name)
	}
	fs.SyncDir = func(dir string) error {
		if _, err := f.call("syncdir"); err != nil {
			return err
		}
		return under.SyncDir(dir)
	}
	f.fs = &fs
	return f
}

func (f *faultFS) call(name string) (short int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.fault == nil {
		return 0, nil
	}
	return f.fault(f.calls, name)
}

// set changes the fault from now on.
func (f *faultFS) set(fault func(n int, call string) (int, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// holdSync makes each Sync wait until release is called.
func (f *faultFS) holdSync() (release func()) {
	hold := make(chan struct{})
	f.mu.Lock()
	f.hold = hold
	f.mu.Unlock()
	return func() {
		f.mu.Lock()
		f.hold = nil
		f.mu.Unlock()
		close(hold)
	}
}

// broken is a disk that refuses everything by one error.
func broken(err error) func(int, string) (int, error) {
	return func(int, string) (int, error) { return 0, err }
}

type faultFile struct {
	File
	fs *faultFS
}

func (f *faultFile) Write(b []byte) (int, error) {
	short, err := f.fs.call("write")
	if err == nil && short == 0 {
		return f.File.Write(b)
	}
	n, _ := f.File.Write(b[:min(short, len(b))])
	if err == errShort {
		err = nil
	}
	return n, err
}

// errShort is a write that says so by its number alone.
const errShort = syscall.Errno(0xfff)

func (f *faultFile) Sync() error {
	_, err := f.fs.call("sync")
	f.fs.mu.Lock()
	hold := f.fs.hold
	f.fs.mu.Unlock()
	if hold != nil {
		select {
		case f.fs.waiting <- struct{}{}:
		default:
		}
		<-hold
	}
	if err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if _, err := f.fs.call("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Probe(n int64) error {
	if _, err := f.fs.call("probe"); err != nil {
		return err
	}
	return f.File.Probe(n)
}

// quickFS is the operating system's files without waiting for the disk, for tests of
// what is read.
func quickFS() *FS {
	fs := *OS()
	create, edit := fs.Create, fs.Edit
	fs.Create = func(name string) (File, error) {
		f, err := create(name)
		return quickFile{f}, err
	}
	fs.Edit = func(name string) (File, error) {
		f, err := edit(name)
		return quickFile{f}, err
	}
	fs.SyncDir = func(string) error { return nil }
	return &fs
}

type quickFile struct{ File }

func (quickFile) Sync() error { return nil }
