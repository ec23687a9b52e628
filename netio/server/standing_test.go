package server

import (
	"net/netip"
	"testing"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/verify"
)

// TestUnprovenHasFewInFlight: before its first accepted share a session may ask
// for a few hashes at once, whatever it claims; afterwards for as many as it is
// configured.
func TestUnprovenHasFewInFlight(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	r.verifier.set(validator.Accepted, true)
	c := r.dial()
	c.login(r, "")
	for n := range uint32(unprovenInflight) {
		c.submit(n, 10_000)
	}
	c.submit(10, 10_000)
	c.refused(throttled)
	// A claim to be a block has a place of its own, the next one has not.
	c.submit(11, block)
	c.submit(12, block)
	c.refused(throttled)
	r.eventually("a few held", func() bool { return r.verifier.count() == unprovenInflight+unprovenCandidates })
	r.verifier.release(validator.ShedEpoch)
	for range unprovenInflight + unprovenCandidates {
		c.refused(stratum.Text(validator.ShedEpoch))
	}
	// Nor has it priority: it is a share like any other.
	r.verifier.set(validator.Accepted, true)
	c.submit(13, block)
	c.submit(14, block)
	r.eventually("two claims held", func() bool { return len(r.verifier.priorities()) == 2 })
	if got := r.verifier.priorities(); !got[0] || got[1] {
		t.Errorf("priorities %v, want that of the first alone", got)
	}
	r.verifier.release(validator.Accepted)
	c.accepted()
	c.accepted()
	// Proven now.
	r.verifier.set(validator.Accepted, true)
	for n := range uint32(DefaultInflightSession) {
		c.submit(100+n, 10_000)
	}
	c.submit(20, 10_000)
	c.refused(throttled)
	r.verifier.release(validator.Accepted)
	for range DefaultInflightSession {
		c.accepted()
	}
	r.balanced()
}

// TestWrongHashesEndASession: by how many wrong ones in how many shares.
func TestWrongHashesEndASession(t *testing.T) {
	const wrong, good, shed = validator.RejectBadHash, validator.Accepted, validator.ShedEpoch
	tests := []struct {
		name    string
		first   []validator.Verdict
		rounds  int
		repeat  []validator.Verdict
		stands  bool
		atLeast int // shares before the end
	}{
		{"a new session that forges", nil, 10, []validator.Verdict{wrong}, false, 2},
		{"one that has sent good ones", repeated(good, 50), 10, []validator.Verdict{wrong}, false, 50 + 5},
		{"one good share for one wrong", nil, 20, []validator.Verdict{good, wrong}, false, 6},
		{"a single fault", []validator.Verdict{wrong}, 50, []validator.Verdict{good}, true, 0},
		{"a farm of five rigs with a bad one", nil, 100, []validator.Verdict{wrong, good, good, good, good}, true, 0},
		{"a seed that is gone", nil, 50, []validator.Verdict{shed}, true, 0},
		{"a library that fails", nil, 50, []validator.Verdict{validator.ShedError}, true, 0},
		{"a full queue, and late", nil, 50, []validator.Verdict{validator.ShedQueueFull, validator.ShedDeadline}, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Loops = 1 })
			r.offer(false)
			c := r.dial()
			c.login(r, "")
			all := tt.first
			for range tt.rounds {
				all = append(all, tt.repeat...)
			}
			for n, v := range all {
				r.verifier.set(v, false)
				c.submit(uint32(n), 10_000)
				a := c.answer()
				if a.Error != nil && a.Error.Message == stratum.TextWrongHashes {
					c.closed()
					if tt.stands || n < tt.atLeast {
						t.Errorf("closed at share %d", n)
					}
					if got := r.metric("assay_connections_closed_total", "reason=wrong_hashes"); got != 1 {
						t.Errorf("%v closes are counted", got)
					}
					r.balanced()
					return
				}
				if v == good && a.Error != nil || v != good && (a.Error == nil || a.Error.Message != stratum.Text(v)) {
					t.Fatalf("share %d, verdict %v: %s", n, v, a.line)
				}
			}
			if !tt.stands {
				t.Errorf("still there after %d shares", len(all))
			}
			r.balanced()
		})
	}
}

func repeated(v validator.Verdict, n int) []validator.Verdict {
	all := make([]validator.Verdict, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// TestClassesOfASession: how a share is served goes by what it claims and by what
// its session has proven.
func TestClassesOfASession(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	nonce := uint32(0)
	for _, want := range [][2]verify.Class{
		{verify.ClassUnproven, verify.ClassUnprovenCandidate},
		{verify.ClassShare, verify.ClassCandidate},
	} {
		r.verifier.set(validator.Accepted, true)
		c.submit(nonce, 10_000)
		c.submit(nonce+1, block)
		nonce += 2
		r.eventually("two held", func() bool { return len(r.verifier.priorities()) == 2 })
		held := r.verifier.take()
		for i, task := range held {
			if task.Class != want[i] {
				t.Errorf("share %d of a session is of class %d, want %d", i, task.Class, want[i])
			}
		}
		for _, task := range held {
			judge(task, validator.Accepted)
			c.accepted()
		}
	}
	r.balanced()
}

// TestSharesTellTheirSender: the queue goes by the miner's address.
func TestSharesTellTheirSender(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	r.verifier.set(validator.Accepted, true)
	c := r.dial()
	c.login(r, "")
	c.submit(1, 10_000)
	r.eventually("one held", func() bool { return r.verifier.count() == 1 })
	held := r.verifier.take()
	if held[0].From != netip.MustParseAddr("127.0.0.1") || held[0].Wallet == "" {
		t.Errorf("a share from %v of %q", held[0].From, held[0].Wallet)
	}
	judge(held[0], validator.Accepted)
	c.accepted()
}
