package journal

import (
	"io"
	"path/filepath"

	"github.com/assay-pool/assay/internal/crash"
)

// create makes a segment's file with its header and carry. It has its name only when
// it is durable as a whole, so no crash leaves half a header; one without records
// that has the same name is replaced. room is what must be free behind it, in bytes.
func (j *Journal) create(h *header, room int64) (*segment, File, error) {
	path := filepath.Join(j.cfg.Dir, fileName(h.base))
	temp := filepath.Join(j.cfg.Dir, fileName(h.base)[:20]+tempSuffix)
	file, err := j.fs.Create(temp)
	if err != nil {
		return nil, nil, err
	}
	crash.At(crash.JournalSegmentMade)
	head := j.headerAndCarry(h)
	err = fillNew(file, head, room)
	if err == nil {
		crash.At(crash.JournalSegmentSynced)
		err = j.fs.Rename(temp, path)
	}
	if err == nil {
		crash.At(crash.JournalSegmentNamed)
		err = j.fs.SyncDir(j.cfg.Dir)
	}
	if err != nil {
		file.Close()
		j.fs.Remove(temp) // or it is replaced by the next try, or removed by the next start
		return nil, nil, err
	}
	crash.At(crash.JournalSegmentReady)
	return &segment{header: *h, path: path, bytes: int64(len(head))}, file, nil
}

func fillNew(file File, head []byte, room int64) error {
	n, err := file.Write(head)
	if err == nil && n < len(head) {
		err = io.ErrShortWrite
	}
	if err == nil && room > 0 {
		err = file.Probe(room)
	}
	if err != nil {
		return err
	}
	crash.At(crash.JournalSegmentWritten)
	return file.Sync()
}

// carryAt is the position of the first carried block: no record's.
const carryAt Position = 1 << 63

// headerAndCarry is a new file's first bytes: the header, and every block that is
// not settled, each in a frame.
func (j *Journal) headerAndCarry(h *header) []byte {
	j.mu.Lock()
	open := append([]*Found(nil), j.open...)
	j.mu.Unlock()
	var carry []byte
	for _, f := range open {
		at := carryAt + Position(len(carry))
		var start int
		carry, start = beginFrame(carry)
		carry = endFrame(appendFound(carry, f), start, h.salt, at)
	}
	h.carry, h.carryBytes = len(open), int64(len(carry))
	return append(appendHeader(nil, h), carry...)
}
