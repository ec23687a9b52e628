package job_test

import (
	"errors"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/job/jobtest"
)

func TestNewTemplate(t *testing.T) {
	offer := jobtest.Offer(t, 7)
	got, err := job.NewTemplate(jobtest.Profile(t), offer, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got.Algo != algo.RX0 || got.Height != jobtest.Height || got.Seed != offer.Seed || got.Prev != offer.Prev {
		t.Errorf("template is %v at %d, seed %x, prev %x", got.Algo, got.Height, got.Seed, got.Prev)
	}
	offer.HashingBlob, offer.Prev = nil, [32]byte{}
	if _, err := job.NewTemplate(jobtest.Profile(t), offer, time.Now()); err != nil {
		t.Errorf("an offer without the daemon's hashing blob and parent: %v", err)
	}
}

// TestNewTemplateRefuses: each way an offer can disagree with itself.
func TestNewTemplateRefuses(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*job.Offer)
		reason string
	}{
		{"cut off", func(o *job.Offer) { o.Blob = o.Blob[:len(o.Blob)-1] }, "unparsable"},
		{"one byte more", func(o *job.Offer) { o.Blob = append(o.Blob, 0) }, "unparsable"},
		{"empty", func(o *job.Offer) { o.Blob = nil }, "unparsable"},
		{"height", func(o *job.Offer) { o.Height++ }, "height"},
		{"prev", func(o *job.Offer) { o.Prev[0]++ }, "prev"},
		{"reserve", func(o *job.Offer) { o.ReservedOffset++ }, "reserved_offset"},
		{"difficulty", func(o *job.Offer) { o.Difficulty = blob.Difficulty{} }, "difficulty"},
		{"hashing blob", func(o *job.Offer) { o.HashingBlob[50]++ }, "hashing_blob"},
		{"nonce", func(o *job.Offer) { o.Blob[39], o.HashingBlob[39] = 1, 1 }, "nonce"},
		{"no seed", func(o *job.Offer) { o.Seed = [32]byte{} }, "seed"},
		{"seed height", func(o *job.Offer) { o.SeedHeight -= 2048 }, "seed_height"},
		{"future version", func(o *job.Offer) { o.Blob[0], o.HashingBlob[0] = 17, 17 }, "algorithm"},
		{"nonce elsewhere", func(o *job.Offer) {
			// A timestamp of six bytes moves the nonce to 40.
			head := append([]byte{}, o.Blob[:6]...)
			o.Blob = append(append(head, o.Blob[6]|0x80, 0x01), o.Blob[7:]...)
			o.HashingBlob, o.ReservedOffset = nil, o.ReservedOffset+1
		}, "nonce_offset"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			offer := jobtest.Offer(t, 7)
			tt.spoil(offer)
			_, err := job.NewTemplate(jobtest.Profile(t), offer, time.Now())
			var refusal *job.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != tt.reason {
				t.Errorf("error %v, want a refusal for %s", err, tt.reason)
			}
		})
	}
}

// clock is a board's clock that stands still until told.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestBoardStaleness(t *testing.T) {
	c := &clock{at: time.Unix(1000, 0)}
	board := job.NewBoard(job.BoardConfig{Keep: 3, Grace: 4 * time.Second, MaxAge: time.Minute, Now: c.now})
	publish := func(o *job.Offer) *job.Template {
		tmpl, err := job.NewTemplate(jobtest.Profile(t), o, c.at)
		if err != nil {
			t.Fatal(err)
		}
		board.Publish(tmpl)
		return tmpl
	}
	if board.Current() != nil {
		t.Fatal("an empty board has a template")
	}
	offer := jobtest.Offer(t, 1)
	first := publish(offer)
	refreshed := publish(offer) // new transactions, same parent
	c.at = c.at.Add(30 * time.Second)
	if !board.Live(first) || !board.Live(refreshed) || board.Current() != refreshed {
		t.Fatal("a refresh on the same parent made shares stale")
	}

	second := publish(jobtest.WithPrev(t, offer, 1)) // a block was found
	c.at = c.at.Add(4 * time.Second)
	if !board.Live(first) || !board.Live(refreshed) || !board.Live(second) {
		t.Fatal("shares are stale within the grace time")
	}
	c.at = c.at.Add(time.Nanosecond)
	if board.Live(first) || board.Live(refreshed) || !board.Live(second) {
		t.Fatal("the grace time does not end")
	}
	if !board.Kept(first) {
		t.Fatal("a block on a stale template would be thrown away")
	}

	last := publish(jobtest.WithPrev(t, offer, 2))
	if board.Kept(first) || !board.Kept(refreshed) {
		t.Fatal("the board keeps another number of templates than 3")
	}

	c.at = c.at.Add(time.Minute + time.Nanosecond)
	if board.Current() != nil || board.Live(last) || !board.Kept(last) {
		t.Fatal("a template past the maximum age is still work")
	}
}

// TestBoardReorganisation: a parent of the same height replaces another one,
// and the first one comes back.
func TestBoardReorganisation(t *testing.T) {
	c := &clock{at: time.Unix(1000, 0)}
	board := job.NewBoard(job.BoardConfig{Keep: 8, Grace: time.Second, Now: c.now})
	offer := jobtest.Offer(t, 1)
	var made []*job.Template
	for _, prev := range []byte{1, 2, 1} {
		tmpl, err := job.NewTemplate(jobtest.Profile(t), jobtest.WithPrev(t, offer, prev), c.at)
		if err != nil {
			t.Fatal(err)
		}
		board.Publish(tmpl)
		made = append(made, tmpl)
		c.at = c.at.Add(2 * time.Second)
	}
	if board.Live(made[0]) || board.Live(made[1]) || !board.Live(made[2]) {
		t.Fatalf("live: %v %v %v, want only the last", board.Live(made[0]), board.Live(made[1]), board.Live(made[2]))
	}
}

// TestBoardConfirm: a template that is confirmed is as young as that, one whose
// block was refused is no work however young.
func TestBoardConfirm(t *testing.T) {
	c := &clock{at: time.Unix(1000, 0)}
	board := job.NewBoard(job.BoardConfig{Keep: 3, Grace: 4 * time.Second, MaxAge: time.Minute, Now: c.now})
	board.Confirm() // of nothing
	if board.Current() != nil {
		t.Error("an empty board has work")
	}
	if _, any := board.Age(); any {
		t.Error("an empty board has a template's age")
	}
	publish := func(prev byte) *job.Template {
		tmpl, err := job.NewTemplate(jobtest.Profile(t), jobtest.WithPrev(t, jobtest.Offer(t, 1), prev), c.at)
		if err != nil {
			t.Fatal(err)
		}
		board.Publish(tmpl)
		return tmpl
	}
	first := publish(1)
	for range 5 {
		c.at = c.at.Add(50 * time.Second)
		board.Confirm()
	}
	if age, any := board.Age(); !any || age != 0 || board.Current() != first || !board.Live(first) {
		t.Errorf("confirmed just now: age %v, %v, current %v, live %v", age, any, board.Current() != nil, board.Live(first))
	}
	c.at = c.at.Add(time.Minute)
	if board.Current() != first || !board.Live(first) {
		t.Error("no work at the maximum age since the last confirmation")
	}
	c.at = c.at.Add(time.Nanosecond)
	if board.Current() != nil || board.Live(first) {
		t.Error("work past the maximum age since the last confirmation")
	}

	second := publish(2)
	if board.Current() != second {
		t.Error("no work with a new template")
	}
	if !board.Drop(second) || board.Current() != nil {
		t.Error("a dropped template is still work")
	}
	c.at = c.at.Add(4 * time.Second)
	if board.Drop(second) {
		t.Error("dropped twice")
	}
	board.Confirm() // whatever a daemon says of it
	if board.Current() != nil || !board.Live(second) {
		t.Errorf("within the grace time of a drop: work %v, live %v", board.Current() != nil, board.Live(second))
	}
	c.at = c.at.Add(time.Nanosecond)
	if board.Live(second) || !board.Kept(second) {
		t.Error("the grace time of a dropped template does not end, or its blocks are lost")
	}
	third := publish(2) // the same parent
	if board.Current() != third || !board.Live(third) || board.Live(second) {
		t.Error("the template after a dropped one is no work")
	}
	if board.Drop(second) || board.Drop(first) || board.Current() != third {
		t.Error("a late drop of an older template took the newest")
	}
}
