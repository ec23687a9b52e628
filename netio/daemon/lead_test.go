package daemon_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// looks waits until all daemons have been polled some times more: far beyond LagGrace.
func looks(t *testing.T, fakes ...*daemontest.Fake) {
	t.Helper()
	until := make([]int, len(fakes))
	for i, f := range fakes {
		until[i] = f.Calls("get_info") + 20
	}
	eventually(t, "many polls", func() bool {
		for i, f := range fakes {
			if f.Calls("get_info") < until[i] {
				return false
			}
		}
		return true
	})
}

// A daemon's word that its chain is longer displaces nobody, wherever it stands in the order.
func TestHeightWithoutABlockIsNotBelieved(t *testing.T) {
	for _, lie := range []uint64{2, 1000} {
		for place := range 2 {
			t.Run(map[int]string{0: "liar first", 1: "liar second"}[place], func(t *testing.T) {
				honest := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
				liar := daemontest.NewFake(t, daemontest.FakeOptions{})
				liar.Join(honest)
				liar.Claim(300+lie, daemontest.RandomID())
				both := []daemon.Endpoint{fakeEndpoint(honest), fakeEndpoint(liar)}
				if place == 0 {
					both[0], both[1] = both[1], both[0]
				}
				reg := prometheus.NewRegistry()
				cfg := fastConfig(honest.Wallet, both...)
				cfg.Registerer, cfg.StuckAfter = reg, 10*time.Millisecond
				f := follow(t, cfg, nil)
				f.wait("template of the honest one", func(t *daemon.Template) bool { return t.Daemon == host(honest.URL) })
				eventually(t, "the liar is named", func() bool {
					s := f.Status()[place]
					return !s.Healthy && strings.Contains(s.Reason, "cannot show the block")
				})
				before := counted(t, reg, "assay_daemon_failovers_total", nil)
				looks(t, honest, liar)
				s := f.Status()
				if !s[1-place].Active || !s[1-place].Healthy {
					t.Errorf("the honest one: %+v", s[1-place])
				}
				if n := counted(t, reg, "assay_daemon_failovers_total", nil); n != before {
					t.Errorf("%v changes of the daemon while one lied", n-before)
				}
				// The honest one's blocks are followed all the while.
				honest.Extend(1)
				f.waitHeight(301)
				// A liar that stops lying is used again.
				liar.Join(honest)
				liar.Claim(0, [32]byte{})
				eventually(t, "both are well", func() bool { s := f.Status(); return s[0].Active && s[0].Healthy && s[1].Healthy })
			})
		}
	}
}

// A daemon that has a longer chain of its own, block by block, is on a fork: of two neither can be
// told right and the order decides, three have a majority.
func TestOtherChain(t *testing.T) {
	t.Run("two", func(t *testing.T) {
		a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
		other := daemontest.NewFake(t, daemontest.FakeOptions{Height: 290})
		other.Extend(20)
		f := follow(t, fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(other)), nil)
		f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
		looks(t, a, other)
		a.Extend(1)
		f.wait("the first one's next block", func(t *daemon.Template) bool { return t.Height == 301 })
		looks(t, a, other)
		if s := f.Status(); !s[0].Active || !s[0].Healthy {
			t.Errorf("displaced by a fork: %+v", s)
		}
	})
	t.Run("two, and the first is stuck", func(t *testing.T) {
		a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
		other := daemontest.NewFake(t, daemontest.FakeOptions{Height: 290})
		other.Extend(20)
		cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(other))
		cfg.StuckAfter = 100 * time.Millisecond
		f := follow(t, cfg, nil)
		f.wait("template of the second", func(t *daemon.Template) bool { return t.Daemon == host(other.URL) && t.Height == 310 })
	})
	t.Run("three, the liar first", func(t *testing.T) {
		a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
		b := daemontest.NewFake(t, daemontest.FakeOptions{})
		b.Join(a)
		other := daemontest.NewFake(t, daemontest.FakeOptions{Height: 290})
		other.Extend(20)
		cfg := fastConfig(a.Wallet, fakeEndpoint(other), fakeEndpoint(a), fakeEndpoint(b))
		f := follow(t, cfg, nil)
		eventually(t, "the majority's daemon is used", func() bool { s := f.Status(); return s[1].Active && !s[0].Healthy })
		eventually(t, "why the liar is not", func() bool { return strings.Contains(f.Status()[0].Reason, "on another chain") })
		a.Extend(1)
		b.Join(a)
		f.wait("the majority's block", func(t *daemon.Template) bool { return t.Height == 301 && t.Daemon == host(a.URL) })
	})
}

// After a failover from a daemon that is not believed its template is not waited out.
func TestTemplateOfALiarIsNotWaitedOut(t *testing.T) {
	liar := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	honest := daemontest.NewFake(t, daemontest.FakeOptions{})
	honest.Join(liar)
	liar.Extend(5)
	cfg := fastConfig(liar.Wallet, fakeEndpoint(liar), fakeEndpoint(honest))
	cfg.LagGrace = time.Hour
	f := follow(t, cfg, nil)
	f.wait("the liar's template", func(t *daemon.Template) bool { return t.Height == 305 })
	liar.MutateTemplate(func(r map[string]any) { r["height"] = 0 })
	liar.Reorg() // its template is asked for, and is wrong
	f.wait("the honest one's template", func(t *daemon.Template) bool { return t.Height == 300 && t.Daemon == host(honest.URL) })
}

// A daemon of another network is refused by name, asked nothing, and given no block.
func TestWrongNetwork(t *testing.T) {
	foreign := daemontest.NewFake(t, daemontest.FakeOptions{Height: 5000, Network: "fakechain"})
	ours := daemontest.NewFake(t, daemontest.FakeOptions{Network: "mainnet"})
	var log logged
	cfg := fastConfig(ours.Wallet, fakeEndpoint(foreign), fakeEndpoint(ours))
	cfg.Coin, cfg.Network, cfg.Log = "monero", "mainnet", log.logger()
	f := follow(t, cfg, nil)
	tpl := f.waitHeight(100)
	eventually(t, "the first poll of the foreign daemon", func() bool { return f.Status()[0].LastError != nil })
	s := f.Status()[0]
	if s.Healthy || daemon.KindOf(s.LastError) != daemon.KindNetwork {
		t.Fatalf("status of the foreign daemon: %+v", s)
	}
	for _, word := range []string{"regtest", "--coin monero", "mainnet", "--daemon", host(foreign.URL)} {
		if !strings.Contains(s.Reason, word) || log.count(word) == 0 {
			t.Errorf("no %q in the reason %q or the log", word, s.Reason)
		}
	}
	id, block := solved(t, tpl, 1)
	if o := f.Submit(submitCx(t), id, block); !o.Accepted || len(o.Results) != 1 {
		t.Fatalf("outcome %+v", o)
	}
	if _, err := f.HeaderByHeight(submitCx(t), 4999); err == nil {
		t.Error("a block of another network was found")
	}
	if n := foreign.Calls("submit_block") + foreign.Calls("get_block_template") + foreign.Calls("get_block_header_by_height"); n != 0 {
		t.Errorf("%d calls to the foreign daemon", n)
	}
	foreign.Join(ours)
	foreign.SetNetwork("mainnet") // started anew as it should be
	eventually(t, "the first is used", func() bool { return f.Status()[0].Active })
}
