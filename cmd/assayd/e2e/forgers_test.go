package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/assay-pool/assay/bench/xmrig"
)

const (
	honestHost  = "127.0.0.2"
	forgingHost = "127.0.0.3"

	honestSessions  = 8
	honestLoad      = 0.2 // of what the node hashes
	forgingSessions = 80
	// forgingRate is one forging session's shares a second: 80 of them send
	// twenty times what the node hashes, and leave this process and the node's
	// event loop room on two cores, so that it is the queue that is measured.
	forgingRate = 10
)

// ready is an honest session with shares it has found in advance, so that the
// miners' hashing takes nothing from the node while it is measured.
type ready struct {
	*client
	job    *xmrig.Job
	first  time.Duration // its first share's answer took so long
	shares []found
}

type found struct {
	nonce  [4]byte
	result [32]byte
}

// prepare logs an honest session in and has its first share accepted.
func prepare(t *testing.T, addr string, i int) *ready {
	t.Helper()
	c := connect(t, xmrig.Config{Addr: addr, Login: fmt.Sprintf("%s.rig%d", walletA, i), Local: honestHost})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	job, err := c.Login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := &ready{client: c, job: job}
	nonce, result := c.find(job, true)
	r.first = c.timed(job, nonce, result)
	return r
}

// prepare finds shares.
func (r *ready) prepare(shares int) {
	r.t.Helper()
	for range shares {
		nonce, result := r.find(r.job, true)
		r.shares = append(r.shares, found{nonce, result})
	}
}

// newcomer logs a new honest miner in, finds a share and has it accepted; it
// returns the answer's time. It runs beside the test.
func newcomer(addr string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := xmrig.Dial(ctx, xmrig.Config{Addr: addr, Login: walletA + ".new", Local: honestHost})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	hasher, err := hashers.NewHasher()
	if err != nil {
		return 0, err
	}
	defer hasher.Close()
	job, err := c.Login(ctx)
	if err != nil {
		return 0, err
	}
	var result [32]byte // of nonce 0: at difficulty 1 every hash is a share
	if err := hasher.Hash(job.Algo, job.Seed, job.Height, job.Blob, []uint32{uint32(len(job.Blob))}, result[:]); err != nil {
		return 0, err
	}
	sent := time.Now()
	err = c.Submit(ctx, job, [4]byte{}, result)
	return time.Since(sent), err
}

// answers is what became of honest shares.
type answers struct {
	took    latencies
	refused int
	text    string // one of the refusals
}

func (a *answers) add(b answers) {
	a.took, a.refused = append(a.took, b.took...), a.refused+b.refused
	if b.text != "" {
		a.text = b.text
	}
}

// arrive sends count shares of each session at random moments of the time
// given, whether or not earlier ones are answered.
func arrive(sessions []*ready, count int, over time.Duration) (all answers) {
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	began := time.Now()
	for _, r := range sessions {
		for range count {
			s := r.shares[0]
			r.shares = r.shares[1:]
			at := rand.N(over)
			wg.Go(func() {
				time.Sleep(time.Until(began.Add(at))) // the arrivals are what is measured
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				sent := time.Now()
				err := r.Submit(ctx, r.job, s.nonce, s.result)
				took := time.Since(sent)
				mu.Lock()
				defer mu.Unlock()
				all.took = append(all.took, took)
				if err != nil {
					all.refused, all.text = all.refused+1, err.Error()
				}
			})
		}
	}
	wg.Wait()
	return all
}

func (l latencies) at(percent int) time.Duration {
	slices.Sort(l)
	return l[min(len(l)*percent/100, len(l)-1)]
}

func (a *answers) String() string {
	r := func(percent int) time.Duration { return a.took.at(percent).Round(time.Millisecond) }
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d shares, %d refused %s", r(50), r(99), r(100), len(a.took), a.refused, a.text)
}

// TestForgersDoNotStopANode: 80 sessions of one host forge, and claim blocks as
// well, while honest miners of another host send; in turns with the same load
// without forgers, so that the rest of the machine is in all of them alike. With
// ASSAY_LONG_TESTS=1 it is a measurement, for an idle machine: no honest share
// is refused and the honest 99th percentile at most doubles. Else it holds the
// node to what shows on a busy machine too.
func TestForgersDoNotStopANode(t *testing.T) {
	rounds, over := 2, 5*time.Second
	measure := os.Getenv("ASSAY_LONG_TESTS") != ""
	if measure {
		rounds, over = 6, 20*time.Second
	}
	n := startNode(t, "--daemon", newFake(t, noBlocks).URL, "--listen", "127.0.0.1:0,diff=1",
		"--template-renew", "1h", "--template-max-age", "24h")
	sessions := make([]*ready, honestSessions)
	var one latencies
	for i := range sessions {
		sessions[i] = prepare(t, n.ports[0], i)
		one = append(one, sessions[i].first)
	}
	count := max(int(honestLoad*float64(over)/float64(one.at(50)))/honestSessions, 1)
	for _, r := range sessions {
		r.prepare(3 * rounds * count)
	}
	t.Logf("%d honest sessions, %d shares each in %v; a share alone takes %v", honestSessions, count, over, one.at(50).Round(time.Millisecond))
	var alone, forged, claimed answers
	for range rounds {
		alone.add(arrive(sessions, count, over))
		forged.add(n.underAttack(false, func() answers { return arrive(sessions, count, over) }))
		claimed.add(n.underAttack(true, func() answers { return arrive(sessions, count, over) }))
	}
	t.Logf("honest miners alone:        %v", &alone)
	for name, a := range map[string]*answers{"80 forging sessions:       ": &forged, "80 that claim blocks:      ": &claimed} {
		t.Logf("%s %v; p99 %.2f times", name, a, float64(a.took.at(99))/float64(alone.took.at(99)))
		switch {
		case measure && (a.refused != 0 || a.took.at(99) > 2*alone.took.at(99)):
			t.Errorf("%s refused %d, p99 %v beside %v alone", name, a.refused, a.took.at(99), alone.took.at(99))
		case a.refused > len(a.took)/5+alone.refused:
			t.Errorf("%s %d of %d honest shares were refused: %s", name, a.refused, len(a.took), a.text)
		}
	}
	n.checkI1()
	n.stop()
}

// underAttack measures while forgers are at work. They must have had wrong
// hashes and been closed for them, and a miner who comes new is served.
func (n *node) underAttack(claims bool, measure func() answers) answers {
	t := n.t
	t.Helper()
	before := n.metrics()
	f := forgery{sessions: forgingSessions, host: forgingHost, every: time.Second / forgingRate, claims: claims}.begin(n.t, n.ports[0])
	n.wait("the forgers to be at work", func() error {
		if f.begun.Load() < forgingSessions {
			return fmt.Errorf("%d sessions", f.begun.Load())
		}
		return nil
	})
	var (
		first    time.Duration
		firstErr error
		beside   sync.WaitGroup
	)
	beside.Go(func() { first, firstErr = newcomer(n.ports[0]) })
	under := measure()
	beside.Wait()
	n.wait("forgers to be closed", func() error {
		if n.metrics().Sum("assay_connections_closed_total", "reason", "wrong_hashes") == before.Sum("assay_connections_closed_total", "reason", "wrong_hashes") {
			return errors.New("none is")
		}
		return nil
	})
	f.stop()
	after := n.metrics()
	counted := func(metric, label, value string) float64 {
		return after.Sum(metric, label, value) - before.Sum(metric, label, value)
	}
	t.Logf("claims %v: a newcomer's first share %v (%v); %d forged shares in %d sessions, %.0f hashed, %.0f sessions closed for them",
		claims, first.Round(time.Millisecond), firstErr, f.sent.Load(), f.begun.Load(),
		counted("assay_shares_total", "verdict", "bad_hash"), counted("assay_connections_closed_total", "reason", "wrong_hashes"))
	return under
}
