package daemon

import (
	"context"
	"errors"
	"time"
)

// feed is one daemon's ZMQ subscription as its node sees it. Guarded by node.mu.
type feed struct {
	up      bool
	since   time.Time // when it last began to stand
	notice  time.Time // the last block it told of
	expect  time.Time // zero, or: a poll saw a new tip that came after this moment…
	patient time.Time // …and a notice of it has until then
	cut     context.CancelFunc
	mute    bool  // a block was not announced, and none has been since
	err     error // why it does not stand; nil = not tried yet, or it stands
}

// trouble says what is wrong with the feed, "" when nothing is known.
func (f *feed) trouble() string {
	switch {
	case f.mute && (f.up || errors.Is(f.err, errMute)):
		return errMute.Error()
	case f.err != nil:
		return f.err.Error()
	}
	return ""
}

// feedGrace is how much later than the poll a notice of the same block may come. monerod sends it as
// it adds the block, so it is on its way before a poll can see the new tip.
const feedGrace = 2 * time.Second

// stands notes that the feed stands, and how it is cut.
func (f *feed) stands(cut context.CancelFunc, now time.Time) {
	f.up, f.since, f.expect, f.cut, f.err = true, now, time.Time{}, cut, nil
}

// fell notes why it stands no more, or did not come to stand.
func (f *feed) fell(err error) { f.up, f.expect, f.cut, f.err = false, time.Time{}, nil, err }

// told notes a block's notice.
func (f *feed) told(now time.Time) { f.notice, f.mute = now, false }

// polled is told of each good poll. A block that no notice announced means that the feed is mute: TCP
// is alive, but the address is not that of --zmq-pub, or the publisher is stuck. Then mute is true,
// and the feed is cut so that it is opened anew. newTip tells that the tip is another one than at the
// last good poll, which began at last.
func (f *feed) polled(newTip bool, last, now time.Time) (mute bool) {
	if !f.up {
		return false
	}
	if newTip && f.expect.IsZero() && !last.IsZero() && f.since.Before(last) {
		f.expect, f.patient = last, now.Add(feedGrace)
	}
	switch {
	case f.expect.IsZero():
	case !f.notice.Before(f.expect):
		f.expect = time.Time{}
	case now.After(f.patient):
		f.expect, f.mute = time.Time{}, true
		f.cut()
		return true
	}
	return false
}
