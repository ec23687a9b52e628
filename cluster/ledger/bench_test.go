package ledger

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
)

// BenchmarkApply is the cost of one range in Redis, of so many wallets with a share
// each.
func BenchmarkApply(b *testing.B) {
	for _, wallets := range []int{1, 30, DefaultBatchEntries} {
		b.Run(fmt.Sprintf("entries-%d", wallets), func(b *testing.B) {
			st := openStore(b, redistest.Start(b, "--appendfsync", "everysec").URL())
			keys, err := store.NewKeys("test")
			if err != nil {
				b.Fatal(err)
			}
			cfg := Config{Store: st, Journal: new(journal.Journal), Node: "n"}
			if err := cfg.setDefaults(); err != nil {
				b.Fatal(err)
			}
			batch, scripts, at := newBatch(), newScripts(), journal.Position(0)
			b.ReportAllocs()
			for b.Loop() {
				batch.begin(at, journal.Sums{})
				for i := range wallets {
					batch.credit(&journal.Credit{Wallet: fmt.Sprintf("4%094d", i), Worker: "rig", Difficulty: 120000, Time: time.Now()})
				}
				at++
				batch.to = at
				k, a := batch.call(&cfg, keys, "j", 1, chunkSize{1e9, time.Minute})
				reply, err := st.Eval(b.Context(), scripts.apply, k, a).AsStrSlice()
				if err != nil || reply[0] != "ok" {
					b.Fatal(reply, err)
				}
			}
			b.ReportMetric(float64(b.N*wallets)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkDrain is a backlog's way from the journal to Redis; one op is all of it.
func BenchmarkDrain(b *testing.B) {
	const shares = 50_000
	for _, wallets := range []int{50, 5000} {
		b.Run(fmt.Sprintf("wallets-%d", wallets), func(b *testing.B) {
			st := openStore(b, redistest.Start(b, "--appendfsync", "everysec").URL())
			bed := newBed(b, st, slow)
			c := newCrowd(bed.j, wallets)
			c.send(shares)
			c.answered(b)
			pool := 0
			for b.Loop() {
				pool++ // has nothing of it yet
				cfg := bed.cfg
				cfg.Pool = fmt.Sprint("drain", pool)
				l, err := Open(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				if err := l.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := l.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*shares)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// stat reads a number of INFO.
func stat(b testing.TB, srv *redistest.Server, section, pattern string) float64 {
	m := regexp.MustCompile(pattern).FindStringSubmatch(srv.CLI("INFO", section))
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkCommandsPerShare credits 10,000 shares a second from 5,000 wallets at
// the default flush interval, one op = one second, and counts what reached Redis:
// the calls, what they ran, and the bytes.
func BenchmarkCommandsPerShare(b *testing.B) {
	srv := redistest.Start(b, "--appendfsync", "everysec")
	bed := newBed(b, openStore(b, srv.URL()), func(b *bed) {
		b.cfg.FlushInterval, b.jcfg.Sync = DefaultFlushInterval, journal.DefaultSync
	})
	bed.l.SetDifficulty(1e12)
	c := newCrowd(bed.j, 5000)
	count := func() (calls, ran, bytes float64) {
		return stat(b, srv, "commandstats", `cmdstat_evalsha:calls=(\d+)`) + stat(b, srv, "commandstats", `cmdstat_eval:calls=(\d+)`),
			stat(b, srv, "stats", `total_commands_processed:(\d+)`), stat(b, srv, "stats", `total_net_input_bytes:(\d+)`)
	}
	calls, ran, bytes := count()
	for b.Loop() {
		tick := time.NewTicker(10 * time.Millisecond)
		for range 100 { // 100 shares every 10 ms
			<-tick.C
			c.send(100)
		}
		tick.Stop()
	}
	c.answered(b)
	bed.flush()
	calls2, ran2, bytes2 := count()
	b.ReportMetric((calls2-calls)/float64(c.sent), "calls/share")
	b.ReportMetric((ran2-ran)/float64(c.sent), "commands/share")
	b.ReportMetric((bytes2-bytes)/float64(c.sent), "bytes/share")
}
