package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/server"
)

const (
	wallet = "45pyCXYn2UBVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJW4hqS1"
	stage  = "5631HNTjg5HVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJVzdvfb"
)

func parse(t *testing.T, args ...string) (*Config, error) {
	t.Helper()
	set, cfg := newSet("test", nil)
	if err := set.Parse(args, nil); err != nil {
		return nil, err
	}
	return cfg, nil
}

func TestOnePool(t *testing.T) {
	cfg, err := parse(t, "--wallet", wallet)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Pools) != 1 || cfg.Pools[0].Name != "default" || cfg.Pools[0].Pool.Coin.Name != "monero" {
		t.Fatalf("pools %+v", cfg.Pools)
	}
	p := cfg.Pools[0]
	want := p.Port
	want.Addr, want.StartDifficulty, want.Description = "0.0.0.0:3333", 10_000, "General"
	if len(p.Ports) != 1 || p.Ports[0] != want {
		t.Errorf("ports %+v", p.Ports)
	}
	if d := p.Daemon.Daemons; len(d) != 1 || d[0] != (daemon.Endpoint{URL: "http://127.0.0.1:18081"}) {
		t.Errorf("daemons %+v", d)
	}
	if cfg.StopTimeout > 10*time.Second {
		t.Errorf("a node takes %s to stop by default, it has 10 s", cfg.StopTimeout)
	}
}

func TestForcedAlgorithm(t *testing.T) {
	for name, want := range map[string]algo.ID{"": algo.RX0, "cryptonight_r": algo.CNR, "rx/0": algo.RX0} {
		cfg, err := parse(t, "--wallet", wallet, "--algo", name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cfg.Pools[0].Pool.Coin.Algo(16, 3_000_000); err != nil || got != want {
			t.Errorf("--algo %q: %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestSections(t *testing.T) {
	file := filepath.Join(t.TempDir(), "assay.conf")
	text := `# two pools of one node
data-dir = /var/lib/assay
vardiff-target = 20s

[pool main]
wallet = ` + wallet + `
daemon = http://10.0.0.1:18081,zmq=tcp://10.0.0.1:18083
daemon = https://10.0.0.2:18081
listen = 0.0.0.0:3333,diff=5000,desc=Small rigs
listen = [::]:4444,diff=2M,min=1M,hidden

[pool stage]
coin = monero-stagenet
wallet = ` + stage + `
listen = 127.0.0.1:5555,max=1k,diff=200
vardiff-target = 5s
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := parse(t, "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Pools) != 2 || cfg.DataDir != "/var/lib/assay" {
		t.Fatalf("%d pools, data dir %s", len(cfg.Pools), cfg.DataDir)
	}
	main, other := cfg.Pools[0], cfg.Pools[1]
	if main.Name != "main" || other.Name != "stage" || other.Pool.Coin.Name != "monero-stagenet" {
		t.Errorf("pools %s and %s (%s)", main.Name, other.Name, other.Pool.Coin.Name)
	}
	if d := main.Daemon.Daemons; len(d) != 2 || d[0].ZMQ != "tcp://10.0.0.1:18083" || d[1].ZMQ != "" {
		t.Errorf("daemons %+v", d)
	}
	v := main.Port.Vardiff
	want := []server.Port{
		{Addr: "0.0.0.0:3333", StartDifficulty: 5000, MinDifficulty: 100, MaxDifficulty: 1_000_000_000, Description: "Small rigs", Vardiff: v},
		{Addr: "[::]:4444", StartDifficulty: 2_000_000, MinDifficulty: 1_000_000, MaxDifficulty: 1_000_000_000, Hidden: true, Vardiff: v},
	}
	if !slices.Equal(main.Ports, want) {
		t.Errorf("ports %+v, want %+v", main.Ports, want)
	}
	if v.Target != 20*time.Second || other.Ports[0].Vardiff.Target != 5*time.Second || other.Ports[0].MaxDifficulty != 1000 {
		t.Errorf("vardiff %+v and %+v", v, other.Ports[0])
	}
}

// secret is a file with a text that no output may have.
func secret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFolder: a check leaves no folder behind, nor takes one away.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{".", "a", "a/b/c"} {
		path := filepath.Join(dir, sub)
		if err := checkFolder(path); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
			t.Errorf("the check of %s has made a folder", path)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}

// TestOperatorErrors: each text names the flag and says what to do.
func TestOperatorErrors(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"no wallet", nil, []string{"--wallet is missing"}},
		{"wallet of another network", []string{"--wallet", stage}, []string{"--wallet", "stagenet"}},
		{"mistyped wallet", []string{"--wallet", wallet[:94] + "2"}, []string{"--wallet", "checksum"}},
		{"unknown coin", []string{"--coin", "bitcoin", "--wallet", wallet}, []string{"--coin", "monero-regtest"}},
		{"unknown algorithm", []string{"--algo", "cn/9", "--wallet", wallet}, []string{"--algo", "cn/9", "cn/r"}},
		{"a coin that cannot be served", []string{"--coin", "aeon", "--wallet", wallet}, []string{"--coin aeon", "not implemented"}},
		{"daemon without a scheme", []string{"--wallet", wallet, "--daemon", "127.0.0.1:18081"}, []string{"--daemon 127.0.0.1:18081", "http"}},
		{"daemon with a password", []string{"--wallet", wallet, "--daemon", "http://u:geheim@h:1"}, []string{"--daemon-login-file"}},
		{"daemon option", []string{"--wallet", wallet, "--daemon", "http://h:1,zqm=tcp://u:geheim@h:2"}, []string{"zqm", "known are zmq, ca and fingerprint"}},
		{"daemon ca by http", []string{"--wallet", wallet, "--daemon", "http://h:1,fingerprint=" + strings.Repeat("ab", 32)}, []string{"by http nothing is checked"}},
		{"daemon fingerprint", []string{"--wallet", wallet, "--daemon", "https://h:1,fingerprint=abc"}, []string{"64 hex digits"}},
		{"daemon ca", []string{"--wallet", wallet, "--daemon", "https://h:1,ca=/nonexistent"}, []string{"--daemon", "ca: open /nonexistent"}},
		{"zmq", []string{"--wallet", wallet, "--daemon", "http://h:1,zmq=h:2"}, []string{"tcp://HOST:PORT"}},
		{"listen without a port", []string{"--wallet", wallet, "--listen", "0.0.0.0"}, []string{"--listen 0.0.0.0", "HOST:PORT"}},
		{"listen on a name", []string{"--wallet", wallet, "--listen", "pool.example:3333"}, []string{"not an IP address"}},
		{"listen port", []string{"--wallet", wallet, "--listen", ":70000"}, []string{"0 to 65535"}},
		{"listen option", []string{"--wallet", wallet, "--listen", ":1,diff=abc"}, []string{"diff=abc", "1000, 25k or 3M"}},
		{"difficulty zero", []string{"--wallet", wallet, "--listen", ":1,diff=0"}, []string{"above 0"}},
		{"difficulty overflow", []string{"--wallet", wallet, "--listen", ":1,diff=99999999999G"}, []string{"64 bits"}},
		{"start outside bounds", []string{"--wallet", wallet, "--listen", ":1,diff=10,min=20"}, []string{"outside min 20"}},
		{"bounds crossed", []string{"--wallet", wallet, "--listen", ":1,min=20,max=10"}, []string{"min 20 is above max 10"}},
		{"one port twice", []string{"--wallet", wallet, "--listen", ":1", "--listen", ":1"}, []string{"--listen :1: the port is taken by --listen :1"}},
		{"vardiff crossed", []string{"--wallet", wallet, "--vardiff-min", "5M", "--vardiff-max", "4M"}, []string{"--vardiff-min", "--vardiff-max"}},
		{"ages crossed", []string{"--wallet", wallet, "--template-max-age", "30s"}, []string{"--template-max-age", "--template-renew"}},
		{"password without redis", []string{"--wallet", wallet, "--redis-password-file", secret(t, "geheim")}, []string{"--redis is empty"}},
		{"sentinel without redis", []string{"--wallet", wallet, "--redis-sentinel-master", "m"}, []string{"--redis names no sentinels"}},
		{"an algorithm that is not linked", []string{"--wallet", wallet, "--algo", "rx/2"}, []string{"--algo rx/2: rx/2 needs RandomX v2"}},
		{"unreadable redis", []string{"--wallet", wallet, "--redis", "redis://u:geheim@h:port"}, []string{"--redis: not a URL"}},
		{"unreadable second redis", []string{"--wallet", wallet, "--redis", "redis://h,h2:geheim@x:1"}, []string{"--redis"}},
		{"redis of another kind", []string{"--wallet", wallet, "--redis", "http://u:geheim@h"}, []string{"--redis", "rediss or unix"}},
		{"redis password missing", []string{"--wallet", wallet, "--redis", "redis://h", "--redis-password-file", "/nonexistent"}, []string{"--redis-password-file"}},
		{"daemon login missing", []string{"--wallet", wallet, "--daemon-login-file", "/nonexistent"}, []string{"--daemon-login-file"}},
		{"daemon login no login", []string{"--wallet", wallet, "--daemon-login-file", secret(t, "geheim")}, []string{"--daemon-login-file", "user:password"}},
		{"one daemon twice", []string{"--wallet", wallet, "--daemon", "http://127.0.0.1:1", "--daemon", "http://localhost:1/"}, []string{"--daemon http://localhost:1/ is given twice"}},
		{"daemon with a login and no scheme", []string{"--wallet", wallet, "--daemon", "u:geheim@h:1"}, []string{"--daemon-login-file"}},
		{"daemon option with a login", []string{"--wallet", wallet, "--daemon", "http://h:1,u:geheim@h:2"}, []string{"known are zmq"}},
		{"port inside a wildcard", []string{"--wallet", wallet, "--listen", "127.0.0.1:1", "--listen", ":1"}, []string{"--listen :1: the port is taken by --listen 127.0.0.1:1"}},
		{"port of the admin", []string{"--wallet", wallet, "--listen", ":9180"}, []string{"--listen :9180: the port is taken by --admin-listen 127.0.0.1:9180"}},
		{"admin for all", []string{"--wallet", wallet, "--admin-listen", "0.0.0.0:1"}, []string{"--admin-listen 0.0.0.0:1", "--admin-public"}},
		{"admin without a port", []string{"--wallet", wallet, "--admin-listen", "127.0.0.1"}, []string{"--admin-listen 127.0.0.1: want HOST:PORT"}},
		{"more connections than files", []string{"--wallet", wallet, "--max-conns", "10000000"}, []string{"--max-conns is 10000000", "ulimit -n"}},
		{"one cache", []string{"--wallet", wallet, "--randomx-caches", "1"}, []string{"--randomx-caches", "2…1024"}},
		{"no such feature", []string{"--wallet", wallet, "--cpu-disable", "aes,warp"}, []string{"--cpu-disable", "warp"}},
		{"no such redis-server", []string{"--wallet", wallet, "--redis-server", "/nonexistent"}, []string{"--redis-server /nonexistent"}},
		{"long folder", []string{"--wallet", wallet, "--data-dir", "/tmp/" + strings.Repeat("x", 100)}, []string{"--data-dir", "107"}},
		{"folder that cannot be", []string{"--wallet", wallet, "--data-dir", "/proc/nothing/here"}, []string{"--data-dir /proc/nothing/here"}},
		{"folder that is a file", []string{"--wallet", wallet, "--data-dir", secret(t, "x") + "/y"}, []string{"--data-dir", "not a directory"}},
		{"unknown flag", []string{"--wallet", wallet, "--worker", "3"}, []string{"worker"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.args...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("error %q tells a password", err)
			}
		})
	}
}

// TestProbeNeedsNoPool: a container's health check is not given the pools.
func TestProbeNeedsNoPool(t *testing.T) {
	cfg, err := parse(t, "--probe", "--admin-listen", "127.0.0.1:9999")
	if err != nil || !cfg.Probe || cfg.Admin.Listen != "127.0.0.1:9999" {
		t.Errorf("config %+v, error %v", cfg, err)
	}
}

// TestHelp: every flag stands in a group and has a text.
func TestHelp(t *testing.T) {
	set, _ := newSet("test", nil)
	var out, errs bytes.Buffer
	if code, run := set.Load([]string{"--help"}, nil, &out, &errs); code != 0 || run {
		t.Fatalf("--help: code %d, run %v, %s", code, run, errs.String())
	}
	for _, want := range []string{"Hashing", "Redis", "Ports", "--verify-deadline", "--stale-grace", "--redis-password-file"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("--help does not mention %s", want)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(secret, []byte("alice:hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, _ := newSet("test", nil)
	var out, errs bytes.Buffer
	code, run := set.Load([]string{"--wallet", wallet, "--daemon-login-file", secret, "--print-config"}, []string{"ASSAY_WORKERS=3"}, &out, &errs)
	if code != 0 || run {
		t.Fatalf("code %d, run %v, %s", code, run, errs.String())
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("a secret is printed")
	}
	for _, want := range []string{"ASSAY_WORKERS", "workers = 3", "verify-deadline = 3s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("--print-config does not say %q", want)
		}
	}
}
