package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
	"github.com/assay-pool/assay/validator/blob"
)

// solved fills a template in and gives the block's id by the production parser.
func solved(tb testing.TB, t *daemon.Template, nonce uint32) (id [32]byte, block []byte) {
	tb.Helper()
	p, err := blob.Parse(blob.CryptoNote, t.Blob, 16)
	if err != nil {
		tb.Fatal(err)
	}
	extra := make([]byte, 16)
	extra[0] = byte(nonce)
	block = p.AppendBlock(nil, extra, nonce)
	h := p.AppendHashing(nil, extra)
	off := p.HashingNonceOffset()
	copy(h[off:off+4], block[p.NonceOffset:p.NonceOffset+4])
	return blob.BlockID(h), block
}

func TestSubmit(t *testing.T) {
	reject := func(daemontest.Candidate) error { return errors.New("no") }
	// Two daemons on the same tip would need the same templates; the second one here never issued
	// the first one's template and so always rejects its block.
	for name, c := range map[string]struct {
		script func(a, b *daemontest.Fake)
		want   func(o daemon.Outcome) bool
	}{
		"accepted by one, rejected by another": {func(a, b *daemontest.Fake) {},
			func(o daemon.Outcome) bool { return o.Accepted && !o.Alternative }},
		"rejected by both": {func(a, b *daemontest.Fake) { a.CheckBlock(reject) },
			func(o daemon.Outcome) bool { return o.Rejected && o.Results[0].Answer == daemon.AnswerRejected }},
		"answer lost, known already": {func(a, b *daemontest.Fake) { a.LoseSubmitAnswers(1) },
			func(o daemon.Outcome) bool { return o.Accepted && o.Detail == "known already" }},
		"the other one is down": {func(a, b *daemontest.Fake) { b.Down() },
			func(o daemon.Outcome) bool { return o.Accepted }},
		"says OK to anything": {func(a, b *daemontest.Fake) {
			a.SetReply("submit_block", `{"jsonrpc":"2.0","id":"0","result":{"status":"OK","untrusted":false}}`)
		}, func(o daemon.Outcome) bool { return o.Rejected }},
	} {
		t.Run(name, func(t *testing.T) {
			a := daemontest.NewFake(t, daemontest.FakeOptions{})
			b := daemontest.NewFake(t, daemontest.FakeOptions{})
			cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
			cfg.SubmitLinger = 50 * time.Millisecond
			f := follow(t, cfg, nil)
			id, block := solved(t, f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) }), 7)
			c.script(a, b)
			o := f.Submit(submitCx(t), id, block)
			if !c.want(o) {
				t.Fatalf("outcome %+v", o)
			}
			n := 0
			for _, is := range []bool{o.Accepted, o.Rejected, o.Unreachable} {
				if is {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d of the three outcomes at once: %+v", n, o)
			}
			if o.Accepted {
				if a.Tip() != id {
					t.Error("the accepted block is not the tip")
				}
				f.waitHeight(101)
			}
		})
	}
}

// All daemons get the block: one that is down when another accepts it gets it when it is back.
func TestSubmitReachesAllDaemons(t *testing.T) {
	a := daemontest.NewFake(t, daemontest.FakeOptions{})
	b := daemontest.NewFake(t, daemontest.FakeOptions{})
	f := follow(t, fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b)), nil)
	id, block := solved(t, f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) }), 1)
	b.Down()
	if o := f.Submit(submitCx(t), id, block); !o.Accepted {
		t.Fatalf("outcome %+v", o)
	}
	b.Up()
	eventually(t, "the block at the other daemon", func() bool { return len(b.Submitted()) > 0 })
}

func TestSubmitUnreachable(t *testing.T) {
	for name, script := range map[string]func(*daemontest.Fake){
		"down":     (*daemontest.Fake).Down,
		"busy":     func(f *daemontest.Fake) { f.SetBusy(true) },
		"http 503": func(f *daemontest.Fake) { f.SetHTTPStatus(503) },
		"garbage":  func(f *daemontest.Fake) { f.SetReply("submit_block", "<html>") },
		"hangs":    (*daemontest.Fake).Hold,
	} {
		t.Run(name, func(t *testing.T) {
			fake := daemontest.NewFake(t, daemontest.FakeOptions{})
			f := follow(t, fastConfig(fake.Wallet, fakeEndpoint(fake)), nil)
			id, block := solved(t, f.waitHeight(100), 1)
			script(fake)
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			o := f.Submit(ctx, id, block)
			if !o.Unreachable || o.Accepted || o.Rejected || o.Detail == "" {
				t.Fatalf("outcome %+v", o)
			}
		})
	}
}

// An outage that ends is waited out.
func TestSubmitRetries(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{})
	f := follow(t, fastConfig(fake.Wallet, fakeEndpoint(fake)), nil)
	id, block := solved(t, f.waitHeight(100), 1)
	fake.SetBusy(true)
	tried := fake.Calls("submit_block")
	out := make(chan daemon.Outcome, 1)
	go func() { out <- f.Submit(submitCx(t), id, block) }()
	eventually(t, "two tries", func() bool { return fake.Calls("submit_block") >= tried+2 })
	fake.SetBusy(false)
	o := <-out
	if !o.Accepted || o.Results[0].Tries < 3 {
		t.Fatalf("outcome %+v", o)
	}
}

// orphanHeader is get_block_header_by_hash's answer for a block beside the main chain.
func orphanHeader(id [32]byte) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":"0","result":{"status":"OK","untrusted":false,"block_header":{"hash":"%x","prev_hash":"%x","height":100,"reward":1,"orphan_status":true}}}`, id, [32]byte{1})
}

// absent is its answer for a block it does not have.
const absent = `{"jsonrpc":"2.0","id":"0","error":{"code":-5,"message":"Internal error"}}`

const replyOK = `{"jsonrpc":"2.0","id":"0","result":{"status":"OK","untrusted":false}}`

// counted reads one counter or gauge, of one daemon or of none.
func counted(t *testing.T, reg *prometheus.Registry, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			match := f.GetName() == name
			for _, l := range m.GetLabel() {
				if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
					match = false
				}
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() // it has one of the two
			}
		}
	}
	return sum
}

// A daemon whose chain has a rival of our block says nothing about the others: the one that has the
// block on its main chain is waited for, but not for ever.
func TestSubmitAlternative(t *testing.T) {
	for name, c := range map[string]struct {
		wait   time.Duration
		answer bool // the other daemon does
	}{
		"the other has it on its main chain": {patience, true},
		"the other hangs":                    {50 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := daemontest.NewFake(t, daemontest.FakeOptions{})
			b := daemontest.NewFake(t, daemontest.FakeOptions{})
			reg := prometheus.NewRegistry()
			cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
			cfg.AlternativeWait, cfg.Registerer = c.wait, reg
			f := follow(t, cfg, nil)
			id, block := solved(t, f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) }), 3)
			b.SetReply("submit_block", replyOK)
			b.SetReply("get_block_header_by_hash", orphanHeader(id))
			a.Hold()
			out := make(chan daemon.Outcome, 1)
			go func() { out <- f.Submit(submitCx(t), id, block) }()
			eventually(t, "the alternative", func() bool {
				return counted(t, reg, "assay_daemon_submits_total", map[string]string{"daemon": host(b.URL), "result": "accepted"}) == 1
			})
			if c.answer {
				a.Release()
			}
			o := <-out
			a.Release()
			switch {
			case c.answer && (!o.Accepted || o.Alternative || o.Daemon != host(a.URL)):
				t.Errorf("a block on a main chain: %+v", o)
			case !c.answer && (!o.Unreachable || o.Daemon != host(a.URL) || o.Results[0].Answer != daemon.AnswerNone || !o.Results[1].Alternative):
				t.Errorf("a block beside the only chain heard of, another daemon not heard of: %+v", o)
			}
			if at := f.Locate(submitCx(t), id); c.answer && at.Daemon != host(a.URL) {
				t.Errorf("located %+v; one daemon has the block on its main chain", at)
			}
		})
	}
}

// An OK says nothing about the chain: monerod says it to a block beside its main chain, too. While the
// daemon cannot be asked, nobody knows.
func TestSubmitUnconfirmed(t *testing.T) {
	const busy = `{"jsonrpc":"2.0","id":"0","result":{"status":"BUSY","untrusted":false}}`
	main := func(id [32]byte) string {
		return strings.Replace(orphanHeader(id), `"orphan_status":true`, `"orphan_status":false`, 1)
	}
	for name, c := range map[string]struct {
		later func(id [32]byte) string // the daemon's answer once it can be asked; nil = it never can
		other bool                     // a second daemon rejects the block
		want  func(daemon.Outcome) bool
	}{
		"never answered": {nil, false, func(o daemon.Outcome) bool { return o.Unreachable }},
		"never answered, and refused by another": {nil, true, func(o daemon.Outcome) bool {
			return o.Unreachable && o.Results[1].Answer == daemon.AnswerRejected
		}},
		"on the main chain":       {main, false, func(o daemon.Outcome) bool { return o.Accepted && !o.Alternative }},
		"beside the main chain":   {orphanHeader, false, func(o daemon.Outcome) bool { return o.Accepted && o.Alternative }},
		"never heard of":          {func([32]byte) string { return absent }, false, func(o daemon.Outcome) bool { return o.Rejected }},
		"refused, then it had it": {main, true, func(o daemon.Outcome) bool { return o.Accepted && !o.Alternative }},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := daemontest.NewFake(t, daemontest.FakeOptions{}), daemontest.NewFake(t, daemontest.FakeOptions{})
			eps := []daemon.Endpoint{fakeEndpoint(a)}
			if c.other {
				eps = append(eps, fakeEndpoint(b))
			}
			f := follow(t, fastConfig(a.Wallet, eps...), nil)
			id, block := solved(t, f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) }), 7)
			a.SetReply("submit_block", replyOK)
			a.SetReply("get_block_header_by_hash", busy)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			out := make(chan daemon.Outcome, 1)
			go func() { out <- f.Submit(ctx, id, block) }()
			asked := a.Calls("get_block_header_by_hash")
			eventually(t, "two questions", func() bool {
				return a.Calls("get_block_header_by_hash") >= asked+2 && (!c.other || b.Calls("get_block_header_by_hash") > 0)
			})
			if c.later == nil {
				cancel()
			} else {
				a.SetReply("get_block_header_by_hash", c.later(id))
			}
			if o := <-out; !c.want(o) {
				t.Errorf("outcome %+v", o)
			}
			if n := a.Calls("submit_block"); n != 1 {
				t.Errorf("the block was sent %d times to a daemon that said OK", n)
			}
		})
	}
}

// Only a daemon that may have read the block leaves a refused one open: not one that was never
// connected to, shows a certificate nobody trusts, speaks another protocol, or has another service
// on that port.
func TestSubmitLostAnswerStaysOpen(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what this is about
	secure.StartTLS()
	defer secure.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for name, c := range map[string]struct {
		url  string // of the daemon that does not answer; "" = a's
		set  func(a *daemontest.Fake)
		open bool
	}{
		"answer lost":         {"", func(a *daemontest.Fake) { a.SetReply("submit_block", "<html>") }, true},
		"server error":        {"", func(a *daemontest.Fake) { a.SetHTTPStatus(http.StatusBadGateway) }, true},
		"nobody listens":      {"", (*daemontest.Fake).Down, false}, // before any connection: one that breaks may have carried the block
		"not trusted":         {secure.URL, nil, false},
		"no TLS":              {"https" + strings.TrimPrefix(other.URL, "http"), nil, false},
		"another web service": {other.URL, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := daemontest.NewFake(t, daemontest.FakeOptions{}), daemontest.NewFake(t, daemontest.FakeOptions{})
			b.CheckBlock(func(daemontest.Candidate) error { return errors.New("no") })
			if c.set != nil {
				c.set(a)
			}
			if c.url == "" {
				c.url = a.URL
			}
			reg := prometheus.NewRegistry()
			cfg := fastConfig(b.Wallet, fakeEndpoint(b), daemon.Endpoint{URL: c.url})
			cfg.Registerer = reg
			f := follow(t, cfg, nil)
			id, block := solved(t, f.wait("template", func(t *daemon.Template) bool { return t.Daemon == host(b.URL) }), 7)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			out := make(chan daemon.Outcome, 1)
			go func() { out <- f.Submit(ctx, id, block) }()
			eventually(t, "a try, and the refusal of the second", func() bool {
				return b.Calls("get_block_header_by_hash") > 0 &&
					calls(t, reg, "submit_block", c.url[strings.Index(c.url, "//")+2:]) > 0
			})
			cancel()
			if o := <-out; o.Unreachable != c.open || o.Rejected == c.open {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

// calls is how many calls of a method to a daemon have ended.
func calls(t *testing.T, reg *prometheus.Registry, method, daemon string) (n uint64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "assay_daemon_call_seconds" && labels["method"] == method && labels["daemon"] == daemon {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

// A daemon that hangs delays the delivery of old blocks to it, never a new block to the others.
func TestHungDaemonShedsNoBlock(t *testing.T) {
	const blocks = 70 // more than may be on their way, or linger
	a := daemontest.NewFake(t, daemontest.FakeOptions{})
	b := daemontest.NewFake(t, daemontest.FakeOptions{})
	reg := prometheus.NewRegistry()
	cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
	cfg.Registerer, cfg.SubmitLinger, cfg.SubmitTimeout = reg, time.Hour, time.Hour
	f := follow(t, cfg, nil)
	f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
	b.Hold()
	for i := range blocks {
		id, block := solved(t, f.waitHeight(100+uint64(i)), 1)
		if o := f.Submit(submitCx(t), id, block); !o.Accepted || o.Alternative {
			t.Fatalf("block %d: %+v", i, o)
		}
	}
	if n := counted(t, reg, "assay_daemon_linger_shed_total", nil); n != blocks-64 {
		t.Errorf("%v deliveries were given up, want %d", n, blocks-64)
	}
	if n := counted(t, reg, "assay_daemon_submit_shed_total", nil); n != 0 {
		t.Errorf("%v blocks were shed", n)
	}
	b.Release() // refuses them all, which ends the lingerers
}
