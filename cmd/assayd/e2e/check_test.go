package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// TestCheckIsTheStart: what --check-config calls good starts, and what the start
// refuses before it has begun --check-config refuses in the same words.
func TestCheckIsTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no login\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range [][]string{
		{"--redis", "redis://h:port"},
		{"--redis", "redis://h,unix:///s"},
		{"--redis", "redis://h", "--redis-password-file", "/nonexistent"},
		{"--redis-password-file", file},
		{"--redis-server", "/nonexistent"},
		{"--daemon-login-file", file},
		{"--daemon", "http://h:1", "--daemon", "https://H:1/x"},
		{"--daemon", "http://h:1,zmq=tcp://h"},
		{"--listen", "127.0.0.1:1", "--listen", ":1"},
		{"--listen", "127.0.0.1:1", "--admin-listen", "127.0.0.1:1"},
		{"--listen", ":1,diff=5,min=10"},
		{"--admin-listen", "0.0.0.0:1"},
		{"--max-conns", "10000000"},
		{"--randomx-caches", "1"},
		{"--cpu-disable", "warp"},
		{"--data-dir", file},
		{"--data-dir", "/proc/nothing"},
		{"--data-dir", "/tmp/" + strings.Repeat("x", 100)},
		{"--template-max-age", "10s"},
	} {
		flags := append([]string{"--wallet", walletA, "--coin", "monero-regtest", "--data-dir", shortDir(t)}, wrong...)
		code, _, checked := runOnce(t, nil, append(flags, "--check-config")...)
		startCode, banner, started := runOnce(t, nil, flags...)
		if code != 2 || startCode != 2 || checked != started || checked == "" || banner != "" {
			t.Errorf("%v: --check-config exits %d and says\n%sthe start exits %d and says\n%s", wrong, code, checked, startCode, started)
		}
	}
	// A good one: the same flags start in every other test.
	if code, out, errs := runOnce(t, nil, append(base(shortDir(t)), "--check-config")...); code != 0 {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

// TestSecretsStayInside: a node shows its Redis' password nowhere.
func TestSecretsStayInside(t *testing.T) {
	const password = "gehe/im?"
	redis := redistest.Start(t, "--requirepass", password)
	escaped := strings.NewReplacer("/", "%2F", "?", "%3F").Replace(password)
	socket := strings.TrimPrefix(redis.URL(), "unix://")
	url := "unix://:" + escaped + "@" + socket + "?password=geheim"
	login := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(login, []byte("user:geheim\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fake := newFake(t, noBlocks)
	flags := []string{"--redis", url, "--daemon", fake.URL, "--daemon-login-file", login, "--listen", "127.0.0.1:0,diff=1", "--log-level", "debug"}
	n := startNode(t, flags...)
	status, line, err := n.get("/debug/pprof/cmdline")
	if err != nil || status != http.StatusOK || !strings.Contains(line, "--redis\x00unix://:xxxxx@"+socket) {
		t.Errorf("the command line: %d %q, %v", status, line, err)
	}
	_, ready, err := n.get("/readyz")
	if err != nil {
		t.Fatal(err)
	}
	n.stop()
	_, printed, warned := runOnce(t, nil, append(append(base(shortDir(t)), flags...), "--print-config")...)
	wrong := strings.Replace(url, "gehe", "geheim-not", 1)
	code, _, refused := runOnce(t, nil, append(append(base(shortDir(t)), flags...), "--redis", wrong, "--redis-start-timeout", "2s")...)
	if code != 1 || !strings.Contains(refused, "refused the password") {
		t.Errorf("a wrong password: exit %d\n%s", code, refused)
	}
	for where, text := range map[string]string{"the command line": line, "/readyz": ready, "banner and log": n.out.String(), "--print-config": printed, "a warning": warned, "an error": refused} {
		if strings.Contains(text, "gehe") {
			t.Errorf("%s shows a password:\n%s", where, text)
		}
	}
}
