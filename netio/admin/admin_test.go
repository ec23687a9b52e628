package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/assay-pool/assay/netio/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg admin.Config) (get func(path, host string) (int, string)) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := admin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return func(path, host string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http://"+s.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
}

func TestPages(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_test_total", Help: "x"})
	reg.MustRegister(c)
	c.Add(42)
	get := start(t, admin.Config{Gatherer: reg})
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/":                              {200, "/readyz"},
		"/healthz":                       {200, "ok"},
		"/metrics":                       {200, "assay_test_total 42"},
		"/readyz":                        {200, ""},
		"/debug/pprof/":                  {200, "goroutine"},
		"/debug/pprof/goroutine?debug=1": {200, "goroutine profile"},
		"/nothing":                       {404, "not found"},
	} {
		if code, text := get(path, ""); code != want.code || !strings.Contains(text, want.text) {
			t.Errorf("%s: %d %.200q", path, code, text)
		}
	}
}

func TestReadyz(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	get := start(t, admin.Config{Gatherer: prometheus.NewRegistry(), Ready: []admin.Check{
		{Name: "redis", Func: func() error { return nil }, Note: func() string { return "" }},
		{Name: "daemon", Func: func() error {
			if broken.Load() {
				return errors.New(`template is "old"`)
			}
			return nil
		}, Note: func() string { return "one of two is down: http://u:p4ss@h:1" }},
	}})
	code, body := get("/readyz", "")
	if code != http.StatusServiceUnavailable {
		t.Fatalf("code %d", code)
	}
	type line struct {
		Check, Reason string
		OK            bool
	}
	var got []line
	for sc := bufio.NewScanner(strings.NewReader(body)); sc.Scan(); {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatalf("%q: %v", sc.Text(), err)
		}
		got = append(got, l)
	}
	if len(got) != 2 || got[0] != (line{"redis", "", true}) || got[1] != (line{"daemon", `template is "old"`, false}) {
		t.Fatalf("lines %+v", got)
	}
	broken.Store(false)
	if strings.Contains(body, "note") {
		t.Errorf("a note beside a reason: %s", body)
	}
	code, body = get("/readyz", "")
	if code != 200 || strings.Count(body, `"note":`) != 1 || !strings.Contains(body, "one of two is down") || strings.Contains(body, "p4ss") {
		t.Fatalf("after the repair %d %s", code, body)
	}
}

func TestHostHeader(t *testing.T) {
	get := start(t, admin.Config{Gatherer: prometheus.NewRegistry(), AllowHosts: []string{"pool.example"}})
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:9100": 200, "localhost:1": 200, "LOCALHOST": 200, "[::1]:80": 200,
		"pool.example:9100": 200, "Pool.Example": 200,
		"evil.example": 403, "evil.example:9100": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403, "localhost.evil": 403,
	} {
		if code, _ := get("/healthz", host); code != want {
			t.Errorf("Host %q: %d, want %d", host, code, want)
		}
	}
}

func TestListen(t *testing.T) {
	reg := prometheus.NewRegistry()
	for addr, want := range map[string]string{
		"0.0.0.0:0": "not loopback", ":0": "not loopback", "192.0.2.1:0": "not loopback", "example.com:0": "not loopback",
		"127.0.0.1": "want HOST:PORT", "127.0.0.1:0": "", "127.3.2.1:0": "", "localhost:0": "",
	} {
		s, err := admin.New(admin.Config{Listen: addr, Gatherer: reg})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
		if s != nil {
			s.Shutdown(context.Background())
		}
	}
	s, err := admin.New(admin.Config{Listen: "0.0.0.0:0", AllowRemote: true, Gatherer: reg})
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown(context.Background())
	if _, err := admin.New(admin.Config{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("no gatherer, no error")
	}
}
