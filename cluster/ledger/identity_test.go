package ledger

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// One Redis' count of node prefixes is for all pools, and is lifted again after
// a rollback, in a cluster too, where it has a slot of its own.
func TestPrefixCountIsLifted(t *testing.T) {
	for name, start := range map[string]func() *redistest.Server{
		"standalone": func() *redistest.Server { return redistest.Start(t) },
		"cluster":    func() *redistest.Server { return redistest.StartCluster(t) },
	} {
		t.Run(name, func(t *testing.T) {
			st := openStore(t, start().URL())
			first := newBed(t, st, func(b *bed) { b.cfg.Heartbeat = 20 * time.Millisecond }).l
			other := newBed(t, st, func(b *bed) { b.cfg.Pool = "other" }).l
			if other.NodePrefix() <= first.NodePrefix() {
				t.Errorf("prefixes %d and %d of two pools", first.NodePrefix(), other.NodePrefix())
			}
			if err := st.Do(testCtx(t), "DEL", store.NodeNext).Error(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the count to be lifted", func() bool {
				n, err := st.Do(testCtx(t), "GET", store.NodeNext).AsInt64()
				return err == nil && n == int64(first.NodePrefix())
			})
		})
	}
}

// TestIdentity: a pool's keys are those of the coin and wallet that came first.
func TestIdentity(t *testing.T) {
	srv := redistest.Start(t)
	st := openStore(t, srv.URL())
	try := func(pool, coin, wallet string) error {
		j, err := journal.Open(journal.Config{Dir: t.TempDir()})
		if err != nil {
			return err
		}
		defer j.Close(context.Background())
		l, err := Open(testCtx(t), Config{Store: st, Journal: j, Pool: pool, Identity: Identity{Coin: coin, Wallet: wallet}})
		if err == nil {
			err = l.Close(context.Background())
		}
		return err
	}
	for _, c := range []struct {
		pool, coin, wallet string
		refused            bool
	}{
		{"default", "monero", "4abc", false},
		{"default", "monero", "4abc", false}, // another start, another node
		{"default", "monero", "4xyz", true},
		{"default", "monero-stagenet", "4abc", true},
		{"default", "haven", "hv1", true},
		{"second", "haven", "hv1", false},
		{"default", "monero", "4abc", false}, // the refused have changed nothing
	} {
		before := srv.CLI("GET", store.NodeNext)
		err := try(c.pool, c.coin, c.wallet)
		if (err != nil) != c.refused {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil {
			continue
		}
		if after := srv.CLI("GET", store.NodeNext); after != before {
			t.Errorf("%+v: a refused start took a node prefix", c)
		}
		for _, want := range []string{"--coin monero --wallet 4abc", "--coin " + c.coin + " --wallet " + c.wallet, "[pool NAME]", "--redis", "DEL '{default}:identity'"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: the refusal does not name %q: %v", c, want, err)
			}
		}
	}
	srv.CLI("DEL", "{default}:identity") // as the refusal says
	if err := try("default", "monero", "4xyz"); err != nil {
		t.Errorf("after the key was deleted: %v", err)
	}
	// Of many at once one wins.
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = try("race", "monero", fmt.Sprint("4w", i)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %d wallets have one pool", won, len(errs))
	}
}

// TestIdentityOfAnEmptiedRedis: a Redis that comes back empty belongs to the
// pool again with the next write, whether anything had been written or not.
func TestIdentityOfAnEmptiedRedis(t *testing.T) {
	b, srv := startBed(t, func(b *bed) { slow(b); b.cfg.Identity = Identity{Coin: "monero", Wallet: "w"} })
	for _, when := range []string{"before the first range", "after it", "after all came again"} {
		srv.CLI("FLUSHALL")
		b.credit("a", "b", 1)
		b.flush()
		if got := srv.CLI("HGET", b.l.keys.Identity(), "wallet"); got != "w" {
			t.Errorf("emptied %s: the wallet is %q", when, got)
		}
		conserved(t, b)
	}
}

// A Redis that comes back as another pool's is not written to.
func TestRedisOfAnotherPool(t *testing.T) {
	b, srv := startBed(t, func(b *bed) { b.cfg.Identity = Identity{Coin: "monero", Wallet: "w"} })
	b.credit("a", "b", 1)
	b.flush()
	srv.CLI("FLUSHALL")
	srv.CLI("HSET", b.l.keys.Identity(), "coin", "haven", "wallet", "hv", "layout", store.Layout)
	b.credit("a", "b", 2)
	waitFor(t, "a refusal", func() bool {
		err := b.l.Status().Err
		return err != nil && strings.Contains(err.Error(), "--coin haven --wallet hv")
	})
	if n := srv.CLI("EXISTS", b.l.keys.Marks(), b.l.keys.Stats()); n != "0" {
		t.Errorf("%s keys of the books were written", n)
	}
	srv.CLI("FLUSHALL")
	b.flush()
	conserved(t, b)
}

// Books of an earlier layout mean something else: they are neither read nor
// written over.
func TestEarlierLayout(t *testing.T) {
	for _, earlier := range [][]string{
		{"SET", "{default}:round:number", "7"},
		{"HSET", "{default}:round:current:total", "hashes", "7"},
		{"HSET", "{default}:identity", "coin", "monero", "wallet", "w"},
		{"HSET", "{default}:identity", "coin", "monero", "wallet", "w", "layout", "3"},
	} {
		srv := redistest.Start(t)
		srv.CLI(earlier...)
		before := srv.CLI("DEBUG", "DIGEST")
		j, err := journal.Open(journal.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{Store: openStore(t, srv.URL()), Journal: j, Pool: "default", Identity: Identity{Coin: "monero", Wallet: "w"}}
		_, err = Open(testCtx(t), cfg)
		if err == nil {
			t.Fatalf("%v was not refused", earlier)
		}
		layout := "1"
		if len(earlier) == 8 {
			layout = "3"
		}
		for _, want := range []string{"layout " + layout, "layout " + store.Layout, "[pool NAME]", "--redis", "--data-dir"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: the refusal does not name %q: %v", earlier, want, err)
			}
		}
		if err := Rebuild(testCtx(t), cfg, []*journal.Journal{j}); err == nil {
			t.Errorf("%v was rebuilt over", earlier)
		}
		if after := srv.CLI("DEBUG", "DIGEST"); after != before {
			t.Errorf("%v: a refused start has written", earlier)
		}
		j.Close(context.Background())
	}
}
