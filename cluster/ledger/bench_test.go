package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// BenchmarkApply is the cost of one batch, Redis' own time included.
func BenchmarkApply(b *testing.B) {
	for _, wallets := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("wallets-%d", wallets), func(b *testing.B) {
			srv := redistest.Start(b, "--appendfsync", "everysec")
			l := openLedger(b, openStore(b, srv), func(c *Config) { c.FlushInterval = time.Hour })
			names := make([]string, wallets)
			for i := range names {
				names[i] = fmt.Sprintf("4%094d", i)
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, w := range names {
					credit(b, l, w, "rig", 120000)
				}
				flush(b, l)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*wallets), "µs/wallet")
		})
	}
}

// BenchmarkCredit is the cost of a share on the event loop's side.
func BenchmarkCredit(b *testing.B) {
	l := openLedger(b, openStore(b, redistest.Start(b)), func(c *Config) { c.FlushInterval = DefaultFlushInterval })
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("4%094d", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		credit(b, l, names[i%len(names)], "rig", 120000)
		i++
	}
}

// BenchmarkCommandsPerShare credits 10,000 shares a second from 1000 wallets at
// the default flush interval, one op = one second, and counts what reached
// Redis.
func BenchmarkCommandsPerShare(b *testing.B) {
	l := openLedger(b, openStore(b, redistest.Start(b, "--appendfsync", "everysec")), func(c *Config) { c.FlushInterval = DefaultFlushInterval })
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("4%094d", i)
	}
	before := testutil.ToFloat64(l.metrics.calls)
	shares := 0
	for b.Loop() {
		tick := time.NewTicker(10 * time.Millisecond)
		for range 100 { // 100 shares every 10 ms
			<-tick.C
			for range 100 {
				if err := l.Credit(Credit{Wallet: names[shares%len(names)], Worker: "rig", Difficulty: 120000, Time: time.Now()}); err != nil {
					b.Fatal(err)
				}
				shares++
			}
		}
		tick.Stop()
	}
	flush(b, l)
	b.ReportMetric((testutil.ToFloat64(l.metrics.calls)-before)/float64(shares), "commands/share")
}

// BenchmarkCreditFolding is the cost of a credit while a full ledger is folded,
// which is how long a refused share on an event loop may have to wait. cells/op
// does not depend on the entries there are; the time of a cell does a little
// (caches, and whether it has a minute to lose).
func BenchmarkCreditFolding(b *testing.B) {
	for _, entries := range []int{10_000, 200_000} {
		b.Run(fmt.Sprintf("entries-%d", entries), func(b *testing.B) {
			l := bareLedger(b, entries)
			names := make([]string, entries*9/10)
			for i := range names {
				names[i] = fmt.Sprint(i)
				credit(b, l, "w", names[i], 1)
			}
			minute, i := 1, 0
			before := l.folding.visited
			b.ReportAllocs()
			for b.Loop() {
				if !l.folding.running {
					minute++ // a pass begins again
				}
				l.Credit(Credit{Wallet: "w", Worker: names[i%len(names)], Difficulty: 1, Time: noon.Add(time.Duration(minute) * time.Minute)})
				i++
			}
			b.ReportMetric(float64(l.folding.visited-before)/float64(b.N), "cells/op")
		})
	}
}
