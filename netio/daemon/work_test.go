package daemon_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// Transactions that come all the time and pay nothing more must not keep the template from being
// renewed at its age, and each fetch confirms it.
func TestSteadyTransactionsDoNotAgeTheTemplate(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 3})
	pub := daemontest.NewPublisher(t)
	cfg := fastConfig(fake.Wallet, daemon.Endpoint{URL: fake.URL, ZMQ: pub.Addr})
	cfg.MaxAge = 300 * time.Millisecond
	f := follow(t, cfg, nil)
	f.waitHeight(100)
	begin := time.Now()
	eventually(t, "three renewals", func() bool {
		fake.SetTxs(3) // only the timestamp moves
		pub.Tx()
		return f.count() >= 4
	})
	if f.confirmed() == 0 {
		t.Error("no fetch has confirmed the template")
	}
	if most := int(time.Since(begin)/cfg.MaxAge) + 2; f.count() > most {
		t.Errorf("%d announcements, at most %d of them are due", f.count(), most)
	}
}

// A daemon that gives the same bytes again says that they are as good as new.
func TestSameTemplateIsConfirmed(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 1})
	cfg := fastConfig(fake.Wallet, fakeEndpoint(fake))
	cfg.MaxAge = 30 * time.Millisecond
	f := follow(t, cfg, nil)
	f.waitHeight(100)
	eventually(t, "three confirmations", func() bool { return f.confirmed() >= 3 })
	if n := f.count(); n != 1 {
		t.Errorf("%d announcements of one template", n)
	}
}

// A template with a transaction that has left the daemon's pool can be no block any more: it is
// replaced though the next one pays less.
func TestTemplateThatCanBeNoBlockIsReplaced(t *testing.T) {
	t.Run("a transaction left", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 4})
		cfg := fastConfig(fake.Wallet, fakeEndpoint(fake))
		cfg.TxRefresh = time.Hour // what has left is no matter of fees
		f := follow(t, cfg, nil)
		first := f.waitHeight(100)
		fake.SetReward(first.ExpectedReward - 1)
		fake.SetTxs(3)
		f.wait("the poorer template", func(t *daemon.Template) bool { return t.ExpectedReward < first.ExpectedReward })
	})
	t.Run("another came in its place", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 4})
		pub := daemontest.NewPublisher(t)
		f := follow(t, fastConfig(fake.Wallet, daemon.Endpoint{URL: fake.URL, ZMQ: pub.Addr}), nil)
		first := f.waitHeight(100)
		fake.SetReward(first.ExpectedReward - 1)
		fake.ReplaceTx(2)
		eventually(t, "the poorer template", func() bool {
			pub.Tx()
			return f.Template().ExpectedReward < first.ExpectedReward
		})
	})
	t.Run("all are still there", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 4})
		pub := daemontest.NewPublisher(t)
		f := follow(t, fastConfig(fake.Wallet, daemon.Endpoint{URL: fake.URL, ZMQ: pub.Addr}), nil)
		first := f.waitHeight(100)
		fake.SetReward(first.ExpectedReward - 1)
		eventually(t, "confirmations", func() bool { pub.Tx(); return f.confirmed() >= 3 })
		if f.Template() != first {
			t.Error("every miner got a new job for a template that pays less")
		}
	})
}

func TestRefusedBlock(t *testing.T) {
	no := func(daemontest.Candidate) error { return errors.New("no") }
	still := func(cfg daemon.Config) daemon.Config { // nothing but the refused block can ask for a template
		cfg.TxRefresh, cfg.MaxAge = time.Hour, time.Hour
		return cfg
	}
	// firstOf gives the first daemon's template, the second joining after it.
	firstOf := func(f *follower, a, b *daemontest.Fake) *daemon.Template {
		tpl := f.wait("template of the first", func(t *daemon.Template) bool { return t.Daemon == host(a.URL) })
		b.SetSynced(true)
		eventually(t, "the second is well", func() bool { return f.Status()[1].Healthy })
		return tpl
	}
	t.Run("the only daemon", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		fake.CheckBlock(no)
		reg := prometheus.NewRegistry()
		cfg := still(fastConfig(fake.Wallet, fakeEndpoint(fake)))
		cfg.Registerer = reg
		f := follow(t, cfg, nil)
		tpl := f.waitHeight(100)
		for n := 2; n < 5; n++ {
			id, block := solved(t, tpl, uint32(n))
			if o := f.Submit(submitCx(t), id, block); !o.Rejected {
				t.Fatalf("outcome %+v", o)
			}
			eventually(t, "another template", func() bool { return f.count() == n })
		}
		if s := f.Status()[0]; !s.Healthy {
			t.Errorf("the only daemon was left alone: %+v", s)
		}
		if n := counted(t, reg, "assay_daemon_templates_total", map[string]string{"result": "refused_block"}); n != 3 {
			t.Errorf("%v templates counted as those of a refused block, want 3", n)
		}
		fetches := fake.Calls("get_block_template")
		polls := fake.Calls("get_info")
		eventually(t, "more polls", func() bool { return fake.Calls("get_info") > polls+10 })
		if n := fake.Calls("get_block_template"); n != fetches {
			t.Errorf("%d more fetches with nothing new", n-fetches)
		}
	})
	t.Run("another daemon has another template", func(t *testing.T) {
		a := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		b := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		b.Join(a)
		a.CheckBlock(no)
		b.CheckBlock(no)
		cfg := still(fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b)))
		cfg.RefuseBackoff, cfg.RefuseBackoffMax = time.Hour, time.Hour
		b.SetSynced(false)
		f := follow(t, cfg, nil)
		tpl := firstOf(f, a, b)
		id, block := solved(t, tpl, 1)
		if o := f.Submit(submitCx(t), id, block); !o.Rejected {
			t.Fatalf("outcome %+v", o)
		}
		f.wait("template of the second", func(t *daemon.Template) bool { return t.Daemon == host(b.URL) })
		if s := f.Status()[0]; daemon.KindOf(s.LastError) != daemon.KindRefused {
			t.Errorf("status of the first: %+v", s)
		}
	})
	t.Run("a daemon that hangs is not waited for", func(t *testing.T) {
		a := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		b := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		b.Join(a)
		a.CheckBlock(no)
		cfg := still(fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b)))
		cfg.RPCTimeout = time.Second // the one that hangs is asked for another template first
		b.SetSynced(false)
		f := follow(t, cfg, nil)
		tpl := firstOf(f, a, b)
		b.Hold()
		n := f.count()
		id, block := solved(t, tpl, 1)
		answered := make(chan daemon.Outcome, 1)
		go func() { answered <- f.Submit(submitCx(t), id, block) }()
		eventually(t, "another template", func() bool { return f.count() > n })
		select {
		case o := <-answered:
			t.Errorf("the block has its outcome already, so this shows nothing: %+v", o)
		default:
		}
		b.Release()
		<-answered
	})
	t.Run("its daemon is gone, another refuses", func(t *testing.T) {
		a := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		b := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		b.Join(a)
		b.SetSynced(false)
		f := follow(t, still(fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))), nil)
		tpl := firstOf(f, a, b)
		a.Down()
		eventually(t, "the second is in use", func() bool { return f.Status()[1].Active })
		id, block := solved(t, tpl, 1)
		ctx, cancel := context.WithTimeout(submitCx(t), time.Second) // the first is tried until then
		defer cancel()
		if o := f.Submit(ctx, id, block); !o.Rejected {
			t.Fatalf("outcome %+v", o)
		}
		f.wait("template of the second", func(t *daemon.Template) bool { return t.Daemon == host(b.URL) })
	})
	t.Run("the chain has moved on", func(t *testing.T) {
		fake := daemontest.NewFake(t, daemontest.FakeOptions{Txs: 2})
		f := follow(t, still(fastConfig(fake.Wallet, fakeEndpoint(fake))), nil)
		old := f.waitHeight(100)
		fake.Extend(1)
		f.waitHeight(101)
		n := f.count()
		id, block := solved(t, old, 1)
		if o := f.Submit(submitCx(t), id, block); !o.Rejected {
			t.Fatalf("outcome %+v", o)
		}
		polls := fake.Calls("get_info")
		eventually(t, "more polls", func() bool { return fake.Calls("get_info") > polls+10 })
		if f.count() != n {
			t.Error("a late block replaced the template on the new tip")
		}
	})
}

// After our own block everybody's hashes are for nothing until the next job: its template is not
// left to a poll or a notice.
func TestOwnBlockBringsTheNextTemplate(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{})
	cfg := fastConfig(fake.Wallet, fakeEndpoint(fake))
	cfg.PollInterval, cfg.HealthInterval, cfg.NotifyGap = time.Hour, time.Hour, time.Hour
	f := follow(t, cfg, nil)
	tpl := f.waitHeight(100)
	for height := uint64(100); height < 104; height++ {
		polls, fetches := fake.Calls("get_info"), fake.Calls("get_block_template")
		id, block := solved(t, tpl, 1)
		if o := f.Submit(submitCx(t), id, block); !o.Accepted {
			t.Fatalf("outcome %+v", o)
		}
		tpl = f.waitHeight(height + 1)
		if tpl.Prev != id {
			t.Fatal("the next template is not on our block")
		}
		if n := fake.Calls("get_info"); n != polls {
			t.Errorf("%d polls before the template", n-polls)
		}
		if n := fake.Calls("get_block_template"); n != fetches+1 {
			t.Errorf("%d fetches for one block", n-fetches)
		}
	}
}

// The daemon whose answer comes second is the one in use: it is as much in need of a new template as
// if it had been first.
func TestOwnBlockTakenByAnotherFirst(t *testing.T) {
	a := daemontest.NewFake(t, daemontest.FakeOptions{})
	b := daemontest.NewFake(t, daemontest.FakeOptions{})
	b.Join(a)
	for _, fake := range []*daemontest.Fake{a, b} { // a fake takes blocks of templates it has given
		follow(t, fastConfig(fake.Wallet, fakeEndpoint(fake)), nil).waitHeight(100)
	}
	taken := make(chan struct{})
	a.CheckBlock(func(daemontest.Candidate) error { <-taken; return nil })
	cfg := fastConfig(a.Wallet, fakeEndpoint(a), fakeEndpoint(b))
	cfg.PollInterval, cfg.HealthInterval, cfg.NotifyGap = time.Hour, time.Hour, time.Hour
	f := follow(t, cfg, nil)
	tpl := f.waitHeight(100) // of either, they are the same
	eventually(t, "the first is in use", func() bool { return f.Status()[0].Active })
	id, block := solved(t, tpl, 1)
	if o := f.Submit(submitCx(t), id, block); !o.Accepted || o.Daemon != host(b.URL) {
		t.Fatalf("outcome %+v", o)
	}
	close(taken)
	f.wait("template on our block", func(t *daemon.Template) bool { return t.Prev == id && t.Daemon == host(a.URL) })
}
