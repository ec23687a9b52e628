package e2e

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// runOnce runs a node that is to end by itself.
func runOnce(t *testing.T, env []string, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runProgram(t, assayd, env, flags...)
}

// runProgram is runOnce of a program that runs a node.
func runProgram(t *testing.T, program string, env []string, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	sources(t)
	cmd := exec.Command(program, flags...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer overdue.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestFlags: what a node says and does without serving. Each error names the
// flag to change.
func TestFlags(t *testing.T) {
	good := []string{"--wallet", walletA, "--coin", "monero-regtest"}
	file := filepath.Join(t.TempDir(), "assay.conf")
	if err := os.WriteFile(file, []byte("coin = monero-regtest\nwallet = "+walletA+"\nworkers = 3\nqueue = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		env    []string
		flags  []string
		code   int
		stdout string // must be in it
		stderr string // likewise
	}{
		{"version", nil, []string{"--version"}, 0, "assayd " + version, ""},
		{"help", nil, []string{"--help"}, 0, "--verify-deadline", ""},
		{"check", nil, append(good, "--check-config"), 0, "configuration is good", ""},
		{"check finds everything", nil, []string{"--check-config", "--workers", "-3", "--listen", "nowhere", "--wallet", "x"}, 2, "", "--workers"},
		{"print a flag", nil, append(good, "--print-config", "--workers", "7"), 0, "workers = 7 ", ""},
		{"print the environment", []string{"ASSAY_WORKERS=6"}, append(good, "--print-config"), 0, "env ASSAY_WORKERS", ""},
		{"flag before environment", []string{"ASSAY_WORKERS=6"}, append(good, "--print-config", "--workers", "7"), 0, "workers = 7 ", ""},
		{"unknown name in the file", nil, []string{"--config", file, "--check-config"}, 2, "", file + ":4"},
		{"no wallet", nil, []string{"--coin", "monero-regtest"}, 2, "", "--wallet is missing"},
		{"wallet of another network", nil, []string{"--wallet", walletA, "--coin", "monero-stagenet"}, 2, "", "--wallet " + walletA},
		{"wallet a subaddress", nil, []string{"--wallet", subaddress, "--coin", "monero-regtest"}, 2, "", "--wallet " + subaddress},
		{"unknown flag", nil, append(good, "--wrokers", "3"), 2, "", "--wrokers: unknown flag"},
		{"unknown coin", nil, append(good, "--coin", "dogecoin"), 2, "", "--coin"},
		{"not a number", nil, append(good, "--workers", "many"), 2, "", "--workers"},
		{"below the least", nil, append(good, "--workers=-3"), 2, "", "--workers: -3 is not between 0 and 1024"},
		{"bad daemon", nil, append(good, "--daemon", "ftp://x"), 2, "", "--daemon ftp://x"},
		{"bad port", nil, append(good, "--listen", "127.0.0.1:x"), 2, "", "--listen 127.0.0.1:x"},
		{"password without redis", nil, append(good, "--redis-password-file", "/x"), 2, "", "--redis-password-file"},
		{"template ages", nil, append(good, "--template-max-age", "10s"), 2, "", "--template-max-age"},
		{"no redis-server", nil, append(good, "--data-dir", shortDir(t), "--randomx-mode", "light", "--redis-server", "/nonexistent"), 2, "", "--redis-server /nonexistent"},
		{"no redis", nil, append(good, "--data-dir", shortDir(t), "--randomx-mode", "light", "--redis", "redis://127.0.0.1:1", "--redis-start-timeout", "1s"), 1, "", "redis"},
		{"unknown feature", nil, append(good, "--data-dir", shortDir(t), "--cpu-disable", "warp"), 2, "", "--cpu-disable"},
		{"folder that cannot be", nil, append(good, "--data-dir", "/proc/nothing"), 2, "", "--data-dir /proc/nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runOnce(t, tt.env, tt.flags...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit %d, want %d with %q and %q\n%s%s", code, tt.code, tt.stdout, tt.stderr, stdout, stderr)
			}
			if strings.Contains(stderr, "goroutine ") {
				t.Errorf("a panic:\n%s", stderr)
			}
		})
	}
	// All that is wrong is told at once: first the values, then what they mean.
	for _, wrong := range [][]string{
		{"--workers=-3", "--stop-timeout=soon"},
		{"--listen=nowhere", "--wallet=x"},
	} {
		_, _, stderr := runOnce(t, nil, append([]string{"--check-config", "--coin", "monero-regtest"}, wrong...)...)
		for _, flag := range wrong {
			if name, _, _ := strings.Cut(flag, "="); !strings.Contains(stderr, name) {
				t.Errorf("--check-config %v does not report %s:\n%s", wrong, name, stderr)
			}
		}
	}
}

// TestTaken: a second node on the same folder or the same ports is refused in
// words an operator can act on, and the first does not notice.
func TestTaken(t *testing.T) {
	fake := newFake(t, noBlocks)
	n := startNode(t, "--daemon", fake.URL, "--listen", "127.0.0.1:0,diff=1")
	admin := strings.TrimPrefix(n.admin, "http://")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		name, dir string
		flags     []string
		text      string
	}{
		{"folder", n.dir, nil, "is in use by another node; give each node its own --data-dir"},
		{"port of a node", shortDir(t), []string{"--listen", n.ports[0]}, "--listen " + n.ports[0]},
		{"port of another program", shortDir(t), []string{"--listen", l.Addr().String()}, "--listen " + l.Addr().String()},
		{"admin port", shortDir(t), []string{"--listen", "127.0.0.1:0", "--admin-listen", admin}, "--admin-listen " + admin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := runOnce(t, nil, append(append(base(tt.dir), "--daemon", fake.URL), tt.flags...)...)
			if code != 1 || !strings.Contains(stderr, tt.text) {
				t.Errorf("exit %d, want 1 with %q:\n%s", code, tt.text, stderr)
			}
		})
	}
	if code, _, stderr := runOnce(t, nil, "--probe", "--admin-listen", admin, "--wallet", walletA); code != 0 {
		t.Errorf("--probe of a node that runs: exit %d\n%s", code, stderr)
	}
	c, job := login(t, n.ports[0], walletA)
	c.share(job)
	n.stop()
	free := daemontest.FreePorts(t, 1)[0]
	for _, addr := range []string{admin, "127.0.0.1:" + free} {
		if code, _, stderr := runOnce(t, nil, "--probe", "--admin-listen", addr, "--wallet", walletA); code != 1 || !strings.Contains(stderr, "--admin-listen "+addr) {
			t.Errorf("--probe of nobody at %s: exit %d\n%s", addr, code, stderr)
		}
	}
}
