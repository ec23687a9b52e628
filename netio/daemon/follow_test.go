package daemon_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
	"github.com/assay-pool/assay/validator/blob"
)

func TestTemplatesFollowTheChain(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{Height: 200, Difficulty: 12345, Txs: 3, SeedHeight: 64})
	f := follow(t, fastConfig(fake.Wallet, fakeEndpoint(fake)), nil)

	first := f.waitHeight(200)
	if first.Difficulty != blob.FromUint64(12345) || first.Prev != fake.Tip() || first.SeedHeight != 64 ||
		first.NextSeed != ([32]byte{}) || first.Daemon != host(fake.URL) || first.ExpectedReward != 600000000000 {
		t.Fatalf("template %+v", first)
	}
	parsed, err := blob.Parse(blob.CryptoNote, first.Blob, 16)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.ReservedOffset != first.ReservedOffset || parsed.Height != 200 || parsed.Prev != first.Prev || parsed.TxCount != 3 {
		t.Fatalf("parsed %+v", parsed)
	}
	if got := string(parsed.AppendHashing(nil, make([]byte, 16))); got != string(first.HashingBlob) {
		t.Fatal("hashing blob of the parser and of the builder differ")
	}

	// Nothing changes: many polls, no second announcement.
	polls := fake.Calls("get_info")
	eventually(t, "twenty polls", func() bool { return fake.Calls("get_info") > polls+20 })
	if n := f.count(); n != 1 {
		t.Fatalf("%d announcements of one template", n)
	}
	if n := fake.Calls("get_block_template"); n != 1 {
		t.Errorf("%d templates fetched without a reason", n)
	}

	fake.Extend(1)
	f.waitHeight(201)
	fake.Reorg() // same height, other parent
	tip := fake.Tip()
	if got := f.wait("reorganised template", func(t *daemon.Template) bool { return t.Prev == tip }); got.Height != 201 {
		t.Fatalf("height %d after a reorganisation", got.Height)
	}
	seed, next := daemontest.RandomID(), daemontest.RandomID()
	fake.SetSeeds(seed, next, 128)
	fake.Extend(1)
	if got := f.waitHeight(202); got.Seed != seed || got.NextSeed != next || got.SeedHeight != 128 {
		t.Fatal("seeds did not come through")
	}
}

func TestRefresh(t *testing.T) {
	t.Run("more transactions pay", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 1})
		f := follow(t, fastConfig(fake.Wallet, fakeEndpoint(fake)), nil)
		first := f.waitHeight(100)
		fake.SetTxs(4)
		f.wait("template with the new transactions", func(t *daemon.Template) bool { return len(t.Blob) == len(first.Blob)+3*32 })
	})
	t.Run("not before its time", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 1})
		cfg := fastConfig(fake.Wallet, fakeEndpoint(fake))
		cfg.TxRefresh = time.Hour
		f := follow(t, cfg, nil)
		f.waitHeight(100)
		fake.SetTxs(9)
		polls := fake.Calls("get_info")
		eventually(t, "more polls", func() bool { return fake.Calls("get_info") > polls+10 })
		if n := fake.Calls("get_block_template"); n != 1 {
			t.Fatalf("%d fetches within --template-refresh", n)
		}
	})
	t.Run("by age", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{})
		cfg := fastConfig(fake.Wallet, fakeEndpoint(fake))
		cfg.MaxAge = 50 * time.Millisecond
		f := follow(t, cfg, nil)
		f.waitHeight(100)
		fake.SetTxs(0) // moves the timestamp only
		f.wait("template with a new timestamp", func(*daemon.Template) bool { return f.count() >= 2 })
	})
}

func TestFailover(t *testing.T) {
	for name, fault := range map[string]struct{ break_, mend func(*daemontest.Fake) }{
		"down":       {(*daemontest.Fake).Down, (*daemontest.Fake).Up},
		"busy":       {func(f *daemontest.Fake) { f.SetBusy(true); f.Extend(1) }, func(f *daemontest.Fake) { f.SetBusy(false) }},
		"not synced": {func(f *daemontest.Fake) { f.SetSynced(false) }, func(f *daemontest.Fake) { f.SetSynced(true) }},
		"http 500":   {func(f *daemontest.Fake) { f.SetHTTPStatus(500) }, func(f *daemontest.Fake) { f.SetHTTPStatus(0) }},
		"garbage": {func(f *daemontest.Fake) { f.SetReply("get_info", "{") },
			func(f *daemontest.Fake) { f.SetReply("get_info", "") }},
	} {
		t.Run(name, func(t *testing.T) {
			a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
			b := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
			reg := prometheus.NewRegistry()
			cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
			cfg.Registerer = reg
			f := follow(t, cfg, nil)
			from := func(d *daemontest.Fake) func(*daemon.Template) bool {
				return func(t *daemon.Template) bool { return t.Daemon == host(d.URL) }
			}
			f.wait("template of the first", from(a))
			fault.break_(a)
			eventually(t, "the second is chosen", func() bool { return f.Status()[1].Active })
			b.Extend(1)
			f.wait("template of the second", from(b))
			if s := f.Status()[0]; s.Healthy || s.Reason == "" {
				t.Errorf("status of the broken daemon: %+v", s)
			}
			fault.mend(a)
			a.SetHeight(b.Height() + 1)
			f.wait("template of the first again", from(a))
			if n := testutil.CollectAndCount(reg, "assay_daemon_up"); n != 2 {
				t.Errorf("%d assay_daemon_up series", n)
			}
		})
	}
}

func TestLaggingDaemonIsLeft(t *testing.T) {
	a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	b := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	b.Join(a)
	f := follow(t, fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b)), nil)
	f.waitHeight(300)
	b.Extend(5)
	f.waitHeight(305)
	if s := f.Status()[0]; s.Healthy || !strings.Contains(s.Reason, "behind") {
		t.Errorf("status of the lagging daemon: %+v", s)
	}
	a.SetHeight(306)
	f.wait("the first again", func(t *daemon.Template) bool { return t.Height == 306 && t.Daemon == host(a.URL) })
}

// One daemon with an invented height must not draw the pool away from two that agree.
func TestOneLiarIsOutvoted(t *testing.T) {
	a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	b := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	liar := daemontest.NewFake(t, daemontest.FakeOptions{Height: 1 << 30})
	f := follow(t, fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b), fakeEndpoint(liar)), nil)
	f.wait("the first daemon", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
	// Long beyond LagGrace for all three.
	polls := liar.Calls("get_info")
	eventually(t, "many polls", func() bool { return liar.Calls("get_info") > polls+30 && a.Calls("get_info") > 30 })
	if s := f.Status(); !s[0].Active {
		t.Fatalf("the liar won: %+v", s)
	}
}

func TestRefusedTemplateFailsOver(t *testing.T) {
	a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	b := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	reg := prometheus.NewRegistry()
	cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
	cfg.Registerer = reg
	bad := host(a.URL)
	f := follow(t, cfg, func(t *daemon.Template) error {
		if t.Daemon == bad {
			return errRefused
		}
		return nil
	})
	f.wait("template of the second", func(t *daemon.Template) bool { return t.Daemon == host(b.URL) })
	eventually(t, "the first is left alone for its template", func() bool {
		s := f.Status()[0]
		return !s.Healthy && s.Reason != "" && daemon.KindOf(s.LastError) == daemon.KindRefused
	})
	f.mu.Lock()
	f.deny = nil
	f.mu.Unlock()
	a.Join(b)
	a.Extend(1)
	f.wait("template of the mended first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
}

// What is the node's own trouble (a cache that is not built, a question without an answer) must not
// cost the only daemon its place.
func TestOwnTroubleBlamesNoDaemon(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	reg := prometheus.NewRegistry()
	cfg := fastConfig(fake.Wallet, fakeEndpoint(fake))
	cfg.Registerer, cfg.RefuseBackoff, cfg.RefuseBackoffMax = reg, time.Hour, time.Hour
	left := 3
	f := follow(t, cfg, func(*daemon.Template) error {
		if left == 0 {
			return nil
		}
		left--
		return fmt.Errorf("wait for the cache: %w", context.DeadlineExceeded)
	})
	f.waitHeight(300)
	if s := f.Status()[0]; !s.Healthy || s.LastError != nil {
		t.Errorf("the daemon is blamed: %+v", s)
	}
	if n := counted(t, reg, "assay_daemon_templates_total", map[string]string{"result": "postponed"}); n != 3 {
		t.Errorf("%v templates counted as postponed, want 3", n)
	}
	if n := counted(t, reg, "assay_daemon_templates_total", map[string]string{"result": "refused"}); n != 0 {
		t.Errorf("%v templates counted as refused", n)
	}
}

// A daemon that stays one block behind is within LagBlocks, but not for ever.
func TestStuckDaemonIsLeft(t *testing.T) {
	a := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	b := daemontest.NewFake(t, daemontest.FakeOptions{Height: 300})
	b.Join(a)
	cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
	cfg.StuckAfter = 100 * time.Millisecond
	f := follow(t, cfg, nil)
	f.waitHeight(300) // of either, they are the same
	eventually(t, "the first is in use", func() bool { return f.Status()[0].Active })
	b.Extend(1)
	f.waitHeight(301)
	if s := f.Status()[0]; s.Healthy || !strings.Contains(s.Reason, "stuck at height 300") {
		t.Errorf("status of the stuck daemon: %+v", s)
	}
	a.SetHeight(301)
	f.wait("the first again", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
}

// An answer beyond MaxResponse is not read on, and the template before it stays.
func TestTooLargeAnswer(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{})
	cfg := fastConfig(fake.Wallet, fakeEndpoint(fake))
	cfg.MaxResponse = 64 << 10
	f := follow(t, cfg, nil)
	first := f.waitHeight(100)
	fake.SetReply("get_block_template", strings.Repeat(" ", 65<<10))
	fake.Extend(1)
	eventually(t, "too large", func() bool { return daemon.KindOf(f.Status()[0].LastError) == daemon.KindTooLarge })
	if f.Template() != first {
		t.Error("the template is gone")
	}
	fake.SetReply("get_block_template", "")
	f.waitHeight(101)
}

// Other transactions of the same number may pay more: the reward alone decides.
func TestRefreshByReward(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2, Reward: 600000000000})
	pub := daemontest.NewPublisher(t)
	f := follow(t, fastConfig(fake.Wallet, daemon.Endpoint{URL: fake.URL, ZMQ: pub.Addr}), nil)
	first := f.waitHeight(100)
	fake.SetReward(600000000001)
	eventually(t, "template that pays more", func() bool { pub.Tx(); return f.count() >= 2 })
	if last := f.Template(); last.ExpectedReward != 600000000001 || len(last.Blob) != len(first.Blob) {
		t.Errorf("template %+v", last)
	}
	fetched := fake.Calls("get_block_template")
	fake.SetReward(600000000000)
	eventually(t, "fetches of one that pays less", func() bool { pub.Tx(); return fake.Calls("get_block_template") >= fetched+2 })
	if n := f.count(); n != 2 {
		t.Errorf("%d announcements, the last one pays less", n)
	}
}

func TestNoticeBeatsPolling(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{})
	pub := daemontest.NewPublisher(t)
	cfg := fastConfig(fake.Wallet, daemon.Endpoint{URL: fake.URL, ZMQ: pub.Addr})
	cfg.PollInterval, cfg.HealthInterval = time.Hour, time.Hour
	f := follow(t, cfg, nil)
	f.waitHeight(100)
	// PUB drops messages until it has seen the subscription, so repeat the notice.
	notify := func(what string, ok func() bool) {
		t.Helper()
		eventually(t, what, func() bool { pub.Block(); return ok() })
	}
	fake.Extend(1)
	notify("template after the notice", func() bool { return f.count() >= 2 })
	fake.SetTxs(5)
	eventually(t, "template after a transaction", func() bool { pub.Tx(); return f.count() >= 3 })

	pub.Down()
	eventually(t, "feed lost", func() bool { return !f.Status()[0].Subscribed })
	pub.Up()
	eventually(t, "feed found again", func() bool { return f.Status()[0].Subscribed })
	n := f.count()
	fake.Extend(1)
	notify("template after the restart", func() bool { return f.count() > n })
}

func TestSlowDaemonTimesOut(t *testing.T) {
	a := daemontest.NewFake(t, daemontest.FakeOptions{})
	b := daemontest.NewFake(t, daemontest.FakeOptions{})
	cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
	cfg.RPCTimeout = 500 * time.Millisecond
	f := follow(t, cfg, nil)
	// Either may answer first at the start; the first one given is what it settles on.
	f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
	a.Hold()
	eventually(t, "failover", func() bool { return f.Status()[1].Active })
	if k := daemon.KindOf(f.Status()[0].LastError); k != daemon.KindTimeout {
		t.Errorf("kind %s", k)
	}
	a.Release()
	eventually(t, "return", func() bool { return f.Status()[0].Active })
}

// No daemon at all: the last template stays, its age grows, Status says why.
func TestAllDaemonsGone(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{})
	f := follow(t, fastConfig(fake.Wallet, fakeEndpoint(fake)), nil)
	tpl := f.waitHeight(100)
	fake.Down()
	eventually(t, "unhealthy", func() bool { s := f.Status()[0]; return !s.Healthy && !s.Active })
	kept := f.confirmed()
	if f.Template() != tpl {
		t.Fatal("the last template is gone")
	}
	errsBefore := f.Status()[0].ErrorAt
	eventually(t, "more failed polls", func() bool { return f.Status()[0].ErrorAt.After(errsBefore) })
	if f.confirmed() != kept {
		t.Error("the template was confirmed by nobody")
	}
	fake.Up()
	fake.Extend(1)
	f.waitHeight(101)
}

func TestConfig(t *testing.T) {
	good := daemon.Endpoint{URL: "http://127.0.0.1:1"}
	for name, c := range map[string]struct {
		change func(*daemon.Config)
		want   string
	}{
		"no daemon":    {func(c *daemon.Config) { c.Daemons = nil }, "0 given"},
		"no wallet":    {func(c *daemon.Config) { c.Wallet = "" }, "wallet"},
		"reserve":      {func(c *daemon.Config) { c.ReserveSize = 200 }, "reserve size 200"},
		"scheme":       {func(c *daemon.Config) { c.Daemons[0].URL = "ftp://x" }, "want http"},
		"secret":       {func(c *daemon.Config) { c.Daemons[0].URL = "http://u:p@x" }, "--daemon-login-file"},
		"zmq":          {func(c *daemon.Config) { c.Daemons[0].ZMQ = "ipc:///x" }, "want tcp"},
		"login":        {func(c *daemon.Config) { c.Daemons[0].Login = "nocolon" }, "user:password"},
		"login user":   {func(c *daemon.Config) { c.Daemons[0].Login = ":p" }, "--daemon-login-file"},
		"unreadable":   {func(c *daemon.Config) { c.Daemons[0].URL = "http://u:p@x:port" }, "--daemon-login-file"},
		"no scheme":    {func(c *daemon.Config) { c.Daemons[0].URL = "u:p@x:1" }, "--daemon-login-file"},
		"same host":    {func(c *daemon.Config) { c.Daemons = append(c.Daemons, daemon.Endpoint{URL: "HTTPS://LocalHost:1/x"}) }, "twice"},
		"twice":        {func(c *daemon.Config) { c.Daemons = append(c.Daemons, good) }, "twice"},
		"negative":     {func(c *daemon.Config) { c.MaxAge = -1 }, "must be positive"},
		"fine":         {func(c *daemon.Config) {}, ""},
		"path of own":  {func(c *daemon.Config) { c.Daemons[0].URL = "https://h:1/coin/json_rpc" }, ""},
		"with a slash": {func(c *daemon.Config) { c.Daemons[0].URL = "http://h:1/" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := daemon.Config{Daemons: []daemon.Endpoint{good}, Wallet: "w", ReserveSize: 16}
			c.change(&cfg)
			_, err := daemon.New(cfg)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "u:p@") {
				t.Error("the error tells the password")
			}
		})
	}
	reg := prometheus.NewRegistry()
	for _, pool := range []string{"a", "b"} { // two pools share a registry
		if _, err := daemon.New(daemon.Config{Pool: pool, Daemons: []daemon.Endpoint{good}, Wallet: "w", ReserveSize: 1, Registerer: reg}); err != nil {
			t.Fatal(err)
		}
	}
}
