package ledger

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/assay-pool/assay/cluster/journal"
)

// disk knows what of each file a power cut would leave.
type disk struct {
	mu    sync.Mutex
	files map[string]*tracked // guarded by mu; by path, of those that were made
}

type tracked struct {
	journal.File
	disk            *disk
	written, synced int64 // guarded by disk.mu
}

func newDisk() *disk { return &disk{files: map[string]*tracked{}} }

func (d *disk) fs() *journal.FS {
	fs := journal.OS()
	create, rename := fs.Create, fs.Rename
	fs.Create = func(name string) (journal.File, error) {
		f, err := create(name)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.files[name] = &tracked{File: f, disk: d}
		return d.files[name], nil
	}
	fs.Rename = func(from, to string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.files[to] = d.files[from]
		delete(d.files, from)
		return rename(from, to)
	}
	return fs
}

func (f *tracked) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.written += int64(n)
	return n, err
}

func (f *tracked) Sync() error {
	f.disk.mu.Lock()
	written := f.written
	f.disk.mu.Unlock()
	err := f.File.Sync()
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err == nil {
		f.synced = max(f.synced, written)
	}
	return err
}

// copyTo makes the folder that a power cut would have left.
func (d *disk) copyTo(from, to string, tear func(room int) int) error {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(from, "*.journal"))
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if f := d.files[path]; f != nil {
			least := min(int(f.synced), len(raw))
			raw = raw[:least+tear(len(raw)-least)]
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), raw, 0o640); err != nil {
			return err
		}
	}
	return nil
}
