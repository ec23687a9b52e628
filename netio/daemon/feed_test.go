package daemon_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// count is the number of lines with the words.
func (l *logged) count(words string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Nobody tells an operator more clearly than the log that an address is wrong: the daemon answers and
// is healthy, only its notices never come.
func TestWrongZMQAddressIsTold(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{})
	for name, c := range map[string]struct{ zmq, want string }{
		"the ZMQ-RPC port": {m.ZMQRPC, "zmtp handshake"},
		"the HTTP port":    {"tcp" + strings.TrimPrefix(m.URL, "http"), "zmtp handshake"},
		"nobody listens":   {"tcp://127.0.0.1:" + daemontest.FreePorts(t, 1)[0], "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logged
			cfg := fastConfig(m.Wallet, daemon.Endpoint{URL: m.URL, ZMQ: c.zmq})
			cfg.Log = log.logger()
			f := follow(t, cfg, nil)
			eventually(t, "the log", func() bool { return log.count("--zmq-pub") > 0 })
			if log.count(c.want) != 1 {
				t.Errorf("the log does not say %q:\n%s", c.want, &log.buf)
			}
			// The daemon itself is well, which the first poll tells.
			eventually(t, "the status", func() bool { s := f.Status()[0]; return !s.Subscribed && s.Feed != "" && s.Healthy })
			if n := log.count("no ZMQ notices"); n != 1 {
				t.Errorf("told %d times in the first minute", n)
			}
		})
	}
}

// A publisher that stands and says nothing is found out by the first block that a poll sees.
func TestMuteFeedIsCut(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{})
	pub := daemontest.NewPublisher(t)
	var log logged
	reg := prometheus.NewRegistry()
	cfg := fastConfig(fake.Wallet, daemon.Endpoint{URL: fake.URL, ZMQ: pub.Addr})
	cfg.Log, cfg.Registerer = log.logger(), reg
	f := follow(t, cfg, nil)
	f.waitHeight(100)
	eventually(t, "the feed", func() bool { return f.Status()[0].Subscribed })
	missed := func() float64 {
		return counted(t, reg, "assay_daemon_notices_missed_total", map[string]string{"daemon": host(fake.URL)})
	}
	extend := func(announced bool) {
		t.Helper()
		// The feed must have stood at the poll before the block.
		polls := fake.Calls("get_info")
		eventually(t, "two polls", func() bool { return fake.Calls("get_info") >= polls+2 })
		fake.Extend(1)
		if announced {
			pub.Block()
		}
	}
	extend(false)
	eventually(t, "the missed block", func() bool { return missed() == 1 })
	eventually(t, "the log", func() bool { return log.count("no notice announced") == 1 })
	// That it stands again proves nothing.
	eventually(t, "the feed again", func() bool { return f.Status()[0].Subscribed })
	up := func() float64 { return counted(t, reg, "assay_daemon_zmq_up", nil) }
	if s := f.Status()[0]; up() != 0 || !strings.Contains(s.Feed, "no notice announced") {
		t.Errorf("up %v, feed %q", up(), s.Feed)
	}
	// PUB drops what it publishes before it has seen the subscription.
	eventually(t, "notices again", func() bool { pub.Block(); return log.count("notices come again") == 1 })
	if s := f.Status()[0]; up() != 1 || s.Feed != "" {
		t.Errorf("after a notice up %v, feed %q", up(), s.Feed)
	}
	extend(true)
	seen := time.Now()
	eventually(t, "the time a notice has", func() bool { return time.Since(seen) > 3*time.Second })
	if n := missed(); n != 1 {
		t.Errorf("%v blocks missed, the second was announced", n)
	}
}

// A daemon that cannot be used from the start says why at once, and names the flag.
func TestUnusableDaemonIsTold(t *testing.T) {
	gone := "http://127.0.0.1:" + daemontest.FreePorts(t, 1)[0]
	var log logged
	cfg := fastConfig(daemontest.WalletMainnet, daemon.Endpoint{URL: gone})
	cfg.Log = log.logger()
	follow(t, cfg, nil)
	eventually(t, "the log", func() bool { return log.count("connection refused") > 0 })
	if n := log.count("cannot be used (--daemon)"); n != 1 {
		t.Errorf("told %d times in the first minute", n)
	}
}

// monerod answers https with a certificate of its own making, which is in its data folder.
func TestMonerodCertificate(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{})
	url := "https" + strings.TrimPrefix(m.URL, "http")
	conn, err := tls.Dial("tcp", host(m.URL), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw)
	conn.Close()
	pin := hex.EncodeToString(sum[:])

	var log logged
	cfg := fastConfig(m.Wallet, daemon.Endpoint{URL: url})
	cfg.Log = log.logger()
	f := follow(t, cfg, nil)
	eventually(t, "the log", func() bool { return log.count("fingerprint="+pin) > 0 })
	if s := f.Status()[0]; s.Healthy || !strings.Contains(s.Reason, "certificate not trusted") {
		t.Errorf("status %+v", s)
	}
	for name, c := range map[string]struct {
		ca   string
		pins []string
	}{"fingerprint": {"", []string{pin}}, "ca": {filepath.Join(m.Dir, "rpc_ssl.crt"), nil}} {
		t.Run(name, func(t *testing.T) {
			trust, err := daemon.NewTrust(c.ca, c.pins)
			if err != nil {
				t.Fatal(err)
			}
			follow(t, fastConfig(m.Wallet, daemon.Endpoint{URL: url, Trust: trust}), nil).waitHeight(m.Height())
		})
	}
}

// The scheme of the URL is not the daemon's: the reason says which one to write.
func TestWrongSchemeIsTold(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{TLS: true})
	plain := daemontest.NewFake(t, daemontest.FakeOptions{})
	for name, c := range map[string]struct {
		url, want string
		kind      daemon.Kind
	}{
		"http where TLS is wanted":  {"http" + strings.TrimPrefix(m.URL, "https"), "wants https:// in --daemon", daemon.KindUnreachable},
		"https where there is none": {"https" + strings.TrimPrefix(plain.URL, "http"), "write http:// in --daemon", daemon.KindTLS},
		"https at a ZMQ port":       {"https" + strings.TrimPrefix(m.ZMQ, "tcp"), "write http:// in --daemon", daemon.KindTLS},
		"not trusted":               {m.URL, "certificate not trusted", daemon.KindTLS},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, fastConfig(m.Wallet, daemon.Endpoint{URL: c.url}), nil)
			eventually(t, "a reason", func() bool { return f.Status()[0].LastError != nil })
			if s := f.Status()[0]; !strings.Contains(s.Reason, c.want) || daemon.KindOf(s.LastError) != c.kind {
				t.Errorf("reason %q of kind %s, want %q of kind %s", s.Reason, daemon.KindOf(s.LastError), c.want, c.kind)
			}
		})
	}
}
