package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	aofDirName      = "appendonlydir"
	aofManifestName = "appendonly.aof.manifest"
	// aofManifestMax bounds what is read of a manifest, in bytes; it has a line per
	// file, and there are a handful of these.
	aofManifestMax = 1 << 20
	// damagedMark stands between a file's name and the time in the name of its copy.
	// redis-server reads what its manifest names and leaves the rest alone.
	damagedMark = ".damaged-"
	// damagedKept is how many copies stay; the oldest give way.
	damagedKept = 8
)

var errStopped = errors.New("stopped meanwhile")

// aofFile is one line of the manifest.
type aofFile struct {
	name string
	kind string // "b" base, "i" incremental, "h" history
}

// readManifest gives the manifest's files in their order, nil when there is no
// manifest or when it is not what redis-server writes: then that says so.
func readManifest(dir string) ([]aofFile, error) {
	f, err := os.Open(filepath.Join(dir, aofManifestName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var files []aofFile
	lines := bufio.NewScanner(io.LimitReader(f, aofManifestMax))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		w := strings.Fields(lines.Text())
		if len(w) != 6 || w[0] != "file" || w[2] != "seq" || w[4] != "type" || w[1] != filepath.Base(w[1]) {
			return nil, nil
		}
		files = append(files, aofFile{name: w[1], kind: w[5]})
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, nil
	}
	return files, lines.Err()
}

// mendAOF looks at the incremental files before redis-server does, and cuts the
// last one's end off where a power loss left zeros or garbage there.
//
// It cannot wait for redis-server to refuse the file, because redis-server (7.0)
// takes three kinds of damage without a word:
//   - zeros in place of a command's last bytes become part of its last argument;
//   - a command that is cut short inside of a MULTI is cut off, the MULTI is not:
//     the next start runs the unfinished half with whatever was appended, and
//     a range of the journal would count twice (I3);
//   - a file before the last one that is cut short is refused once, and cut
//     at the same time: the next start goes on behind the hole.
//
// A command cut short outside of a MULTI, and a MULTI whose EXEC never came, stay
// redis-server's to cut; it does both well.
func (m *Managed) mendAOF() error {
	dir := filepath.Join(m.dir, aofDirName)
	files, err := readManifest(dir)
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	files = slices.DeleteFunc(files, func(f aofFile) bool { return f.kind != "i" })
	for i, file := range files {
		path := filepath.Join(dir, file.name)
		if err := m.mendFile(path, i == len(files)-1); err != nil {
			return err
		}
	}
	return nil
}

func (m *Managed) mendFile(path string, last bool) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // redis-server says what that means
	}
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	r := newAOFReader(stoppable{f, m.stop}, st.Size())
	s, err := walkAOF(r)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	switch {
	case s.end == s.size:
		return nil
	case !last:
		return m.refusal(path, fmt.Sprintf("is damaged at offset %d, and newer files build on it", s.bad))
	case s.bad == s.size || s.torn && !s.openMulti():
		return nil // redis-server cuts it
	case !s.torn:
		at, err := r.follows(s.bad + 1)
		switch {
		case errors.Is(err, errAOFUnclear):
			return m.refusal(path, fmt.Sprintf("is damaged at offset %d, and %s", s.bad, err))
		case err != nil:
			return fmt.Errorf("read %s: %w", path, err)
		case at >= 0:
			return m.refusal(path, fmt.Sprintf("is damaged at offset %d, and a complete command follows at offset %d", s.bad, at))
		}
	}
	return m.cutTail(f, path, s)
}

// cutTail keeps a copy of the whole file and cuts it at s.end. Each step is on
// the disk before the next begins, so a power loss in between repeats the
// repair and loses nothing.
func (m *Managed) cutTail(f *os.File, path string, s aofShape) error {
	saved, err := m.saveDamaged(f, path, s.size)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return fmt.Errorf("--data-dir: %s has a damaged end and must be copied before it is cut, but the disk is full; free %d bytes (nothing was changed): %w",
				path, s.size, err)
		}
		return fmt.Errorf("--data-dir: copy %s, which has a damaged end, before it is cut (nothing was changed): %w", path, err)
	}
	if err = f.Truncate(s.end); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("--data-dir: cut the damaged end of %s (copy: %s): %w", path, saved, err)
	}
	m.cfg.Log.Warn("the append-only file of the private redis-server had a damaged end, as a power loss leaves it; it was cut off, and what it held comes again from the node's journal",
		"file", path, "offset", s.end, "cut_bytes", s.size-s.end, "copy", saved)
	m.dropOldCopies(filepath.Dir(path))
	return nil
}

// saveDamaged copies the file durably under a name that is not taken.
func (m *Managed) saveDamaged(f *os.File, path string, size int64) (saved string, err error) {
	part := path + ".damaged.part" // one name: what a power loss leaves is written over
	to, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	_, err = io.Copy(to, io.NewSectionReader(stoppable{f, m.stop}, 0, size))
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return "", err
	}
	name := path + damagedMark + time.Now().UTC().Format("20060102T150405Z")
	saved = name
	for i := 2; ; i++ { // a clock without a battery tells the same time after every power loss
		if _, err := os.Lstat(saved); errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		saved = name + "-" + strconv.Itoa(i)
	}
	if err := os.Rename(part, saved); err != nil {
		return "", err
	}
	return saved, syncDir(filepath.Dir(path))
}

// dropOldCopies removes the oldest copies beyond damagedKept.
func (m *Managed) dropOldCopies(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var copies []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.Contains(e.Name(), damagedMark) {
			copies = append(copies, info)
		}
	}
	slices.SortFunc(copies, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, old := range copies[min(damagedKept, len(copies)):] {
		path := filepath.Join(dir, old.Name())
		if err := os.Remove(path); err == nil {
			m.cfg.Log.Info("old copy of a damaged append-only file removed", "copy", path, "kept", damagedKept)
		}
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// stoppable ends a long read when the node stops.
type stoppable struct {
	src  io.ReaderAt
	stop <-chan struct{}
}

func (s stoppable) ReadAt(b []byte, off int64) (int, error) {
	select {
	case <-s.stop:
		return 0, errStopped
	default:
		return s.src.ReadAt(b, off)
	}
}

func (m *Managed) refusal(path, what string) error {
	return fmt.Errorf("private redis-server is not started: %s %s; nothing was changed: %s", path, what, waysOut(m.dir))
}

// waysOut of an append-only file that neither we nor redis-server will load.
func waysOut(dir string) string {
	return fmt.Sprintf("keep a copy of %s, then either repair it by hand with redis-check-aof --fix %s, which cuts the newest file from the damage on, or move %s away and start the node: it makes the books anew from its journal, as far back as that goes (--journal-keep; assayd ledger rebuild does the same)",
		dir, filepath.Join(dir, aofDirName, aofManifestName), dir)
}
