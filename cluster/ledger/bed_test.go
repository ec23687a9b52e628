package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/internal/logtest"
	"github.com/assay-pool/assay/validator/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests on a loaded machine.
const patience = 60 * time.Second

var noon = time.Date(2026, 1, 2, 12, 0, 30, 0, time.UTC)

func testCtx(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func openStore(t testing.TB, url string) *store.Store {
	t.Helper()
	st, err := store.Open(testCtx(t), store.Config{URL: url, CallTimeout: 500 * time.Millisecond, ConnWriteTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %s", what, patience)
		}
	}
}

func blockID(n int) (id [32]byte) {
	copy(id[:], fmt.Sprintf("block %d", n))
	return id
}

// hexID is the id of a block as Redis has it.
func hexID(n int) string { return fmt.Sprintf("%x", blockID(n)) }

// bed is one node of a pool: a journal and a ledger that applies it to a Redis. Its
// methods are the test's goroutine's.
type bed struct {
	testing.TB
	st   *store.Store
	disk *disk
	jcfg journal.Config
	cfg  Config
	j    *journal.Journal
	l    *Ledger

	appends sync.WaitGroup
	events  []*entry // in the order of the journal
}

// entry is one thing the journal was given.
type entry struct {
	bed     *bed
	kind    journal.Kind
	credit  journal.Credit
	settled journal.Settled // a found block too
	hashes  uint64          // of a vest, whose wallet is in credit

	mu  sync.Mutex
	got bool  // guarded by mu
	err error // guarded by mu; why it is not in the journal
}

// Committed implements journal.Done.
func (e *entry) Committed(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.got {
		e.bed.Error("an append was answered twice")
	}
	e.got, e.err = true, err
	e.bed.appends.Done()
}

// told is whether a miner was told that it counts.
func (e *entry) told() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got && e.err == nil
}

// newBed opens a node over a Redis; change may alter both configurations.
func newBed(t testing.TB, st *store.Store, change func(*bed)) *bed {
	t.Helper()
	b := &bed{TB: t, st: st, disk: newDisk()}
	unlocked := logtest.New(t)
	b.jcfg = journal.Config{Dir: filepath.Join(t.TempDir(), "journal"), Pool: "test", Sync: journal.SyncAlways, Stall: patience, FS: b.disk.fs()}
	b.cfg = Config{Store: st, Pool: "test", Node: "n", FlushInterval: 5 * time.Millisecond, RetryMax: 100 * time.Millisecond, Log: slog.New(unlocked)}
	if change != nil {
		change(b)
	}
	b.open()
	unlocked.Watch(logtest.Lock(&b.l.mu), logtest.Lock(&b.l.rejects.mu))
	t.Cleanup(b.drop)
	return b
}

// startBed is newBed over a Redis of its own.
func startBed(t testing.TB, change func(*bed)) (*bed, *redistest.Server) {
	t.Helper()
	srv := redistest.Start(t)
	return newBed(t, openStore(t, srv.URL()), change), srv
}

// slow lets a ledger write when it is told to flush only.
func slow(b *bed) { b.cfg.FlushInterval, b.cfg.Heartbeat = time.Hour, time.Hour }

func (b *bed) open() {
	b.Helper()
	if err := b.tryOpen(); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) tryOpen() (err error) {
	if b.j, err = journal.Open(b.jcfg); err != nil {
		return err
	}
	b.cfg.Journal = b.j
	if b.l, err = Open(testCtx(b.TB), b.cfg); err != nil {
		_ = b.j.Close(testCtx(b.TB))
		b.j = nil
	}
	return err
}

// drop ends what is still open, without time for the rest.
func (b *bed) drop() {
	if b.j == nil {
		return
	}
	if err := b.j.Close(testCtx(b.TB)); err != nil {
		b.Log(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.l.Close(ctx) // says what is left, which is meant
	b.j = nil
}

// close ends the node in order: all that it has told is in Redis then.
func (b *bed) close() {
	b.Helper()
	if err := b.j.Close(testCtx(b.TB)); err != nil {
		b.Fatal(err)
	}
	if err := b.l.Close(testCtx(b.TB)); err != nil {
		b.Fatal(err)
	}
	b.j = nil
}

// reopen is a restart in order.
func (b *bed) reopen() {
	b.Helper()
	b.close()
	b.open()
}

// crash ends the node as a power cut does, and starts it again: of each file what
// was synced is there, and as much of the rest as tear says. What nobody was told of
// and did not survive is taken out of events.
func (b *bed) crash(tear func(room int) int) {
	b.Helper()
	b.l.stop() // a call under way may reach Redis, or not
	<-b.l.done
	b.l.archive.Wait()
	told := 0
	for i, e := range b.events {
		if e.told() {
			told = i + 1
		}
	}
	dir := filepath.Join(b.TempDir(), "journal")
	if err := b.disk.copyTo(b.jcfg.Dir, dir, tear); err != nil {
		b.Fatal(err)
	}
	b.l.f.r.Close()
	b.l.metrics.unregister()
	if err := b.j.Close(testCtx(b.TB)); err != nil {
		b.Fatal(err)
	}
	b.jcfg.Dir = dir
	b.open()
	records := b.records()
	if len(records) < told || len(records) > len(b.events) {
		b.Fatalf("%d records survived a crash, %d of %d were told", len(records), told, len(b.events))
	}
	b.events = b.events[:len(records)]
}

// records reads the whole journal; each must be there and whole.
func (b *bed) records() (kinds []journal.Kind) {
	b.Helper()
	r, err := b.j.NewReader("test", 0)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if rec == nil {
			return kinds
		}
		if err != nil || rec.Kind == journal.KindLost {
			b.Fatalf("record %d: %+v, %v", len(kinds), rec.Lost, err)
		}
		kinds = append(kinds, rec.Kind)
	}
}

func (b *bed) begin(e *entry) *entry {
	e.bed = b
	b.appends.Add(1)
	b.events = append(b.events, e)
	return e
}

// credit starts the append of a verified share.
func (b *bed) credit(wallet, worker string, difficulty uint64) {
	b.creditAt(noon, wallet, worker, difficulty)
}

func (b *bed) creditAt(at time.Time, wallet, worker string, difficulty uint64) {
	e := b.begin(&entry{kind: journal.KindCredit, credit: journal.Credit{Wallet: wallet, Worker: worker, Difficulty: difficulty, Time: at}})
	b.j.Credit(e.credit, e)
}

// trust starts the append of a share that is not verified.
func (b *bed) trust(wallet, worker string, difficulty uint64) {
	e := b.begin(&entry{kind: journal.KindCredit, credit: journal.Credit{Wallet: wallet, Worker: worker, Difficulty: difficulty, Time: noon, Work: new(verify.Work)}})
	b.j.Credit(e.credit, e)
}

func block(n int) journal.Block {
	return journal.Block{ID: blockID(n), Height: uint64(n), Difficulty: "340282366920938463463374607431768211455", Reward: 600, Wallet: "finder", Worker: "a", Node: "n", Time: noon}
}

func (b *bed) found(n int) { b.foundAt(noon, n) }

func (b *bed) foundAt(at time.Time, n int) {
	bl := block(n)
	bl.Time = at
	e := b.begin(&entry{kind: journal.KindFound, settled: journal.Settled{Block: bl}})
	b.j.Found(journal.Found{Block: bl, Bytes: []byte("block")}, e)
}

func (b *bed) settle(n int, accepted bool) { b.settleAt(noon.Add(time.Minute), n, accepted) }

func (b *bed) settleAt(at time.Time, n int, accepted bool) {
	s := journal.Settled{Block: block(n), Accepted: accepted, At: at}
	if accepted {
		s.Daemon = "d"
	} else {
		s.Reason = "no"
	}
	e := b.begin(&entry{kind: journal.KindSettled, settled: s})
	b.j.Settle(s, e)
}

func (b *bed) clawBack(wallet string) {
	e := b.begin(&entry{kind: journal.KindClawBack, credit: journal.Credit{Wallet: wallet}})
	b.j.ClawBack(journal.ClawBack{Wallet: wallet, Reason: "forged", At: noon}, e)
}

func (b *bed) vest(wallet string, hashes uint64) {
	e := b.begin(&entry{kind: journal.KindVest, credit: journal.Credit{Wallet: wallet}, hashes: hashes})
	b.j.Vest(journal.Vest{Wallet: wallet, Hashes: hashes, At: noon}, e)
}

// durable waits until all appends are answered.
func (b *bed) durable() {
	b.Helper()
	b.appends.Wait()
	for _, e := range b.events {
		if !e.told() {
			b.Fatalf("the journal refused %+v: %v", e.credit, e.err)
		}
	}
}

// flush waits until all that was given to the journal is in Redis.
func (b *bed) flush() {
	b.Helper()
	b.durable()
	if err := b.l.Flush(testCtx(b.TB)); err != nil {
		b.Fatal(err)
	}
}

// do runs one command on the books' Redis.
func (b *bed) do(name, key string, args ...string) string {
	b.Helper()
	m, err := b.st.DoRepeatable(testCtx(b.TB), name, key, args...).ToMessage()
	if err != nil {
		b.Fatalf("%s %s: %v", name, key, err)
	}
	if n, err := m.AsInt64(); err == nil {
		return fmt.Sprint(n)
	}
	text, err := m.ToString()
	if err != nil {
		b.Fatalf("%s %s: %v", name, key, err)
	}
	return text
}
