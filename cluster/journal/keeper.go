package journal

import (
	"errors"
	"io/fs"
	"time"

	"github.com/assay-pool/assay/internal/crash"
)

// keep is the keeper: it deletes what no reader needs, once it is old enough or its
// room is needed. The committer does not wait for it.
func (j *Journal) keep() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	said := keeperSaid{warn: keepEvery}
	for {
		j.tidy(&said)
		j.remind(&said)
		select {
		case <-tick.C:
		case <-j.keeperKick:
		case <-j.closing:
			return
		}
	}
}

// keeperSaid is what the log has been told, to tell it once.
type keeperSaid struct {
	early, failed bool
	full          bool
	warn          time.Duration // how long shares may be refused before it is said again
}

// warnMax is the longest time between two lines of one trouble.
const warnMax = 10 * time.Minute

// remind says again that no share is taken, at growing intervals.
func (j *Journal) remind(said *keeperSaid) {
	r := j.refusal.Load()
	if r == nil || errors.Is(r.err, ErrBusy) || errors.Is(r.err, ErrClosed) {
		said.warn = keepEvery
		return
	}
	if out := time.Since(r.since); out >= said.warn {
		for said.warn <= out {
			said.warn = min(2*said.warn+keepEvery, said.warn+warnMax)
		}
		j.log.Error("still no share is taken", "since", r.since.Format(time.RFC3339), "for", out.Round(time.Second), "err", r.err)
	}
}

// tidy deletes from the oldest on, and finds out whether there is room again.
func (j *Journal) tidy(said *keeperSaid) {
	for {
		need := j.shelf.size.Load()+j.cfg.SegmentBytes > j.cfg.MaxBytes
		seg, early, ok := j.shelf.oldest(time.Now(), j.cfg.Keep, need)
		if !ok {
			break
		}
		if early && !said.early {
			said.early = true
			j.log.Warn("segments of the journal go before --journal-keep is over, because --journal-max is reached",
				"keep", j.cfg.Keep, "max", j.cfg.MaxBytes, "oldest", seg.name())
		}
		crash.At(crash.JournalBeforeRemove)
		if err := j.fs.Remove(seg.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			if !said.failed {
				said.failed = true
				j.log.Warn("an old segment of the journal cannot be removed (--data-dir)", "file", seg.path, "err", err)
			}
			break
		}
		crash.At(crash.JournalAfterRemove)
		said.failed = false
		if early {
			j.metrics.early.Inc()
		}
		for _, x := range j.shelf.drop(seg) {
			j.fs.Remove(x.path) // tried again by the next start, which finds it again
		}
	}
	j.sayFull(said)
}

// sayFull logs both ends of a time without room, and ends it when there is room.
func (j *Journal) sayFull(said *keeperSaid) {
	j.mu.Lock()
	if j.full && j.shelf.size.Load()+int64(j.waiting) < j.cfg.MaxBytes {
		j.full = false
	}
	if j.refusal.Load() != nil {
		j.review()
	}
	full, why := j.full, j.refusal.Load()
	j.mu.Unlock()
	switch {
	case full && !said.full && why != nil:
		j.log.Error("no share is taken: the journal is full", "err", why.err)
	case !full && said.full:
		j.log.Info("the journal has room again", "bytes", j.shelf.size.Load(), "max", j.cfg.MaxBytes)
	}
	said.full = full
}
