package journal

import "time"

// Descriptors is the most file descriptors a journal uses: its lock, the segment that
// is written, the one that is made and its folder, and what its readers read.
const Descriptors = 8

// Segment is one file of a journal, for who looks at it.
type Segment struct {
	File  string // in the journal's folder
	Base  Position
	Bytes int64
	Made  time.Time
	Sums  Sums // of all credits before it
}

// Segments are the files that can be read, oldest first.
func (j *Journal) Segments() []Segment {
	j.shelf.mu.Lock()
	defer j.shelf.mu.Unlock()
	all := make([]Segment, len(j.shelf.segs))
	for i, s := range j.shelf.segs {
		all[i] = Segment{File: s.name(), Base: s.base, Bytes: s.bytes, Made: s.time, Sums: s.sums}
	}
	return all
}

// Again opens a journal that is open for reading anew: as it is now. nil for one that
// is open for writing, whose readers see what comes.
func (j *Journal) Again() (*Journal, error) {
	if !j.readOnly {
		return nil, nil
	}
	return OpenDir(j.cfg.Dir)
}

// Identity is whose shares the journal has.
func (j *Journal) Identity() Identity {
	j.shelf.mu.Lock()
	defer j.shelf.mu.Unlock()
	if n := len(j.shelf.segs); n > 0 {
		return j.shelf.segs[n-1].identity
	}
	return j.cfg.Identity
}
