package ledger

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
)

// batch is a range (from, to] of a journal as one call of apply.lua: its credits
// summed by wallet, worker and minute, the rejects that ride along, and the event
// that ends it. The flusher uses one over and over.
type batch struct {
	from, to journal.Position
	before   journal.Sums    // cumulative at from
	after    journal.Sums    // cumulative at to
	event    *journal.Record // nil = none; the reader's until the next record is read
	rejects  []rejectCount

	sum         total
	entries     int   // distinct wallet, worker and minute; and rejects
	first, last int64 // Unix ms of the oldest and the newest share; 0 = none

	minutes   []int64
	minuteSum []uint64
	minuteAt  map[int64]int
	wallets   []*walletSum
	walletAt  map[string]*walletSum
	workerAt  map[workerKey]*workerSum
	reasons   []reasonCount
	reasonAt  map[string]int
}

// total of credits: hashes is verified and unverified difficulty.
type total struct{ hashes, unverified, shares uint64 }

func (t *total) add(difficulty uint64, verified bool) {
	t.hashes += difficulty
	if !verified {
		t.unverified += difficulty
	}
	t.shares++
}

type workerKey struct{ wallet, worker string }

type walletSum struct {
	name    string
	sum     total
	last    int64
	reasons []reasonCount
	workers []*workerSum
}

type workerSum struct {
	name    string
	sum     total
	rejects uint64
	last    int64
	slices  []slicePart
}

type slicePart struct {
	minute int // 1-based index of the minute, as Lua counts
	hashes uint64
}

type reasonCount struct {
	reason string
	count  uint64
}

func newBatch() *batch {
	return &batch{minuteAt: map[int64]int{}, walletAt: map[string]*walletSum{},
		workerAt: map[workerKey]*workerSum{}, reasonAt: map[string]int{}}
}

// begin empties the batch for the range behind a mark.
func (b *batch) begin(at journal.Position, sums journal.Sums) {
	clear(b.minuteAt)
	clear(b.walletAt)
	clear(b.workerAt)
	clear(b.reasonAt)
	clear(b.wallets)
	*b = batch{from: at, to: at, before: sums, after: sums, minutes: b.minutes[:0], minuteSum: b.minuteSum[:0],
		minuteAt: b.minuteAt, wallets: b.wallets[:0], walletAt: b.walletAt, workerAt: b.workerAt,
		reasons: b.reasons[:0], reasonAt: b.reasonAt}
}

// empty tells whether the call would change nothing.
func (b *batch) empty() bool { return b.from == b.to && len(b.rejects) == 0 }

// settles tells whether a block's fate ends the batch.
func (b *batch) settles() bool { return b.event != nil && b.event.Kind == journal.KindSettled }

// takes tells whether a credit may join: sums must fit the server's integers.
func (b *batch) takes(c *journal.Credit) bool { return b.sum.hashes <= math.MaxInt64-c.Difficulty }

func (b *batch) wallet(name string) *walletSum {
	w := b.walletAt[name]
	if w == nil {
		w = &walletSum{name: account(name)}
		b.walletAt[name] = w
		b.wallets = append(b.wallets, w)
	}
	return w
}

// account is the name that a wallet's sums go by. A coin's addresses are it; what is
// none is not taken for a field of the chunk's own.
func account(wallet string) string {
	if validWallet(wallet) {
		return wallet
	}
	safe := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && validWallet(string(r)) {
			return r
		}
		return '_'
	}, wallet)
	return "_" + safe[:min(len(safe), maxWallet-1)]
}

func (b *batch) worker(w *walletSum, name string) *workerSum {
	k := workerKey{w.name, name}
	ws := b.workerAt[k]
	if ws == nil {
		ws = &workerSum{name: name}
		b.workerAt[k] = ws
		w.workers = append(w.workers, ws)
	}
	return ws
}

func (b *batch) credit(c *journal.Credit) {
	w := b.wallet(c.Wallet)
	ws := b.worker(w, c.Worker)
	verified, ms := c.Work == nil, max(0, c.Time.UnixMilli())
	b.sum.add(c.Difficulty, verified)
	w.sum.add(c.Difficulty, verified)
	ws.sum.add(c.Difficulty, verified)
	w.last, ws.last, b.last = max(w.last, ms), max(ws.last, ms), max(b.last, ms)
	if b.first == 0 || ms < b.first {
		b.first = ms
	}
	at := b.minute(ms / 60_000)
	b.minuteSum[at-1] += c.Difficulty
	if n := len(ws.slices); n > 0 && ws.slices[n-1].minute == at {
		ws.slices[n-1].hashes += c.Difficulty
		return
	}
	for i := range ws.slices {
		if ws.slices[i].minute == at {
			ws.slices[i].hashes += c.Difficulty
			return
		}
	}
	ws.slices = append(ws.slices, slicePart{at, c.Difficulty})
	b.entries++
}

// minute is the 1-based place of a minute.
func (b *batch) minute(m int64) int {
	at, ok := b.minuteAt[m]
	if !ok {
		b.minutes, b.minuteSum = append(b.minutes, m), append(b.minuteSum, 0)
		at = len(b.minutes)
		b.minuteAt[m] = at
	}
	return at
}

// reject lets counts of refused shares ride along.
func (b *batch) reject(counts []rejectCount) {
	b.rejects = counts
	for _, r := range counts {
		at, ok := b.reasonAt[r.key.reason]
		if !ok {
			at = len(b.reasons)
			b.reasonAt[r.key.reason] = at
			b.reasons = append(b.reasons, reasonCount{reason: r.key.reason})
		}
		b.reasons[at].count += r.count
		b.entries++
		if r.key.wallet == "" {
			continue
		}
		w := b.wallet(r.key.wallet)
		w.reasons = append(w.reasons, reasonCount{r.key.reason, r.count})
		b.worker(w, r.key.worker).rejects += r.count
	}
}

// args collects strings for a script.
type args []string

func (a *args) str(s ...string) { *a = append(*a, s...) }
func (a *args) u(v uint64)      { *a = append(*a, strconv.FormatUint(v, 10)) }
func (a *args) i(v int64)       { *a = append(*a, strconv.FormatInt(v, 10)) }

// call writes the batch as keys and arguments of apply.lua; see there for the
// layout.
func (b *batch) call(cfg *Config, keys store.Keys, id string, start uint32, size chunkSize) (k []string, a args) {
	k = append(k, keys.Marks(), keys.Stats(), keys.OpenChunk(), keys.Blocks(), keys.Rounds(), keys.Gaps(),
		keys.ChunkPrefix(), keys.BlockPrefix(), keys.Owners())
	a = make(args, 0, 48+16*b.entries)
	a.str(id)
	a.u(uint64(start))
	a.u(uint64(b.from))
	a.u(uint64(b.to))
	a.u(b.after.Hashes)
	a.u(b.after.Shares)
	a.str(cfg.Node)
	a.i(seconds(cfg.WalletTTL))
	a.i(seconds(min(cfg.WalletTTLMin, cfg.WalletTTL)))
	a.i(int64(cfg.WalletsKept))
	a.u(cfg.WalletWork)
	a.i(int64(cfg.MaxWorkers))
	a.i(seconds(workerSpan))
	a.u(size.hashes)
	a.i(size.least.Milliseconds())
	a.total(b.sum)
	a.i(b.first)
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
		a.wallet(w)
	}
	a.event(b, id)
	return k, a
}

// total: hashes, verified, unverified, shares.
func (a *args) total(t total) {
	a.u(t.hashes)
	a.u(t.hashes - t.unverified)
	a.u(t.unverified)
	a.u(t.shares)
}

func (a *args) wallet(w *walletSum) {
	a.str(w.name)
	a.total(w.sum)
	a.i(w.last)
	a.reasons(w.reasons)
	a.i(int64(len(w.workers)))
	for _, ws := range w.workers {
		a.str(ws.name)
		a.u(ws.sum.hashes)
		a.u(ws.sum.shares)
		a.i(ws.last)
		a.u(ws.rejects)
		a.i(int64(len(ws.slices)))
		for _, s := range ws.slices {
			a.i(int64(s.minute))
			a.u(s.hashes)
		}
	}
}

func (a *args) reasons(rs []reasonCount) {
	a.i(int64(len(rs)))
	for _, r := range rs {
		a.str(r.reason)
		a.u(r.count)
	}
}

// event writes what ends the range.
func (a *args) event(b *batch, id string) {
	if b.event == nil {
		a.str("")
		return
	}
	switch e := b.event; e.Kind {
	case journal.KindFound:
		a.str("found", hex.EncodeToString(e.Found.ID[:]))
		a.ms(e.Found.Time)
		a.block(&e.Found.Block)
	case journal.KindSettled:
		word, why := "refused", e.Settled.Reason
		if e.Settled.Accepted {
			word, why = "accepted", e.Settled.Daemon
		}
		a.str(word, hex.EncodeToString(e.Settled.ID[:]))
		a.ms(e.Settled.At)
		a.str(why)
		a.block(&e.Settled.Block)
	case journal.KindClawBack:
		a.str("clawback", e.ClawBack.Wallet)
	case journal.KindVest:
		a.str("vest", e.Vest.Wallet)
		a.u(min(e.Vest.Hashes, math.MaxInt64)) // no sum is more; the server's integers end there
	case journal.KindLost:
		a.str("gap", gapOf(b, id).json())
	}
}

func (a *args) ms(t time.Time) { a.i(max(0, t.UnixMilli())) }

// block: the fields of a block's record.
func (a *args) block(b *journal.Block) {
	a.str("7", "height", strconv.FormatUint(b.Height, 10), "difficulty", b.Difficulty, "reward", strconv.FormatUint(b.Reward, 10),
		"wallet", b.Wallet, "worker", b.Worker, "node", b.Node, "time", strconv.FormatInt(max(0, b.Time.UnixMilli()), 10))
}

// seconds rounds up: a TTL of 0 would delete the key.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
