package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/assay-pool/assay/bench/miner"
	"github.com/assay-pool/assay/native/randomx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call runs the program as the shell would.
func call(ctx context.Context, environ []string, args ...string) (code int, stdout, stderr string) {
	return callWith(ctx, environ, "", args...)
}

// callWith is call with something on stdin.
func callWith(ctx context.Context, environ []string, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(ctx, args, streams{environ, strings.NewReader(stdin), &out, &errOut})
	return code, out.String(), errOut.String()
}

func TestCommandLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args           []string
		env            []string
		code           int
		stdout, stderr string
	}{
		"nothing":        {code: 2, stderr: "Subcommands:\n  demo"},
		"help":           {args: []string{"--help"}, stdout: "Subcommands:\n  demo"},
		"version":        {args: []string{"--version"}, stdout: "assay-bench "},
		"unknown":        {args: []string{"mien"}, code: 2, stderr: `unknown subcommand "mien"; there is: demo, hash, kernels, mine`},
		"mine help":      {args: []string{"mine", "--help"}, stdout: "--target-is-mine"},
		"no user":        {args: []string{"mine"}, code: 2, stderr: "--user is missing"},
		"user from env":  {args: []string{"mine", "--check-config"}, env: []string{"ASSAY_BENCH_USER=w"}, stdout: "is good"},
		"one dash":       {args: []string{"mine", "-threads", "3"}, code: 2, stderr: "write --threads"},
		"mode":           {args: []string{"mine", "--user=w", "--randomx-mode=fast"}, code: 2, stderr: "is not one of auto, light, full"},
		"remote":         {args: []string{"mine", "--user=w", "--pool=192.0.2.1:3333"}, code: 2, stderr: "192.0.2.1 is 192.0.2.1, not this machine; give --target-is-mine"},
		"remote, mapped": {args: []string{"mine", "--user=w", "--pool=[::ffff:192.0.2.1]:3333"}, code: 2, stderr: "not this machine"},
		"any address":    {args: []string{"mine", "--user=w", "--pool=0.0.0.0:3333"}, code: 2, stderr: "not this machine"},
		"no port":        {args: []string{"mine", "--user=w", "--pool=localhost"}, code: 2, stderr: "not host:port"},
		"cpu feature":    {args: []string{"mine", "--user=w", "--cpu-disable=aes,mmx9"}, code: 2, stderr: "mmx9"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t.Context(), tc.env, tc.args...)
			if code != tc.code || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	for pool, want := range map[string]string{
		"127.0.0.1:1": "127.0.0.1:1", "[::1]:2": "[::1]:2", "127.8.9.1:3": "127.8.9.1:3", "[::ffff:127.0.0.1]:4": "127.0.0.1:4",
	} {
		if got, err := target(t.Context(), pool, false); err != nil || got != want {
			t.Errorf("%s: %q, %v", pool, got, err)
		}
	}
	if got, err := target(t.Context(), "192.0.2.1:5", true); err != nil || got != "192.0.2.1:5" {
		t.Errorf("a target that is mine: %q, %v", got, err)
	}
	mixed := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")}
	if a, remote := firstRemote(mixed); !remote || a != mixed[1] {
		t.Error("a name with one address outside counts as local")
	}
}

func TestProgressLine(t *testing.T) {
	s := miner.Stats{Connected: true, Accepted: 3, Rejected: 1, Height: 9, Target: (1<<64 - 1) / 1000}
	if got, want := progressLine(s, 61500*time.Millisecond, 12.34), "1m2s  12.3 H/s  accepted 3  rejected 1  height 9  difficulty 1000"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s = miner.Stats{LastError: "refused"}
	if got := progressLine(s, 0, 0); !strings.HasSuffix(got, "not connected: refused") || strings.Contains(got, "difficulty") {
		t.Errorf("got %q", got)
	}
}

// easyPool takes every share, or refuses every one with a text and then calls
// refused. Its target is met by almost every hash.
func easyPool(t *testing.T, refuse string, refused func()) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	job := `{"blob":"` + strings.Repeat("0e", 39) + "00000000" + strings.Repeat("ab", 33) +
		`","job_id":"1","target":"ffffffff","algo":"rx/0","height":5,"seed_hash":"` + strings.Repeat("5e", 32) + `"}`
	var wg sync.WaitGroup
	serve := func(conn net.Conn) {
		defer conn.Close()
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			var m struct {
				ID     json.RawMessage
				Method string
			}
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				t.Errorf("the miner sent %q", lines.Text())
				return
			}
			answer := `"error":null,"result":{"status":"OK"}`
			switch {
			case m.Method == "login":
				answer = `"error":null,"result":{"id":"s","status":"OK","job":` + job + `}`
			case refuse != "":
				answer = fmt.Sprintf(`"error":{"code":-1,"message":%q}`, refuse)
			}
			fmt.Fprintf(conn, `{"id":%s,"jsonrpc":"2.0",%s}`+"\n", m.ID, answer)
			if m.Method == "submit" && refused != nil {
				refused()
			}
		}
	}
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); wg.Wait() })
	return listener.Addr().String()
}

// needsCgo skips where RandomX cannot be hashed at all.
func needsCgo(t *testing.T) {
	t.Helper()
	rx, err := randomx.New(randomx.Config{Mode: randomx.ModeLight})
	if errors.Is(err, randomx.ErrNoCgo) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	rx.Close()
}

func TestMine(t *testing.T) {
	needsCgo(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	code, stdout, stderr := call(ctx, nil, "mine", "--pool", easyPool(t, "", nil), "--user=w", "--threads=1", "--shares=3", "--json", "--progress-every=100ms")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var r mineResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if r.Accepted != 3 || r.Difficulty != 3 || r.Rejected != 0 || r.Hashes < 3 || r.ByTarget["ffffffffffffffff"] != 3 || r.Threads != 1 {
		t.Errorf("result %+v", r)
	}
}

func TestMineRefusals(t *testing.T) {
	needsCgo(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	code, stdout, stderr := call(ctx, nil, "mine", "--pool", easyPool(t, "Block expired", cancel), "--user=w", "--threads=1", "--shares=1")
	if code != exitFailed || !strings.Contains(stderr, "0 of 1 shares were accepted") || !strings.Contains(stdout, "× Block expired") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
}

func TestMineWithoutPool(t *testing.T) {
	needsCgo(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close() // the port is free now, and nobody listens
	code, _, stderr := call(t.Context(), nil, "mine", "--pool", listener.Addr().String(), "--user=w", "--threads=1", "--retries=2")
	if code != exitFailed || !strings.Contains(stderr, "2 failed connections in a row") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// Ctrl-C ends a run without a goal well.
func TestMineInterrupted(t *testing.T) {
	needsCgo(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, stdout, stderr := call(ctx, nil, "mine", "--pool", easyPool(t, "", nil), "--user=w", "--threads=1")
	if code != exitOK || !strings.Contains(stdout, "assay-bench mine") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
