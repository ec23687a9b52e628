package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/assay-pool/assay/internal/logtest"
	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// zmq4's PUB socket, used by daemontest.Publisher, never ends its writer goroutine, Close or not.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/go-zeromq/zmq4.(*pubMWriter).run"))
}

// patience is how long a test waits for something that must come.
const patience = 60 * time.Second

// follower runs a client and records what it announces.
type follower struct {
	*daemon.Client
	tb   testing.TB
	mu   sync.Mutex
	got  []*daemon.Template
	kept int // times the last one was confirmed
	deny func(*daemon.Template) error
	log  *logtest.Handler
}

// fastConfig has intervals for tests: everything that waits waits little.
func fastConfig(wallet string, eps ...daemon.Endpoint) daemon.Config {
	return daemon.Config{Daemons: eps, Wallet: wallet, ReserveSize: 16,
		PollInterval: 20 * time.Millisecond, HealthInterval: 20 * time.Millisecond, RPCTimeout: 20 * time.Second,
		TxRefresh: time.Millisecond, MaxAge: time.Hour, NotifyGap: time.Millisecond,
		RefuseBackoff: 100 * time.Millisecond, RefuseBackoffMax: 200 * time.Millisecond,
		LagGrace: 50 * time.Millisecond, SubmitLinger: 20 * time.Second}
}

func follow(tb testing.TB, cfg daemon.Config, deny func(*daemon.Template) error) *follower {
	tb.Helper()
	unlocked := logtest.New(tb)
	if cfg.Log == nil {
		cfg.Log = slog.New(unlocked)
	}
	c, err := daemon.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	unlocked.Watch(func() { c.Status() }) // takes the client's lock and each daemon's
	f := &follower{Client: c, tb: tb, deny: deny, log: unlocked}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, f.accept, f.confirm) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
		closeCx, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		if err := c.Close(closeCx); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return f
}

func (f *follower) accept(t *daemon.Template) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deny != nil {
		if err := f.deny(t); err != nil {
			return err
		}
	}
	f.got = append(f.got, t)
	return nil
}

func (f *follower) confirm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept++
}

func (f *follower) confirmed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

// wait for a template that passes ok; the last one announced is looked at.
func (f *follower) wait(what string, ok func(*daemon.Template) bool) *daemon.Template {
	f.tb.Helper()
	var t *daemon.Template
	eventually(f.tb, what, func() bool {
		f.mu.Lock()
		if len(f.got) > 0 {
			t = f.got[len(f.got)-1]
		}
		f.mu.Unlock()
		return t != nil && ok(t)
	})
	return t
}

func (f *follower) waitHeight(h uint64) *daemon.Template {
	f.tb.Helper()
	return f.wait("template of the height", func(t *daemon.Template) bool { return t.Height == h })
}

// eventually polls a condition until it holds.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			tb.Fatalf("%s: not within %s", what, patience)
		case <-tick.C:
		}
	}
}

func host(url string) string { return url[len("http://"):] }

// submitCx ends with the patience of the test.
func submitCx(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

var errRefused = daemon.Refused(errors.New("refused by the test"))

func fakeEndpoint(f *daemontest.Fake) daemon.Endpoint { return daemon.Endpoint{URL: f.URL} }
