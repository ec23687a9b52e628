package daemon_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

func monerodEndpoint(m *daemontest.Monerod) daemon.Endpoint {
	return daemon.Endpoint{URL: m.URL, ZMQ: m.ZMQ}
}

// The whole life with a real daemon: template, block, restart, notice.
func TestMonerod(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{})
	m.Generate(2)
	f := follow(t, fastConfig(m.Wallet, monerodEndpoint(m)), nil)
	tpl := f.waitHeight(m.Height())
	if tpl.Prev != m.BlockIDAt(tpl.Height-1) || tpl.Seed != m.BlockIDAt(0) || tpl.NextSeed != ([32]byte{}) {
		t.Fatalf("template %+v", tpl)
	}
	// At difficulty 1 every nonce solves the block.
	for i := range 3 {
		tpl = f.waitHeight(tpl.Height)
		id, block := solved(t, tpl, uint32(i))
		o := f.Submit(submitCx(t), id, block)
		if !o.Accepted || o.Alternative {
			t.Fatalf("outcome %+v", o)
		}
		if got := m.BlockIDAt(tpl.Height); got != id {
			t.Fatalf("block %d is %x, submitted %x", tpl.Height, got, id)
		}
		if h, err := f.HeaderByHeight(context.Background(), tpl.Height); err != nil || h.ID != id || h.Orphan {
			t.Fatalf("header %+v, %v", h, err)
		}
		if b, err := f.Block(context.Background(), id); err != nil || !bytes.Equal(b, block) {
			t.Fatalf("the daemon gives the block as %x, submitted was %x, %v", b, block, err)
		}
		if i == 0 { // again, and a rival of it
			if o := f.Submit(submitCx(t), id, block); !o.Accepted {
				t.Fatalf("repeated block: %+v", o)
			}
			rival, block := solved(t, tpl, 99)
			if o := f.Submit(submitCx(t), rival, block); !o.Accepted || !o.Alternative {
				t.Fatalf("rival block: %+v", o)
			}
		}
		tpl = f.waitHeight(tpl.Height + 1)
	}
	id, block := solved(t, tpl, 5)
	copy(block[7:39], make([]byte, 32)) // a parent that nobody knows: monerod says OK
	if o := f.Submit(submitCx(t), id, block); !o.Rejected {
		t.Fatalf("block without parent: %+v", o)
	}
	if o := f.Submit(submitCx(t), id, []byte{1, 2, 3}); !o.Rejected {
		t.Fatalf("three bytes as a block: %+v", o)
	}

	if b, err := f.Block(context.Background(), [32]byte{1}); err == nil {
		t.Errorf("a block nobody has: %x", b)
	}

	m.Kill()
	eventually(t, "daemon seen dead", func() bool { return !f.Status()[0].Healthy })
	m.Restart()
	m.Generate(1)
	f.waitHeight(m.Height())
	eventually(t, "healthy again", func() bool { return f.Status()[0].Healthy && f.Status()[0].Subscribed })
}

func TestMonerodNotice(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{})
	cfg := fastConfig(m.Wallet, monerodEndpoint(m))
	cfg.PollInterval, cfg.HealthInterval = time.Hour, time.Hour // only a notice can tell in time
	f := follow(t, cfg, nil)
	f.waitHeight(1)
	eventually(t, "subscribed", func() bool { return f.Status()[0].Subscribed })
	n := f.count()
	// The subscription may reach the publisher after the first block.
	eventually(t, "template after a notice", func() bool { m.Generate(1); return f.count() > n })
}

func TestMonerodFailover(t *testing.T) {
	a, b := daemontest.Start(t, daemontest.Options{}), daemontest.Start(t, daemontest.Options{})
	a.Generate(1)
	b.Generate(1)
	cfg := fastConfig(a.Wallet, monerodEndpoint(a), monerodEndpoint(b))
	cfg.SubmitLinger = time.Second // the first daemon will not come back for its copy of the block
	f := follow(t, cfg, nil)
	f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
	a.Kill()
	tpl := f.wait("template of the second", func(t *daemon.Template) bool { return t.Daemon == host(b.URL) })
	id, block := solved(t, tpl, 1)
	if o := f.Submit(submitCx(t), id, block); !o.Accepted || o.Daemon != host(b.URL) {
		t.Fatalf("outcome %+v", o)
	}
}

func TestMonerodLogin(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Login: "pool:s3cret"})
	right := daemon.Endpoint{URL: m.URL, Login: "pool:s3cret"}
	f := follow(t, fastConfig(m.Wallet, right), nil)
	tpl := f.wait("template", func(*daemon.Template) bool { return true })
	id, block := solved(t, tpl, 1) // runs beside the polls, on a connection of its own
	if o := f.Submit(submitCx(t), id, block); !o.Accepted {
		t.Fatalf("outcome %+v", o)
	}
	for name, login := range map[string]string{"wrong": "pool:wrong", "none": ""} {
		g := follow(t, fastConfig(m.Wallet, daemon.Endpoint{URL: m.URL, Login: login}), nil)
		eventually(t, name+" login refused", func() bool { return daemon.KindOf(g.Status()[0].LastError) == daemon.KindAuth })
		if g.count() != 0 {
			t.Errorf("%s login got a template", name)
		}
	}
}

// A testnet chain starts with block version 1 and cn/0: no seed that matters, other address.
func TestMonerodTestnet(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Network: "testnet"})
	f := follow(t, fastConfig(m.Wallet, monerodEndpoint(m)), nil)
	if tpl := f.wait("template", func(*daemon.Template) bool { return true }); tpl.Blob[0] != 1 {
		t.Errorf("major %d", tpl.Blob[0])
	}
}
