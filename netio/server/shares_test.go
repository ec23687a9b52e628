package server

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
)

const throttled = "Throttled down share submission (please increase difficulty)"

func TestSharesRefused(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxFaults = 100 })
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	good := claimHex(10_000)
	job := c.job.JobID

	tests := []struct{ name, job, nonce, result, want string }{
		{"short nonce", job, "0000000", good, "Malformed nonce"},
		{"long nonce", job, "000000000", good, "Malformed nonce"},
		{"nonce with 0x", job, "0x000000", good, "Malformed nonce"},
		{"nonce not hex", job, "0000000g", good, "Malformed nonce"},
		{"empty nonce", job, "", good, "Malformed nonce"},
		{"short result", job, "00000001", good[:62], "Malformed result"},
		{"long result", job, "00000001", good + "00", "Malformed result"},
		{"result not hex", job, "00000001", strings.Repeat("z", 64), "Malformed result"},
		{"low difficulty", job, "00000001", strings.Repeat("ff", 32), "Low difficulty share"},
		{"low difficulty again", job, "00000001", strings.Repeat("ff", 32), "Low difficulty share"},
		{"job of nobody", "ffffffffffffffff", "00000001", good, "Unknown job"},
		{"job of the future", job[:8] + "00000009", "00000001", good, "Unknown job"},
		{"job without sense", "x", "00000001", good, "Unknown job"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			c.submitJob(tt.job, tt.nonce, tt.result)
			if a := c.refused(tt.want); string(a.ID) != `"s"` {
				t.Fatalf("id %s", a.ID)
			}
		})
	}
	c.t = t
	c.send(`{"id":1,"method":"submit","params":{"job_id":"%s","nonce":5,"result":"%s"}}`, job, good)
	c.refused("Malformed share")

	// One nonce counts once, in whatever case it is written.
	c.submitJob(job, "0000000a", good)
	c.accepted()
	for _, nonce := range []string{"0000000a", "0000000A"} {
		c.submitJob(job, nonce, strings.ToUpper(good))
		c.refused("Duplicate share")
	}

	// A session may not name another's id, and may name none.
	other := r.dial()
	other.login(r, "")
	c.send(`{"id":1,"method":"submit","params":{"id":"%s","job_id":"%s","nonce":"00000010","result":"%s"}}`, other.id, job, good)
	c.refused("Unauthenticated")
	c.send(`{"id":1,"method":"submit","params":{"job_id":"%s","nonce":"00000010","result":"%s"}}`, job, good)
	c.accepted()
	other.submitJob(job, "00000011", good) // another session's job is none of its own
	other.refused("Unknown job")

	if n := r.verifier.count(); n != 2 {
		t.Fatalf("%d shares were hashed, 2 were worth it", n)
	}
	r.balanced()
}

func TestUnknownJobsEndASession(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	for range unknownJobLimit + 1 {
		c.submitJob("ffffffffffffffff", "00000000", claimHex(10_000))
		c.refused("Unknown job")
	}
	c.closed()
	r.balanced()
}

// TestStale: a job whose template was replaced is refused as stale, which is
// not "Invalid job id"; a block on it is still a block while the template is
// kept (I6), and a job pushed out of the window is stale too (I5: each share is
// judged by the job it names).
func TestStale(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	first := c.job.JobID
	r.offer(false)
	if j := c.next(); j.Method != "job" || c.job.JobID == first {
		t.Fatalf("no new job: %s", j.line)
	}
	c.submitJob(first, "00000001", claimHex(10_000))
	c.refused("Block expired")
	c.submitJob(first, "00000002", claimHex(networkDifficulty*2))
	c.accepted()
	r.books.mu.Lock()
	if r.books.found != 1 {
		t.Errorf("%d blocks", r.books.found)
	}
	r.books.mu.Unlock()
	// Four more templates and the board has forgotten the first; twelve more and
	// the session's window of eight jobs has too.
	for n, nonce := range []string{"00000003", "00000004"} {
		for range 4 + 4*n {
			r.offer(false)
			c.next()
		}
		c.submitJob(first, nonce, claimHex(networkDifficulty*2))
		c.refused("Block expired")
	}
	c.submitJob(first, "00000003", claimHex(networkDifficulty*2))
	c.refused("Block expired")
	c.submit(1, 10_000)
	c.accepted()
	r.balanced()
}

// TestRefreshKeepsWork: a template with the same parent makes nobody's work
// stale.
func TestRefreshKeepsWork(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	first := c.job.JobID
	r.offer(true)
	c.next()
	if c.job.JobID == first {
		t.Fatal("no new job")
	}
	c.submitJob(first, "00000001", claimHex(10_000))
	c.accepted()
}

func TestBudgets(t *testing.T) {
	t.Run("session", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.InflightSession = 3 })
		r.offer(false)
		r.verifier.set(validator.Accepted, true)
		c := r.dial()
		c.login(r, "")
		for n := range uint32(3) {
			c.submit(n, 10_000)
		}
		c.submit(3, 10_000)
		c.refused(throttled)
		c.submit(4, networkDifficulty*2) // a block is not throttled
		r.eventually("four held", func() bool { return r.verifier.count() == 4 })
		if n := r.verifier.release(validator.Accepted); n != 4 {
			t.Fatalf("%d released", n)
		}
		for range 4 {
			c.accepted()
		}
		c.submit(3, 10_000) // what was shed may come again
		c.accepted()
		r.balanced()
	})
	t.Run("loop", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.InflightLoop, c.Loops = 2, 1 })
		r.offer(false)
		r.verifier.set(validator.Accepted, true)
		a, b := r.dial(), r.dial()
		a.login(r, "")
		b.login(r, "")
		a.submit(0, 10_000)
		r.eventually("one held", func() bool { return r.verifier.count() == 1 })
		b.submit(0, 10_000)
		r.eventually("two held", func() bool { return r.verifier.count() == 2 })
		a.submit(1, 10_000)
		a.refused(throttled)
		r.verifier.release(validator.Accepted)
		a.accepted()
		b.accepted()
		r.balanced()
	})
	t.Run("job", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.JobShares = 5 })
		r.offer(false)
		c := r.dial()
		c.login(r, "")
		for n := range uint32(5) {
			c.submit(n, 10_000)
			c.accepted()
		}
		c.submit(5, 10_000)
		c.refused(stratum.Text(validator.ShedJobFull))
		r.offer(false)
		c.next()
		c.submit(5, 10_000)
		c.accepted()
		r.balanced()
	})
}

func TestEveryVerdictReachesTheMiner(t *testing.T) {
	r := newRig(t, nil)
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	for v := validator.RejectBadHash; v < validator.Verdicts; v++ {
		t.Run(v.String(), func(t *testing.T) {
			c.t = t
			r.verifier.set(v, false)
			c.submit(uint32(v), 10_000)
			c.refused(stratum.Text(v))
			r.verifier.set(validator.Accepted, false)
			c.submit(uint32(v), 10_000)
			if v.Shed() {
				c.accepted() // what was shed may be sent again
			} else {
				c.refused("Duplicate share")
			}
		})
	}
	r.balanced()
}

// TestClosedSession: verdicts on shares of a miner that has gone are counted,
// and the shares are reused for others without mixing them up.
func TestClosedSession(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Loops = 1 })
	r.offer(false)
	gone := r.dial()
	gone.login(r, "")
	gone.prove()
	r.verifier.set(validator.Accepted, true)
	for n := range uint32(10) {
		gone.submit(n, 10_000)
	}
	r.eventually("ten held", func() bool { return r.verifier.count() == 1+10 })
	_ = gone.conn.Close()
	r.eventually("the session is gone", func() bool { return r.metric("assay_sessions") == 0 })
	r.verifier.release(validator.Accepted)
	r.balanced()
	c := r.dial()
	c.login(r, "")
	for n := range uint32(10) {
		c.submit(n, 10_000)
		c.accepted()
	}
	if n := r.metric("assay_shares_total", "class=accepted"); n != 1+20 {
		t.Fatalf("%v accepted", n)
	}
	if n := r.metric("assay_handler_panics_total"); n != 0 {
		t.Fatalf("%v panics", n)
	}
	r.balanced()
}

// TestManyMiners lets miners on several loops submit at once while verdicts come
// from another thread, templates change and connections end; afterwards the
// books balance.
func TestManyMiners(t *testing.T) {
	r := newRig(t, func(c *Config) { c.InflightSession = 1000 })
	r.offer(false)
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = r.dial()
		clients[i].login(r, "")
		clients[i].prove()
	}
	stop := make(chan struct{})
	var judges sync.WaitGroup
	judges.Add(1)
	go func() {
		defer judges.Done()
		for {
			select {
			case <-stop:
				return
			default:
				r.verifier.release(validator.Accepted)
				r.verifier.set(validator.Accepted, true)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	var miners sync.WaitGroup
	for i, c := range clients {
		miners.Add(1)
		go func() {
			defer miners.Done()
			for n := range uint32(50) {
				c.submit(n, 10_000)
			}
			if i%4 == 0 {
				_ = c.conn.Close() // with shares in flight
				return
			}
			for range 50 {
				if a, err := readAnswer(c); err != nil {
					t.Errorf("miner %d: %v", i, err)
					return
				} else if a.Result == nil && (a.Error == nil || a.Error.Message != "Block expired") {
					t.Errorf("miner %d: %s", i, a.line)
				}
			}
		}()
	}
	for range 5 {
		r.offer(false)
	}
	miners.Wait()
	close(stop)
	judges.Wait()
	r.verifier.release(validator.Accepted)
	r.balanced()
}

// readAnswer is client.answer for goroutines that may not end the test.
func readAnswer(c *client) (reply, error) {
	for {
		if a, err := c.read(); err != nil || a.Method == "" {
			return a, err
		}
	}
}

func TestVardiffOverTheWire(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Ports[0].FixedDifficulty = false
	})
	r.offer(false)
	c := r.dial()
	c.login(r, "")
	old := c.job
	for n := range uint32(flood) {
		c.submitJob(old.JobID, "0000000"+string("0123456789"[n]), claimHex(10_000))
		c.accepted()
	}
	if j := c.next(); j.Method != "job" || c.job.JobID == old.JobID || c.job.Blob == old.Blob || c.job.Target != "ae470100" && c.job.Target == old.Target {
		t.Fatalf("no harder job: %s", j.line)
	}
	// The old job's shares are still worth the old difficulty (I5).
	c.submitJob(old.JobID, "00000009", claimHex(10_000))
	c.accepted()
	c.submit(9, 10_000)
	c.refused("Low difficulty share")
	c.submit(9, 40_000)
	c.accepted()
	r.books.mu.Lock()
	defer r.books.mu.Unlock()
	if got := r.books.credited[r.recorded.Addresses[0].Address+"."+stratum.DefaultWorker]; got != 9*10_000+40_000 {
		t.Fatalf("credited %d", got)
	}
}

// TestJobsAreNeverHarderThanBlocks: with a network difficulty below the port's,
// a miner must not be told to throw blocks away.
func TestJobsAreNeverHarderThanBlocks(t *testing.T) {
	r := newRig(t, nil)
	if err := offerTo(r.pool, &r.recorded, &r.offers, false, 1000); err != nil {
		t.Fatal(err)
	}
	c := r.dial()
	c.login(r, "+5000000")
	if c.job.Target != "37894100" {
		t.Fatalf("target %s", c.job.Target)
	}
	c.submit(1, 1000)
	c.accepted()
}
