package journal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// strayReach is how far behind the end an unreadable file may claim to be, in bytes,
// to be taken for the next segment: its name is all there is to believe.
const strayReach = 1 << 40

// recovered is what a start finds in the folder.
type recovered struct {
	id        [16]byte
	segs      []*segment // that can be read, by base
	strays    []stray    // of this journal, that cannot
	alien     []stray    // copies, and files of other journals: never touched
	temps     []string   // of segments that never were
	end, prev Position   // prev is behind end if there are strays behind it
	sums      Sums       // up to end
	uncertain bool       // sums lack what was lost, or there are such strays
	open      []*Found   // not settled
	torn      int64      // bytes behind end in the last segment's file
	lost      []Lost     // damaged parts of the last segment
	carryLost int        // blocks of its carry that cannot be read
	reports   int
}

// recoverDir reads the headers of all segments, and the last one as a whole. The
// error is the disk's.
func recoverDir(cfg *Config) (*recovered, error) {
	names, err := cfg.FS.List(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	slices.Sort(names) // 20 digits: by base
	r := new(recovered)
	unread := make(map[string]error) // by path
	for _, name := range names {
		path := filepath.Join(cfg.Dir, name)
		if strings.HasSuffix(name, tempSuffix) {
			r.temps = append(r.temps, path)
			continue
		}
		if _, ok := baseOf(name); !ok {
			continue
		}
		switch seg, err := loadSegment(cfg.FS, path); {
		case errors.Is(err, fs.ErrNotExist): // deleted by the node that writes it
		case seg == nil:
			return nil, fmt.Errorf("--data-dir: %w", err)
		case err != nil:
			unread[path] = err
			r.strays = append(r.strays, stray{path: path, at: seg.base, bytes: seg.bytes, reason: err.Error()})
		default:
			r.segs = append(r.segs, seg)
		}
	}
	r.sort()
	if err := r.scanLast(cfg.FS); err != nil {
		return nil, err
	}
	r.placeStrays()
	return r, nil
}

// loadSegment reads a file's header. The segment comes with an error if it is there
// and is none; base is then what the header says, or the name. Without a segment the
// error is the disk's.
func loadSegment(fs *FS, path string) (*segment, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, maxHeader)
	n, err := f.ReadAt(b, 0)
	if err != nil && !isEOF(err) {
		return nil, err
	}
	named, _ := baseOf(path)
	h, err := parseHeader(b[:n])
	switch {
	case err != nil:
		h = header{base: named}
	case h.data() > size:
		err = errors.New("it ends before its first record")
	case h.base != named:
		err = fmt.Errorf("it is a copy, or was renamed: its own name is %s", fileName(h.base))
	}
	return &segment{header: h, path: path, bytes: size}, err
}

// sort takes out what is not of this journal or not in its place. The segment made
// last says which journal it is: an older one may have come further.
func (r *recovered) sort() {
	if len(r.segs) == 0 {
		return
	}
	newest := slices.MaxFunc(r.segs, func(a, b *segment) int { return a.time.Compare(b.time) })
	r.id = newest.id
	var kept []*segment // from the last on
	for _, s := range slices.Backward(r.segs) {
		if s.id == r.id && len(kept) == 0 {
			kept = append(kept, s)
			continue
		}
		next := newest
		if len(kept) > 0 {
			next = kept[len(kept)-1]
		}
		switch {
		case s.id != r.id:
			r.alien = append(r.alien, stray{path: s.path, at: s.base, reason: "it is of another journal, " + hex.EncodeToString(s.id[:])})
		case next.prev < s.base:
			r.alien = append(r.alien, stray{path: s.path, at: s.base, reason: fmt.Sprintf("%s says that the journal had not come so far", next.name())})
		default:
			kept = append(kept, s)
		}
	}
	slices.Reverse(kept)
	r.segs = kept
	r.strays = slices.DeleteFunc(r.strays, func(x stray) bool {
		copied := slices.ContainsFunc(r.segs, func(s *segment) bool { return s.base == x.at })
		if copied {
			r.alien = append(r.alien, x)
		}
		return copied
	})
}

// scanLast goes through the last segment: its end, the sums, what is not settled.
func (r *recovered) scanLast(fs *FS) error {
	if len(r.segs) == 0 {
		return nil
	}
	seg := r.segs[len(r.segs)-1]
	f, err := fs.Open(seg.path)
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	defer f.Close()
	if err := r.readCarry(f, seg); err != nil {
		return fmt.Errorf("--data-dir: read %s: %w", seg.path, err)
	}
	var w walker
	whole := seg.base + Position(seg.bytes-seg.data())
	w.open(f, &seg.header, whole)
	for {
		step, err := w.step()
		if err != nil {
			return fmt.Errorf("--data-dir: read %s: %w", seg.path, err)
		}
		if step == stepEnd || step == stepTorn {
			break
		}
		r.take(&w.rec, seg)
	}
	r.end, r.prev, r.sums, r.torn = w.pos, w.pos, w.sums, int64(whole-w.pos)
	return nil
}

// take notes what a record of the last segment says about open blocks.
func (r *recovered) take(rec *Record, seg *segment) {
	switch rec.Kind {
	case KindFound:
		f := *rec.Found
		f.Bytes = slices.Clone(f.Bytes)
		r.settled(f.ID)
		r.open = append(r.open, &f)
	case KindSettled:
		r.settled(rec.Settled.ID)
	case KindLost:
		if !rec.Lost.Known {
			r.uncertain = true
		}
		lost := *rec.Lost
		lost.Segment = seg.name()
		if r.reports++; len(r.lost) < maxReports {
			r.lost = append(r.lost, lost)
		}
	}
}

// maxReports bounds what the log is told of one start.
const maxReports = 16

func (r *recovered) settled(id [32]byte) {
	r.open = slices.DeleteFunc(r.open, func(f *Found) bool { return f.ID == id })
}

// readCarry reads the blocks that the segment began with.
func (r *recovered) readCarry(f File, seg *segment) error {
	w := window{f: f, salt: seg.salt, delta: uint64(carryAt) - uint64(seg.headerLength), limit: carryAt + Position(seg.carryBytes)}
	r.carryLost = seg.carry
	for at := carryAt; at < w.limit; {
		payload, end, ok, err := w.frame(at)
		if err == nil && !ok {
			if at, ok, err = w.search(at + 1); ok {
				continue
			}
		}
		if err != nil || !ok {
			return err
		}
		var rec Record
		var c contents
		if _, ok := decode(payload, &rec, &c, new(table), 0); ok && rec.Kind == KindFound {
			r.take(&rec, seg)
			r.carryLost--
		}
		at = end
	}
	return nil
}

// placeStrays keeps unreadable files that may hold what comes behind the end out of
// the way of the next segment: positions in them may have been given out.
func (r *recovered) placeStrays() {
	for _, x := range r.strays {
		end := x.at + Position(x.bytes)
		if x.at < r.end || x.at > r.end+strayReach || end < r.prev {
			continue
		}
		r.prev, r.uncertain = end, true
	}
	r.reports += len(r.strays) + len(r.alien)
	if r.carryLost > 0 {
		r.reports++
	}
}

// report tells the log what is not as it should be.
func (r *recovered) report(cfg *Config) {
	for _, x := range r.strays {
		cfg.Log.Error("a segment of the journal cannot be read; what was in it is reported as lost", "file", x.path, "err", x.reason)
	}
	for _, x := range r.alien {
		cfg.Log.Error("a file in the journal's folder is not one of its segments and is not read; move it away", "file", x.path, "reason", x.reason)
	}
	if r.prev > r.end && len(r.segs) > 0 {
		cfg.Log.Error("the last segment of the journal cannot be read: sums and open blocks are those of the one before",
			"file", r.segs[len(r.segs)-1].path, "from", r.end, "to", r.prev)
	}
	for _, l := range r.lost {
		cfg.Log.Error("a part of the journal is damaged and skipped; found blocks or their fates may be missing",
			"file", l.Segment, "offset", l.Offset, "from", l.From, "to", l.To, "reason", l.Reason)
	}
	if r.carryLost > 0 {
		cfg.Log.Error("found blocks that were not settled cannot be read any more", "blocks", r.carryLost,
			"file", r.segs[len(r.segs)-1].path)
	}
}

// cut takes off what an earlier process had not finished to write: its waiters have
// not been answered. Nothing depends on it, as the next segment says where this one
// ends; so an error is only told.
func (r *recovered) cut(cfg *Config) {
	for _, path := range r.temps {
		if err := cfg.FS.Remove(path); err != nil {
			cfg.Log.Warn("a half-made segment of the journal could not be removed", "file", path, "err", err)
		}
	}
	if r.torn == 0 || len(r.segs) == 0 {
		return
	}
	seg := r.segs[len(r.segs)-1]
	err := shorten(cfg.FS, seg.path, seg.bytes-r.torn)
	cfg.Log.Warn("a half-written end of the journal was cut off", "file", seg.path, "bytes", r.torn, "err", err)
	if err == nil {
		seg.bytes -= r.torn
	}
}

func shorten(fs *FS, path string, size int64) error {
	f, err := fs.Edit(path)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
