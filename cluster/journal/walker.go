package journal

// walker goes through a segment's records in order. It keeps the segment's names,
// so it must begin at the segment's first record.
type walker struct {
	window
	began    int64 // of the segment, in milliseconds
	pos      Position
	sums     Sums // up to pos
	names    table
	contents contents
	rec      Record
}

// step is what a walker has met.
type step uint8

const (
	stepEnd    step = iota // the limit
	stepRecord             // rec is the record
	stepDamage             // rec is a Lost up to the next record, whose sums are not known
	stepTorn               // no record from pos to the limit; rec is not set, pos stays
)

// open begins a segment, up to a limit.
func (w *walker) open(f File, h *header, limit Position) {
	w.f, w.salt, w.delta, w.limit = f, h.salt, h.delta(), limit
	w.buf, w.at = w.buf[:0], 0
	w.began, w.pos, w.sums = h.time.UnixMilli(), h.base, h.sums
	w.names.reset()
}

// step goes to the next record. The error is the disk's; the step may be repeated.
func (w *walker) step() (step, error) {
	if w.pos >= w.limit {
		return stepEnd, nil
	}
	payload, end, ok, err := w.frame(w.pos)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return w.resync()
	}
	at := w.pos
	named, ok := decode(payload, &w.rec, &w.contents, &w.names, w.began)
	if !ok {
		w.lose(end, "a record of a form that this program does not know")
		return stepDamage, nil
	}
	w.pos = end
	if w.rec.Kind == KindCredit {
		w.sums.Hashes += w.rec.Credit.Difficulty
		w.sums.Shares++
	}
	if !named {
		one := Sums{Hashes: w.rec.Credit.Difficulty, Shares: 1}
		w.contents.lost = Lost{From: at, To: end, Offset: w.offset(at), Reason: "a credit whose name was in a damaged part", Known: true, Sums: one}
		w.rec = Record{Kind: KindLost, Lost: &w.contents.lost}
	}
	w.rec.At, w.rec.End, w.rec.Sums = at, end, w.sums
	return stepRecord, nil
}

// resync finds the next record behind damage.
func (w *walker) resync() (step, error) {
	next, ok, err := w.search(w.pos + 1)
	if err != nil {
		return 0, err
	}
	if !ok {
		return stepTorn, nil
	}
	w.lose(next, "damaged")
	return stepDamage, nil
}

// lose makes a Lost of all up to a position, and goes there.
func (w *walker) lose(to Position, reason string) {
	w.contents.lost = Lost{From: w.pos, To: to, Offset: w.offset(w.pos), Reason: reason}
	w.rec = Record{Kind: KindLost, At: w.pos, End: to, Lost: &w.contents.lost, Sums: w.sums}
	w.pos = to
}
