package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

func TestErrorCode(t *testing.T) {
	for text, want := range map[string]string{
		"READONLY You can't write against a read only replica.":                                                       "READONLY",
		"OOM command not allowed when used memory > 'maxmemory'. script: 0f, on @user_script:3.":                      "OOM",
		"ERR Error running script (call to f_0f): @user_script:1: @user_script: 1: -READONLY You can't write against": "READONLY",
		"ERR Error running script (call to f_0f): @user_script:1: @user_script: 1: -OOM command not allowed":          "OOM",
		"ERR unknown command 'X', with args beginning with: ":                                                         "ERR",
		"WRONGTYPE Operation against a key":                                                                           "WRONGTYPE",
		"":                                                                                                            "",
	} {
		if got := errorCode(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A server that answers reads and refuses writes is not up, whatever the
// refusal, until a write has been taken. Its connections are cut only where
// another server may be the right one.
func TestRefusedWrites(t *testing.T) {
	write := NewWriteScript("w", "return redis.call('SET', KEYS[1], ARGV[1])")
	for _, c := range []struct {
		code        string
		args        []string
		spoil, mend func(*redistest.Server)
		cut         bool
	}{
		{code: "OOM",
			spoil: func(s *redistest.Server) { s.CLI("CONFIG", "SET", "maxmemory", "1") },
			mend:  func(s *redistest.Server) { s.CLI("CONFIG", "SET", "maxmemory", "0") }},
		{code: "NOREPLICAS",
			spoil: func(s *redistest.Server) { s.CLI("CONFIG", "SET", "min-replicas-to-write", "1") },
			mend:  func(s *redistest.Server) { s.CLI("CONFIG", "SET", "min-replicas-to-write", "0") }},
		{code: "MISCONF", args: []string{"--appendonly", "no"},
			spoil: func(s *redistest.Server) { // a snapshot cannot take the place of a folder
				if err := os.Mkdir(filepath.Join(s.Dir(), "dump.rdb"), 0o700); err != nil {
					t.Fatal(err)
				}
				s.CLI("CONFIG", "SET", "save", "3600 1")
				snapshot(t, s, "err")
			},
			mend: func(s *redistest.Server) {
				if err := os.Remove(filepath.Join(s.Dir(), "dump.rdb")); err != nil {
					t.Fatal(err)
				}
				snapshot(t, s, "ok")
			}},
		{code: "READONLY", cut: true,
			spoil: func(s *redistest.Server) { s.CLI("REPLICAOF", "127.0.0.1", "1") },
			mend:  func(s *redistest.Server) { s.Promote() }},
		{code: "MASTERDOWN", cut: true,
			spoil: func(s *redistest.Server) {
				s.CLI("CONFIG", "SET", "replica-serve-stale-data", "no")
				s.CLI("REPLICAOF", "127.0.0.1", "1")
			},
			mend: func(s *redistest.Server) { s.Promote() }},
	} {
		t.Run(c.code, func(t *testing.T) {
			srv := redistest.Start(t, c.args...)
			st, err := open(t, Config{URL: srv.URL()})
			if err != nil {
				t.Fatal(err)
			}
			set := func() error { return st.Eval(testCtx(t), write, []string{"k"}, []string{"v"}).Error() }
			up := func() float64 { return testutil.ToFloat64(st.metrics.up) }
			if err := set(); err != nil || up() != 1 {
				t.Fatalf("before: %v, up %v", err, up())
			}
			c.spoil(srv)
			waitFor(t, c.code, func() bool { err := set(); return err != nil && strings.Contains(err.Error(), c.code) })
			if up() != 0 {
				t.Error("up while writes are refused")
			}
			err = st.DoRepeatable(testCtx(t), "GET", "k").Error()
			if c.code != "MASTERDOWN" && err != nil {
				t.Errorf("a read: %v", err)
			}
			if up() != 0 {
				t.Error("up again by a read")
			}
			c.mend(srv)
			waitFor(t, "a write", func() bool { return set() == nil })
			if up() != 1 {
				t.Error("not up after a write")
			}
			if cuts := testutil.ToFloat64(st.metrics.cuts); (cuts > 0) != c.cut {
				t.Errorf("connections were cut %v times", cuts)
			}
		})
	}
}

// snapshot makes the server write one and waits for its end.
func snapshot(t *testing.T, s *redistest.Server, status string) {
	t.Helper()
	s.CLI("BGSAVE")
	waitFor(t, "a snapshot", func() bool {
		info := s.CLI("INFO", "persistence")
		return strings.Contains(info, "rdb_bgsave_in_progress:0") && strings.Contains(info, "rdb_last_bgsave_status:"+status)
	})
}

// An address that leads to another server is followed by cutting connections, at
// a bounded rate, and calls that run meanwhile end.
func TestAddressLeadsElsewhere(t *testing.T) {
	old, next := redistest.StartTCP(t), redistest.StartTCP(t)
	relay := redistest.NewRelay(t, old)
	st, err := open(t, Config{URL: relay.URL()})
	if err != nil {
		t.Fatal(err)
	}
	old.Follow(next)
	tries := 0
	for range 20 {
		if err := st.Do(testCtx(t), "SET", "k", "v").Error(); err == nil {
			t.Fatal("a replica took a write")
		}
		tries++
	}
	if cuts := testutil.ToFloat64(st.metrics.cuts); cuts < 1 || cuts > 3 {
		t.Errorf("%v cuts in %d calls in a row, want one a second", cuts, tries)
	}
	relay.Switch(next)
	waitFor(t, "a write to the new master", func() bool { return st.Do(testCtx(t), "SET", "k", "new").Error() == nil })
	if got := next.CLI("GET", "k"); got != "new" {
		t.Errorf("the new master has %q", got)
	}
	st.conns.mu.Lock()
	defer st.conns.mu.Unlock()
	if n := len(st.conns.open); n > 1<<connsPow2 {
		t.Errorf("%d connections are kept", n)
	}
}
