package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests on a loaded machine.
const patience = 60 * time.Second

func testCtx(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

func open(t testing.TB, cfg Config) (*Store, error) {
	t.Helper()
	st, err := Open(testCtx(t), cfg)
	if err == nil {
		t.Cleanup(st.Close)
	}
	return st, err
}

func TestURLs(t *testing.T) {
	for _, c := range []struct{ url, addrs, bad string }{
		{url: "redis://h:1", addrs: "h:1"},
		{url: "redis://h", addrs: "h:6379"},
		{url: "rediss://a:1,rediss://b:2", addrs: "a:1 b:2"},
		{url: "redis://a:1, redis://b:2", addrs: "a:1 b:2"},
		{url: "unix:///tmp/s", addrs: "/tmp/s"},
		{url: "", bad: "--redis"},
		{url: "h:6379", bad: "scheme"},
		{url: "http://h", bad: "scheme"},
		{url: "redis://", bad: "no host"},
		{url: "unix://tmp/s", bad: "absolute"},
		{url: "unix:///" + strings.Repeat("x", 107), bad: "107"},
		{url: "redis://a,rediss://b", bad: "mixed"},
		{url: "redis://a,unix:///s", bad: "unix socket"},
		{url: "redis://h/notanumber", bad: "database"},
		{url: "redis://:secret@h:port", bad: "not a URL"},
		{url: "user:secret@h:1", bad: "scheme"},
		{url: "redis://a,redis://:secret@", bad: "no host"},
		{url: "unix://h/s?password=secret", bad: "absolute"},
		{url: "redis://h/0?password=secret&db=x", bad: "database"},
	} {
		cfg := Config{URL: c.url}
		cfg.setDefaults()
		opt, err := cfg.options()
		if c.bad == "" {
			if err != nil || strings.Join(opt.InitAddress, " ") != c.addrs || !opt.DisableRetry || !opt.DisableCache {
				t.Errorf("%s: %v, %v", c.url, opt.InitAddress, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q and no password", c.url, err, c.bad)
		}
	}
}

func TestKeysShareOneSlot(t *testing.T) {
	srv := redistest.StartCluster(t)
	k, err := NewKeys("p-1.x_y")
	if err != nil {
		t.Fatal(err)
	}
	all := append(k.Earlier(), k.Identity(), k.Marks(), k.Owners(), k.Gaps(), k.OpenChunk(), k.ChunkPrefix(), k.Chunk(7), k.Blocks(), k.Rounds(),
		k.BlockPrefix(), k.Block("00"), k.Archive("00"), k.Wallet("w"), k.Wallet("{other}"), k.Workers("}{"), k.Slots("w"), k.Rate(1), k.Stats())
	slot := srv.CLI("CLUSTER", "KEYSLOT", all[0])
	seen := map[string]bool{}
	for _, key := range all {
		if got := srv.CLI("CLUSTER", "KEYSLOT", key); got != slot {
			t.Errorf("%s is in slot %s, want %s", key, got, slot)
		}
		if seen[key] {
			t.Errorf("two keys are named %s", key)
		}
		seen[key] = true
	}
	for _, bad := range []string{"", "a b", "{a}", "a}", "a:b", "ä", strings.Repeat("a", 65)} {
		if _, err := NewKeys(bad); err == nil {
			t.Errorf("pool name %q was taken", bad)
		}
	}
}

func TestServerChecks(t *testing.T) {
	for _, c := range []struct {
		name, warn, bad string
		args            []string
		allow           bool
		persistence     string
	}{
		{name: "good", args: nil, persistence: "aof always"},
		{name: "eviction", args: []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, bad: "--redis-allow-eviction"},
		{name: "eviction names the key", args: []string{"--maxmemory-policy", "volatile-ttl"}, bad: `maxmemory-policy is "volatile-ttl"`},
		{name: "eviction allowed", args: []string{"--maxmemory-policy", "allkeys-lru"}, allow: true, warn: "may evict", persistence: "aof always"},
		{name: "no persistence", args: []string{"--appendonly", "no"}, warn: "NOTHING", persistence: "none"},
		{name: "snapshots", args: []string{"--appendonly", "no", "--save", "900 1 300 10"}, warn: "up to 900 s", persistence: "rdb"},
		{name: "fsync no", args: []string{"--appendfsync", "no"}, warn: "appendfsync", persistence: "aof no"},
		{name: "replica", args: []string{"--replicaof", "127.0.0.1 1"}, bad: "master"},
		{name: "config forbidden", args: []string{"--rename-command", "CONFIG", ""}, warn: "by hand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := redistest.Start(t, c.args...)
			st, err := open(t, Config{URL: srv.URL(), AllowEviction: c.allow})
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) {
					t.Fatalf("got %v, want %q", err, c.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			si := st.Server()
			if warned := strings.Join(si.Warnings, "; "); (c.warn == "") != (warned == "") || !strings.Contains(warned, c.warn) {
				t.Errorf("warned %q, want %q", warned, c.warn)
			}
			if si.Persistence != c.persistence {
				t.Errorf("persistence %q, want %q", si.Persistence, c.persistence)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	for v, ok := range map[string]bool{"6.2.0": true, "7.0.15": true, "8.1": true, "10.0.1": true, "6.0.9": false, "5.0.14": false, "": false, "x.y.z": false} {
		if err := checkVersion(v); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestPassword(t *testing.T) {
	srv := redistest.Start(t, "--requirepass", "geheim")
	open1 := srv.URL()
	for _, c := range []struct{ name, password, user, bad string }{
		{name: "right", password: "geheim"},
		{name: "wrong", password: "falsch", bad: "refused the password; check --redis-password-file"},
		{name: "none", bad: "give it by --redis-password-file"},
		{name: "unknown user", password: "geheim", user: "bob", bad: "--redis-user (now \"bob\")"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := open(t, Config{URL: open1, Password: c.password, Username: c.user})
			if c.bad == "" && err != nil || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad)) {
				t.Errorf("got %v, want %q", err, c.bad)
			}
			if err != nil && (strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "falsch")) {
				t.Errorf("the password is in: %v", err)
			}
		})
	}
	plain := redistest.Start(t)
	if _, err := open(t, Config{URL: plain.URL(), Password: "x", Username: "default"}); err != nil &&
		!strings.Contains(err.Error(), "password") {
		t.Errorf("password for a server without one: %v", err)
	}
}

// Redis comes up after the node.
func TestOpenWaitsForRedis(t *testing.T) {
	srv := redistest.Start(t)
	srv.Stop()
	if _, err := open(t, Config{URL: srv.URL(), StartTimeout: 300 * time.Millisecond}); err == nil ||
		!strings.Contains(err.Error(), "--redis-start-timeout") {
		t.Fatalf("redis is down: %v", err)
	}
	got := make(chan error, 1)
	ctx := testCtx(t)
	go func() {
		st, err := Open(ctx, Config{URL: srv.URL(), StartTimeout: patience})
		if err == nil {
			st.Close()
		}
		got <- err
	}()
	srv.Run()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestEvalAndDeadlines(t *testing.T) {
	srv := redistest.Start(t)
	reg := prometheus.NewRegistry()
	st, err := open(t, Config{URL: srv.URL(), CallTimeout: 200 * time.Millisecond, ConnWriteTimeout: 400 * time.Millisecond, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	sc := NewScript("t", "return {KEYS[1], ARGV[1]}")
	for i := range 3 {
		got, err := st.Eval(testCtx(t), sc, []string{"k"}, []string{"v"}).AsStrSlice()
		if err != nil || len(got) != 2 || got[0] != "k" || got[1] != "v" {
			t.Errorf("run %d: %v, %v", i, got, err)
		}
		srv.CLI("SCRIPT", "FLUSH")
	}
	if err := st.Eval(testCtx(t), NewScript("bad", "return nonsense("), []string{"k"}, nil).Error(); err == nil {
		t.Error("a script with a fault ran")
	}
	srv.Pause()
	start := time.Now()
	err = st.Do(context.Background(), "GET", "k").Error()
	if err == nil || rueidis.IsRedisNil(err) {
		t.Errorf("a hung redis answered: %v", err)
	}
	if d := time.Since(start); d > patience/2 {
		t.Errorf("the call took %s in spite of its deadline", d)
	}
	srv.Resume()
	waitFor(t, "an answer", func() bool { return st.Ping(context.Background()) == nil })
	if fams, err := reg.Gather(); err != nil || len(fams) != 5 {
		t.Errorf("%d metrics, %v", len(fams), err)
	}
}
