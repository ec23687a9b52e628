package server

import (
	"context"
	"slices"
	"testing"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
)

// block is the difficulty of a claim to be a block.
const block = networkDifficulty * 2

// TestBlockOnAFullJob: a job that has used up its shares still takes blocks,
// but not without end.
func TestBlockOnAFullJob(t *testing.T) {
	r := newRig(t, func(c *Config) { c.JobShares = 2 })
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	nonce := uint32(0)
	submit := func(difficulty uint64) {
		c.submit(nonce, difficulty)
		nonce++
	}
	for range 2 {
		submit(10_000)
		c.accepted()
	}
	for range candidateRoom {
		submit(10_000)
		c.refused(stratum.Text(validator.ShedJobFull))
		submit(block)
		c.accepted()
	}
	submit(block)
	c.refused(stratum.Text(validator.ShedJobFull))
	if n := r.books.blocks(); n != candidateRoom {
		t.Fatalf("%d blocks found", n)
	}
	c.submit(3, block) // taken above
	c.refused("Duplicate share")
	r.balanced()
}

// TestForgedClaims: a session that claimed a block and had none is served as
// one that claims nothing, but a block of it is a block.
func TestForgedClaims(t *testing.T) {
	r := newRig(t, func(c *Config) { c.InflightSession, c.JobShares = 2, 6; c.Loops = 1 })
	r.offer(false)
	r.verifier.set(validator.RejectBadHash, false)
	liar, other := r.dial(), r.dial()
	liar.login(r, "")
	other.login(r, "")
	liar.submit(0, 10_000)
	liar.refused(stratum.Text(validator.RejectBadHash)) // no claim, no lie
	liar.submit(1, block)
	liar.refused(stratum.Text(validator.RejectBadHash))

	// No priority, and no room beyond the session's own.
	r.verifier.set(validator.Accepted, true)
	liar.submit(2, block)
	liar.submit(3, block)
	liar.submit(4, block)
	liar.refused(throttled)
	other.submit(0, block)
	r.eventually("three held", func() bool { return len(r.verifier.priorities()) == 3 })
	if got := r.verifier.priorities(); !slices.Equal(got, []bool{false, false, true}) {
		t.Fatalf("priorities %v", got)
	}
	r.verifier.release(validator.Accepted)
	liar.accepted()
	liar.accepted()
	other.accepted()
	if n := r.books.blocks(); n != 3 {
		t.Fatalf("%d blocks found", n)
	}
	// Nor places in a job that is full, nor in one that is stale.
	liar.submit(5, block)
	liar.accepted()
	liar.submit(6, block)
	liar.accepted()
	liar.submit(7, block)
	liar.refused(stratum.Text(validator.ShedJobFull))
	r.offer(false)
	liar.submit(8, block)
	liar.refused("Block expired")
	other.submit(8, block)
	other.accepted()
	r.balanced()
}

// TestPriorityOfTheFirstFew: claims past the first few in flight wait with
// everybody else's shares, and are found all the same.
func TestPriorityOfTheFirstFew(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	c.prove()
	r.verifier.set(validator.Accepted, true)
	for n := range uint32(candidateRoom + 2) {
		c.submit(n, block)
	}
	r.eventually("all held", func() bool { return len(r.verifier.priorities()) == candidateRoom+2 })
	for n, priority := range r.verifier.priorities() {
		if priority != (n < candidateRoom) {
			t.Errorf("claim %d: priority %v", n, priority)
		}
	}
	r.verifier.release(validator.Accepted)
	for range candidateRoom + 2 {
		c.accepted()
	}
	// They are judged, so there is room again.
	r.verifier.set(validator.Accepted, true)
	c.submit(100, block)
	r.eventually("one held", func() bool { return slices.Equal(r.verifier.priorities(), []bool{true}) })
	r.verifier.release(validator.Accepted)
	c.accepted()
	if n := r.books.blocks(); n != candidateRoom+3 {
		t.Fatalf("%d blocks found", n)
	}
	r.balanced()
}

// TestDrainEndsInSpiteOfClaims: a miner whose every share claims to be a block
// cannot keep a node from stopping.
func TestDrainEndsInSpiteOfClaims(t *testing.T) {
	tests := []struct {
		name    string
		verdict validator.Verdict
		taken   int
	}{
		{"blocks", validator.Accepted, candidateRoom},
		{"claims that are shed", validator.ShedQueueFull, candidateRoom},
		{"forged claims", validator.RejectBadHash, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.offer(false)
			c := r.dial()
			c.login(r, "")
			// One share in flight keeps Drain waiting meanwhile.
			r.verifier.set(tt.verdict, true)
			c.submit(0, 10_000)
			r.eventually("one held", func() bool { return r.verifier.count() == 1 })
			drained := make(chan error, 1)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			go func() { drained <- r.server.Drain(ctx) }()
			r.eventually("draining", r.server.draining.Load)
			held := r.verifier.take()
			for n := range uint32(3 * candidateRoom) {
				c.submit(n+1, block)
				a := c.answer()
				want := stratum.Text(tt.verdict)
				if int(n) >= tt.taken {
					want = stratum.Text(validator.ShedShutdown)
				}
				switch {
				case a.Error == nil && tt.verdict == validator.Accepted && int(n) < tt.taken:
				case a.Error == nil || a.Error.Message != want:
					t.Fatalf("claim %d: %s, want %q", n, a.line, want)
				}
			}
			if n := r.verifier.count(); n != 1+tt.taken {
				t.Errorf("%d shares were taken, want %d", n, 1+tt.taken)
			}
			for _, s := range held {
				judge(s, validator.Accepted)
			}
			c.accepted()
			if err := <-drained; err != nil {
				t.Fatal(err)
			}
			r.balanced()
		})
	}
}

// TestReplayedBlock: while no credit is taken a proven block's miner is told to
// try again, and its nonce is a duplicate all the same: it would be hashed, found
// and submitted each time. Shares that claim no block are not hashed at all, and
// may come again once there is room.
func TestReplayedBlock(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	r.books.set(true, false)
	c.submit(1, block)
	c.refused(stratum.Text(validator.ShedLedger))
	for range 3 {
		c.submit(1, block)
		c.refused("Duplicate share")
	}
	c.submit(2, 10_000)
	c.refused(stratum.Text(validator.ShedLedger))
	if hashed, found := r.verifier.count(), r.books.blocks(); hashed != 1 || found != 1 {
		t.Errorf("%d shares were hashed, %d blocks found; want one of each", hashed, found)
	}
	r.books.set(false, false)
	c.submit(1, block)
	c.refused("Duplicate share")
	c.submit(2, 10_000)
	c.accepted()
	r.balanced()
}
