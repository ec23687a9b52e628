package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/cluster/store"
)

// Defaults of Config.
const (
	// DefaultFlushInterval is the age at which credits leave for Redis: four
	// calls a second whatever the share rate.
	DefaultFlushInterval = 250 * time.Millisecond
	// DefaultSettleTimeout is how long a find may hold later credits back.
	DefaultSettleTimeout = 30 * time.Second
	// DefaultBatchEntries bounds one script call, which nothing else in Redis can
	// interrupt: about 10 ms (35 µs an entry, measured on two busy cores).
	DefaultBatchEntries = 300
	// DefaultMaxPending bounds what waits for Redis, in entries (distinct wallet,
	// worker and minute) plus finds; about 250 bytes each.
	DefaultMaxPending = 200_000
	// DefaultMaxFinds bounds the found blocks among them, about 3 KiB each: a chain
	// that is worth anything has one in minutes.
	DefaultMaxFinds = 4096
	// DefaultRetainFor covers what a Redis with appendfsync everysec (1–2 s) or
	// a lagging replica forgets when it dies.
	DefaultRetainFor = 30 * time.Second
	// DefaultRetainEntries bounds the retained items, in entries of credits; a find
	// and a call with rejects count as one each.
	DefaultRetainEntries = 50_000
	// DefaultMaxWorkers is the number of workers a wallet is shown with, those
	// with the most work of late; the shares of the others are counted for
	// OtherWorker.
	DefaultMaxWorkers = 256
	// DefaultSliceTTL keeps per-minute slices for one-hour hash rates and for
	// batches that come late.
	DefaultSliceTTL = 75 * time.Minute
	// DefaultWalletTTL forgets the counters of a wallet that left, after work
	// enough for it; see WalletsKept.
	DefaultWalletTTL = 90 * 24 * time.Hour
	// DefaultWalletTTLMin is what a single share is worth: about as long as the
	// minute slices that have the share too.
	DefaultWalletTTLMin = time.Hour
	// DefaultWalletsKept: with counters of 1.5 KB a wallet, a million is 1.5 GB,
	// if all the pool's work were done by wallets that come and go. A miner of
	// 1 kH/s in a pool of 1 GH/s is remembered as long as it has mined.
	DefaultWalletsKept = 1_000_000
	// DefaultWalletWork: a young pool's work is so little that everybody has a
	// large part of it. 10^8 hashes are a day of one CPU, or 10,000 shares of the
	// usual least difficulties, one of which is then worth the least time.
	DefaultWalletWork = 100_000_000
	// DefaultMarkTTL keeps the mark of a node start; the running node renews it.
	DefaultMarkTTL = 7 * 24 * time.Hour
	// DefaultHeartbeat is how often an idle ledger looks at its mark, which
	// notices a Redis that died or forgot, and renews the mark.
	DefaultHeartbeat = 5 * time.Second
	// DefaultRetryMax caps the back-off between attempts.
	DefaultRetryMax = 2 * time.Second

	retryMin = 50 * time.Millisecond
	// maxWallet bounds a wallet's name, in bytes; Monero's integrated addresses
	// have 106 characters, others up to about 200.
	maxWallet = 256
	// maxWorker is where a worker's name is cut, in bytes.
	maxWorker = 64
	// rejectPart: refused shares are counted by wallet and worker while less than
	// 1/rejectPart of MaxPending waits, beyond that by reason only. Refusals cost
	// their sender nothing (no hash is computed), credits do: with Redis away the
	// former must not take the room of the latter. A quarter is far more than the
	// honest refusals of a flush interval need.
	rejectPart = 4
	// workerSpan is the time in which a worker's hold on its slot fades to 1/e. A
	// rig that is off for a night keeps about a third of it, one that was taken
	// away yields within a day or two.
	workerSpan = 8 * time.Hour
	// maxReasons bounds the distinct reasons of rejects; more become "other".
	maxReasons = 64
)

// OtherWorker has the shares of the workers beyond MaxWorkers, and of those that
// had to give up their place among them.
const OtherWorker = "other"

// Config of a Ledger; zero values stand for the defaults above.
type Config struct {
	Store *store.Store
	Pool  string // names the keys; see store.NewKeys
	Node  string // this node's name in block records and logs
	// Identity is what the pool's keys are tied to at their first use; another
	// one is refused by Open. Zero = not checked.
	Identity Identity

	FlushInterval time.Duration
	SettleTimeout time.Duration
	BatchEntries  int
	MaxPending    int
	MaxFinds      int
	RetainFor     time.Duration
	RetainEntries int
	MaxWorkers    int
	SliceTTL      time.Duration
	// WalletTTL is how long a wallet's counters are kept after its last share, if
	// it has done its part of the pool's work: 1/WalletsKept of what the pool did
	// in WalletTTL, and WalletWork at least. With less work it is kept as much
	// shorter, down to WalletTTLMin. So what a sender of cheap wallets can keep in
	// Redis is bounded by its part of the pool's work.
	WalletTTL    time.Duration
	WalletTTLMin time.Duration
	WalletsKept  int
	WalletWork   uint64
	MarkTTL      time.Duration
	Heartbeat    time.Duration
	RetryMax     time.Duration

	// OnClose is called from the flusher for each round this node closed; it
	// must return at once. nil = none.
	OnClose func(BlockRecord)

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

func (c *Config) setDefaults() error {
	if c.Store == nil {
		return errors.New("ledger: no store")
	}
	c.FlushInterval = cmp.Or(c.FlushInterval, DefaultFlushInterval)
	c.SettleTimeout = cmp.Or(c.SettleTimeout, DefaultSettleTimeout)
	c.RetainFor = cmp.Or(c.RetainFor, DefaultRetainFor)
	c.SliceTTL = cmp.Or(c.SliceTTL, DefaultSliceTTL)
	c.WalletTTL = cmp.Or(c.WalletTTL, DefaultWalletTTL)
	c.WalletTTLMin = cmp.Or(c.WalletTTLMin, DefaultWalletTTLMin)
	c.MarkTTL = cmp.Or(c.MarkTTL, DefaultMarkTTL)
	c.Heartbeat = cmp.Or(c.Heartbeat, DefaultHeartbeat)
	c.RetryMax = cmp.Or(c.RetryMax, DefaultRetryMax)
	c.BatchEntries = cmp.Or(c.BatchEntries, DefaultBatchEntries)
	c.MaxFinds = cmp.Or(c.MaxFinds, DefaultMaxFinds)
	c.MaxPending = cmp.Or(c.MaxPending, DefaultMaxPending)
	c.RetainEntries = cmp.Or(c.RetainEntries, DefaultRetainEntries)
	c.MaxWorkers = cmp.Or(c.MaxWorkers, DefaultMaxWorkers)
	c.WalletsKept = cmp.Or(c.WalletsKept, DefaultWalletsKept)
	c.WalletWork = cmp.Or(c.WalletWork, DefaultWalletWork)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Errors of Credit. The caller sheds the share: the miner must not be told
// "accepted".
var (
	ErrFull     = errors.New("ledger: too many credits wait for redis")
	ErrClosed   = errors.New("ledger: closed")
	ErrWallet   = errors.New("ledger: wallet name is empty, too long or has other characters than letters, digits, '-', '_', '.'")
	ErrOverflow = errors.New("ledger: difficulty is 0 or above 2^63-1")
)

// Credit is one accepted share.
type Credit struct {
	Wallet, Worker string
	Difficulty     uint64    // of the job the share was for; 1 to 2^63-1
	Time           time.Time // when it arrived: decides its minute
}

// Ledger is one pool's books as seen from one node. Safe for concurrent use.
type Ledger struct {
	*Reader
	cfg     Config
	prefix  uint32
	metrics *metrics

	kick chan struct{}      // capacity 1: there is something for the flusher
	stop context.CancelFunc // ends the flusher and its call under way
	done chan struct{}      // closed when the flusher has ended

	mu       sync.Mutex
	queue    []*segment    // guarded by mu; oldest first, the last is open
	spare    *segment      // guarded by mu; an emptied segment to use again
	entries  int           // guarded by mu; pending entries and finds, sent ones included
	finds    int           // guarded by mu; those of the entries that are found blocks
	finished uint64        // guarded by mu; id of the last segment that is wholly in Redis
	progress chan struct{} // guarded by mu; closed and replaced when finished moves
	closed   bool          // guarded by mu
	folding  folding       // guarded by mu
	sending  time.Time     // guarded by mu; birth of what is being sent; zero = nothing
	lastErr  error         // guarded by mu; nil after a success
	failing  time.Time     // guarded by mu; of the first failure since the last success; zero = none
	lost     uint64        // guarded by mu; items Redis forgot that were no longer retained

	f *flusher // owned by its goroutine
}

// Open takes a node prefix and starts the flusher. Redis must answer: without a
// prefix the node cannot hand out jobs.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	keys, err := store.NewKeys(cfg.Pool)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := identify(ctx, &cfg, keys); err != nil {
		return nil, err
	}
	// Sent twice, it leaves a number unused: no harm.
	next, err := cfg.Store.DoRepeatable(ctx, "INCR", store.NodeNext).AsInt64()
	if err != nil {
		return nil, fmt.Errorf("ledger: take a node prefix from %s: %w", store.NodeNext, err)
	}
	if next <= 0 || next > math.MaxUint32 {
		return nil, fmt.Errorf("ledger: %s is %d: no node prefixes of 32 bits are left; delete the key while no node runs", store.NodeNext, next)
	}
	l := &Ledger{
		Reader: newReader(cfg.Store, keys, cfg.SliceTTL),
		cfg:    cfg, prefix: uint32(next),
		kick: make(chan struct{}, 1), done: make(chan struct{}),
		progress: make(chan struct{}),
		queue:    []*segment{newSegment(1)},
	}
	if l.metrics, err = newMetrics(cfg.Registerer, cfg.Pool, l.Status); err != nil {
		return nil, err
	}
	l.f = newFlusher(l)
	fctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.f.run(fctx)
	return l, nil
}

// newStream names one start of one node. The random part keeps two starts apart
// even if a Redis that lost its last second gives the same prefix twice.
func newStream(prefix uint32) string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return strconv.FormatUint(uint64(prefix), 10) + "-" + hex.EncodeToString(b[:])
}

// NodePrefix is a part of the extra nonces of this start, unlike that of any
// other start of any pool on the same Redis. 1 to 2^32-1.
func (l *Ledger) NodePrefix() uint32 { return l.prefix }

// Takes tells whether a Credit of this worker would be taken now; ask before the
// work of verifying a share is spent on it. A full ledger still takes those of a
// minute that has an entry, and makes room like Credit: without that a ledger
// nobody credits would stay full.
func (l *Ledger) Takes(wallet, worker string, at time.Time) bool {
	k := cellKey{wallet: wallet, worker: cutWorker(worker), minute: at.Unix() / 60}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return false
	case l.room(k.minute):
		return true
	}
	_, ok := l.open().index[k]
	return ok
}

// Admit tells whether there is room for a new entry; /readyz asks.
func (l *Ledger) Admit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.entries < l.cfg.MaxPending
}

// Credit adds an accepted share to the open segment. It never blocks. After an
// error nothing was counted and the share must be shed: ErrFull, ErrClosed,
// ErrWallet or ErrOverflow.
func (l *Ledger) Credit(c Credit) error {
	if c.Difficulty == 0 || c.Difficulty > math.MaxInt64 {
		return ErrOverflow
	}
	k := cellKey{wallet: c.Wallet, worker: cutWorker(c.Worker), minute: c.Time.Unix() / 60}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	seg := l.open()
	if seg.sum.hashes > math.MaxInt64-c.Difficulty {
		seg = l.cut() // a batch's sums must fit the server's integers
	}
	i, ok := seg.index[k]
	if !ok {
		if !validWallet(c.Wallet) {
			return ErrWallet
		}
		if !l.room(k.minute) {
			l.metrics.refused.Inc()
			return ErrFull
		}
		k.wallet, k.worker = strings.Clone(k.wallet), strings.Clone(k.worker)
		i = seg.add(k)
		seg.born = bornAt(seg.born)
		l.entries++
	}
	seg.credit(i, c.Difficulty, c.Time.UnixMilli())
	return nil
}

// Reject counts a refused share. When 1/rejectPart of MaxPending waits, only the
// pool's counter of the reason moves. It never blocks for longer than foldSteps
// entries take. The reason is a metric label of the caller's, not user text.
func (l *Ledger) Reject(wallet, worker, reason string) {
	k := rejectKey{wallet: wallet, worker: cutWorker(worker), reason: reason}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	s := l.open()
	s.born = bornAt(s.born)
	room := l.entries < l.cfg.MaxPending/rejectPart
	added, named := s.reject(k, room)
	l.entries += added
	if !room && !named {
		l.metrics.unnamed.Inc()
	}
}

// bornAt keeps a first moment.
func bornAt(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t
}

func (l *Ledger) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// open is the segment credits go to.
func (l *Ledger) open() *segment { return l.queue[len(l.queue)-1] }

// cut ends the open segment and opens the next.
func (l *Ledger) cut() *segment {
	id := l.open().id + 1
	seg := l.spare
	if seg == nil {
		seg = newSegment(id)
	} else {
		l.spare, seg.id = nil, id
	}
	l.queue = append(l.queue, seg)
	return seg
}

func validWallet(w string) bool {
	if w == "" || len(w) > maxWallet {
		return false
	}
	for i := 0; i < len(w); i++ {
		c := w[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// cutWorker bounds a worker's name, at a character's border.
func cutWorker(w string) string {
	if len(w) <= maxWorker {
		return w
	}
	return strings.ToValidUTF8(w[:maxWorker], "")
}
