package ledger

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/assay-pool/assay/cluster/store"
)

// item is one script call with its place in the stream. What it credits or closes
// never changes once it was sent: an attempt whose answer was lost may still run.
type item struct {
	seq    uint64
	script *store.Script
	keys   []string  // keys[0] is the stream's mark
	args   []string  // args[0] is seq
	sum    totals    // entries: what it counts for in RetainEntries
	find   *Find     // set for a close
	acked  time.Time // when Redis confirmed it; zero = not yet
	// rejects: it has refused shares alone, and is emptied once confirmed.
	rejects bool
}

// number gives the item its place in a stream.
func (it *item) number(keys store.Keys, stream string, seq uint64) {
	it.seq = seq
	it.keys[0] = keys.Mark(stream)
	it.args[0] = strconv.FormatUint(seq, 10)
}

// workerSum and walletSum are a batch as apply.lua reads it.
type workerSum struct {
	name                    string
	hashes, shares, rejects uint64
	last                    int64
	slices                  []slicePart
}

type slicePart struct {
	minute int // 1-based index of the minute, as Lua counts
	hashes uint64
}

type walletSum struct {
	name           string
	hashes, shares uint64
	last           int64
	reasons        []reasonCount
	workers        []*workerSum
}

type reasonCount struct {
	reason string
	count  uint64
}

// batch collects cells and rejects into the arguments of one apply call.
type batch struct {
	minutes   []int64
	minuteSum []uint64
	minuteAt  map[int64]int
	wallets   []*walletSum
	walletAt  map[string]*walletSum
	workerAt  map[[2]string]*workerSum
	reasons   []reasonCount
	reasonAt  map[string]int
	sum       totals
	last      int64
}

func newBatch() *batch {
	return &batch{minuteAt: map[int64]int{}, walletAt: map[string]*walletSum{},
		workerAt: map[[2]string]*workerSum{}, reasonAt: map[string]int{}}
}

func (b *batch) wallet(name string) *walletSum {
	w := b.walletAt[name]
	if w == nil {
		w = &walletSum{name: name}
		b.walletAt[name] = w
		b.wallets = append(b.wallets, w)
	}
	return w
}

func (b *batch) worker(w *walletSum, name string) *workerSum {
	k := [2]string{w.name, name}
	ws := b.workerAt[k]
	if ws == nil {
		ws = &workerSum{name: name}
		b.workerAt[k] = ws
		w.workers = append(w.workers, ws)
	}
	return ws
}

func (b *batch) addCell(c *cell) {
	w := b.wallet(c.key.wallet)
	w.hashes += c.hashes
	w.shares += c.shares
	w.last = max(w.last, c.last)
	ws := b.worker(w, c.key.worker)
	ws.hashes += c.hashes
	ws.shares += c.shares
	ws.last = max(ws.last, c.last)
	if m := c.key.minute; m != 0 {
		at, ok := b.minuteAt[m]
		if !ok {
			b.minutes, b.minuteSum = append(b.minutes, m), append(b.minuteSum, 0)
			at = len(b.minutes)
			b.minuteAt[m] = at
		}
		b.minuteSum[at-1] += c.hashes
		ws.slices = append(ws.slices, slicePart{at, c.hashes})
	}
	b.sum.hashes += c.hashes
	b.sum.shares += c.shares
	b.sum.entries++
	b.last = max(b.last, c.last)
}

func (b *batch) addReject(r *rejectCount) {
	k, n := r.key, r.count
	at, ok := b.reasonAt[k.reason]
	if !ok {
		at = len(b.reasons)
		b.reasonAt[k.reason] = at
		b.reasons = append(b.reasons, reasonCount{reason: k.reason})
	}
	b.reasons[at].count += n
	b.sum.entries++
	if k.wallet == "" {
		return
	}
	w := b.wallet(k.wallet)
	w.reasons = append(w.reasons, reasonCount{k.reason, n})
	b.worker(w, k.worker).rejects += n
}

// args collects strings for a script.
type args []string

func (a *args) str(s string) { *a = append(*a, s) }
func (a *args) u(v uint64)   { *a = append(*a, strconv.FormatUint(v, 10)) }
func (a *args) i(v int64)    { *a = append(*a, strconv.FormatInt(v, 10)) }

// item writes the batch as a call of apply.lua; see there for the layout.
func (b *batch) item(cfg *Config, keys store.Keys, sc *store.Script, first int64) *item {
	k := []string{"", keys.Stats(), keys.RoundHashes(store.CurrentRound),
		keys.RoundShares(store.CurrentRound), keys.RoundTotal(store.CurrentRound)}
	a := make(args, 0, 16+12*b.sum.entries)
	a.str("") // sequence
	a.i(seconds(cfg.MarkTTL))
	a.i(seconds(cfg.WalletTTL))
	a.i(seconds(min(cfg.WalletTTLMin, cfg.WalletTTL)))
	a.i(int64(cfg.WalletsKept))
	a.u(cfg.WalletWork)
	a.i(int64(cfg.MaxWorkers))
	a.i(seconds(workerSpan))
	a.u(b.sum.hashes)
	a.u(b.sum.shares)
	a.i(first)
	a.i(b.last)
	a.i(int64(len(b.minutes)))
	for i, m := range b.minutes {
		k = append(k, keys.Rate(m))
		a.i((m+1)*60 + seconds(cfg.SliceTTL))
		a.u(b.minuteSum[i])
	}
	a.reasons(b.reasons)
	a.i(int64(len(b.wallets)))
	for _, w := range b.wallets {
		k = append(k, keys.Wallet(w.name), keys.Workers(w.name), keys.Slots(w.name))
		a.str(w.name)
		a.u(w.hashes)
		a.u(w.shares)
		a.i(w.last)
		a.reasons(w.reasons)
		a.i(int64(len(w.workers)))
		for _, ws := range w.workers {
			a.str(ws.name)
			a.u(ws.hashes)
			a.u(ws.shares)
			a.i(ws.last)
			a.u(ws.rejects)
			a.i(int64(len(ws.slices)))
			for _, s := range ws.slices {
				a.i(int64(s.minute))
				a.u(s.hashes)
			}
		}
	}
	return &item{script: sc, keys: k, args: a, sum: b.sum}
}

func (a *args) reasons(rs []reasonCount) {
	a.i(int64(len(rs)))
	for _, r := range rs {
		a.str(r.reason)
		a.u(r.count)
	}
}

// closeItem writes a found block as a call of close.lua.
func closeItem(cfg *Config, keys store.Keys, sc *store.Script, find *Find, now time.Time) *item {
	b := &find.block
	id := hex.EncodeToString(b.ID[:])
	k := []string{"", keys.RoundNumber(), keys.Blocks(), keys.Block(id), keys.Stats(),
		keys.RoundHashes(store.CurrentRound), keys.RoundShares(store.CurrentRound),
		keys.RoundTotal(store.CurrentRound), keys.RoundPrefix()}
	a := make(args, 0, 24)
	a.str("") // sequence
	a.i(seconds(cfg.MarkTTL))
	a.str(id)
	a.i(now.UnixMilli())
	a = append(a, "height", strconv.FormatUint(b.Height, 10), "difficulty", b.Difficulty,
		"reward", strconv.FormatUint(b.Reward, 10), "wallet", b.Wallet, "worker", b.Worker,
		"node", b.Node, "daemon", b.Daemon, "time", strconv.FormatInt(max(0, b.Time.UnixMilli()), 10))
	return &item{script: sc, keys: k, args: a, find: find, sum: totals{entries: 1}}
}

// seconds rounds up: a TTL of 0 would delete the key.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
