package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
)

// Defaults of Config.
const (
	// DefaultFlushInterval is how often what is durable leaves for Redis: four
	// calls a second whatever the share rate.
	DefaultFlushInterval = 250 * time.Millisecond
	// DefaultBatchEntries bounds one script call, which nothing else in Redis can
	// interrupt: about 10 ms (35 µs an entry, measured on two busy cores).
	DefaultBatchEntries = 300
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
	// DefaultRoundKeep keeps the archive of a round that is paid out: a year, in
	// which a miner may ask what it was paid for.
	DefaultRoundKeep = 365 * 24 * time.Hour
	// DefaultHeartbeat is how often an idle ledger looks at its mark, which
	// notices a Redis that died or forgot.
	DefaultHeartbeat = 5 * time.Second
	// DefaultRetryMax caps the back-off between attempts.
	DefaultRetryMax = 2 * time.Second

	retryMin = 50 * time.Millisecond
	// maxWallet bounds a wallet's name, in bytes; Monero's integrated addresses
	// have 106 characters, others up to about 200.
	maxWallet = 256
	// workerSpan is the time in which a worker's hold on its slot fades to 1/e. A
	// rig that is off for a night keeps about a third of it, one that was taken
	// away yields within a day or two.
	workerSpan = 8 * time.Hour
)

// OtherWorker has the shares of the workers beyond MaxWorkers, and of those that
// had to give up their place among them.
const OtherWorker = "other"

// Config of a Ledger; zero values stand for the defaults above.
type Config struct {
	Store   *store.Store
	Journal *journal.Journal // of this pool; the ledger reads it, the caller closes it first
	Pool    string           // names the keys; see store.NewKeys
	Node    string           // this node's name in marks
	// Identity is what the pool's keys are tied to at their first use; another
	// one is refused by Open. Zero = not checked.
	Identity Identity

	FlushInterval time.Duration
	BatchEntries  int
	MaxWorkers    int
	SliceTTL      time.Duration
	// ChunkSize is the difficulty of a chunk; 0 follows the network's: see
	// SetDifficulty.
	ChunkSize uint64
	// RoundKeep is how long the archive of a round is kept.
	RoundKeep time.Duration
	// WalletTTL is how long a wallet's counters are kept after its last share, if
	// it has done its part of the pool's work: 1/WalletsKept of what the pool did
	// in WalletTTL, and WalletWork at least. With less work it is kept as much
	// shorter, down to WalletTTLMin. So what a sender of cheap wallets can keep in
	// Redis is bounded by its part of the pool's work.
	WalletTTL    time.Duration
	WalletTTLMin time.Duration
	WalletsKept  int
	WalletWork   uint64
	Heartbeat    time.Duration
	RetryMax     time.Duration

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

func (c *Config) setDefaults() error {
	if c.Store == nil || c.Journal == nil {
		return errors.New("ledger: no store or no journal")
	}
	c.FlushInterval = cmp.Or(c.FlushInterval, DefaultFlushInterval)
	c.SliceTTL = cmp.Or(c.SliceTTL, DefaultSliceTTL)
	c.RoundKeep = cmp.Or(c.RoundKeep, DefaultRoundKeep)
	c.WalletTTL = cmp.Or(c.WalletTTL, DefaultWalletTTL)
	c.WalletTTLMin = cmp.Or(c.WalletTTLMin, DefaultWalletTTLMin)
	c.Heartbeat = cmp.Or(c.Heartbeat, DefaultHeartbeat)
	c.RetryMax = cmp.Or(c.RetryMax, DefaultRetryMax)
	c.BatchEntries = cmp.Or(c.BatchEntries, DefaultBatchEntries)
	c.MaxWorkers = cmp.Or(c.MaxWorkers, DefaultMaxWorkers)
	c.WalletsKept = cmp.Or(c.WalletsKept, DefaultWalletsKept)
	c.WalletWork = cmp.Or(c.WalletWork, DefaultWalletWork)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// ErrClosed is a Flush that a Close has overtaken.
var ErrClosed = errors.New("ledger: closed")

// Ledger is one pool's books as seen from one node. Safe for concurrent use.
type Ledger struct {
	*Reader
	cfg     Config
	prefix  uint32
	metrics *metrics
	size    sizes
	rejects rejects
	fenced  atomic.Bool // a later start applies the journal
	told    atomic.Bool // SetDifficulty was called

	kick    chan struct{}      // capacity 1: the flusher should look now
	stop    context.CancelFunc // ends the flusher and its call under way, and the archiver
	done    chan struct{}      // closed when the flusher has ended
	archive sync.WaitGroup

	mu       sync.Mutex
	mark     journal.Position // guarded by mu; what Redis has confirmed
	progress chan struct{}    // guarded by mu; closed and replaced when the mark moves or rejects are counted
	oldest   time.Time        // guarded by mu; arrival of the oldest share that is being applied; zero = none
	closed   bool             // guarded by mu
	lastErr  error            // guarded by mu; nil after a success
	failing  time.Time        // guarded by mu; of the first failure since the last success; zero = none
	stuck    bool             // guarded by mu; no waiting cures lastErr
	gaps     int              // guarded by mu
	unknown  int              // guarded by mu; of the gaps, those without sums
	lost     Sums             // guarded by mu; of the other gaps

	f *flusher // owned by its goroutine
}

// Sums of credits.
type Sums = journal.Sums

// Open takes a node prefix, finds the journal's mark and starts to apply what is
// behind it. Redis must answer: without a prefix the node cannot hand out jobs.
// Call it before anything is written to the journal.
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
	prefix, err := claim(ctx, &cfg, keys)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		Reader: newReader(cfg.Store, keys, cfg.SliceTTL),
		cfg:    cfg, prefix: prefix, size: sizes{fixed: cfg.ChunkSize},
		kick: make(chan struct{}, 1), done: make(chan struct{}), progress: make(chan struct{}),
	}
	m, r, err := openJournal(ctx, &cfg, keys)
	if err != nil {
		return nil, err
	}
	if l.metrics, err = newMetrics(cfg.Registerer, cfg.Pool, l.Status); err != nil {
		r.Close()
		return nil, err
	}
	if err := l.recall(ctx); err != nil {
		r.Close()
		l.metrics.unregister()
		return nil, err
	}
	l.f = newFlusher(l, r)
	l.f.begin(m)
	fctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.f.run(fctx)
	l.archive.Go(func() { l.archiver(fctx) })
	return l, nil
}

// openJournal makes a reader of the journal behind its mark in Redis.
func openJournal(ctx context.Context, cfg *Config, keys store.Keys) (mark, *journal.Reader, error) {
	m, err := readMark(ctx, cfg.Store, keys, cfg.Journal.ID())
	if err != nil {
		return m, nil, err
	}
	if end := cfg.Journal.End(); m.at > end {
		// What is written from here on must not be taken for what was applied.
		cfg.Log.Error("redis has more of the journal than the disk: the journal's end was lost (--journal-sync-interval off, a disk that does not keep what it has synced, an older copy of --data-dir); it goes on behind the mark",
			"pool", cfg.Pool, "journal", cfg.Journal.ID(), "mark", uint64(m.at), "end", uint64(end))
		if err := cfg.Journal.Skip(m.at); err != nil {
			return m, nil, fmt.Errorf("ledger: continue the journal at %d (--data-dir): %w", m.at, err)
		}
	}
	r, err := cfg.Journal.NewReader("ledger", m.at)
	if err != nil {
		return m, nil, fmt.Errorf("ledger: read the journal (--data-dir) at %d: %w", m.at, err)
	}
	return m, r, nil
}

// NodePrefix is a part of the extra nonces of this start, unlike that of any
// other start of any pool on the same Redis. 1 to 2^32-1.
func (l *Ledger) NodePrefix() uint32 { return l.prefix }

// SetDifficulty tells the network's difficulty, from which chunks get their size
// unless Config.ChunkSize fixes it.
func (l *Ledger) SetDifficulty(network uint64) {
	l.told.Store(true)
	l.size.network.Store(max(1, network))
}

// learn takes the network's difficulty from a found block, until somebody tells it:
// who rebuilds the books has no daemon.
func (l *Ledger) learn(difficulty string) {
	if l.told.Load() {
		return
	}
	if d, err := strconv.ParseUint(difficulty, 10, 64); err == nil {
		l.size.network.Store(max(1, d))
	}
}

// Reject counts a refused share. It never waits for Redis. The reason is a metric
// label of the caller's, not user text.
func (l *Ledger) Reject(wallet, worker, reason string) {
	if !l.rejects.add(wallet, worker, reason) {
		l.metrics.unnamed.Inc()
	}
}

func (l *Ledger) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// applied notes the mark that Redis has; nothing is on its way now.
func (l *Ledger) applied(at journal.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark, l.oldest = at, time.Time{}
	close(l.progress)
	l.progress = make(chan struct{})
}

// note remembers what is being applied.
func (l *Ledger) note(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oldest = time.Time{}
	if b.first != 0 {
		l.oldest = time.UnixMilli(b.first)
	}
}

// recall counts the gaps that earlier starts have met: they stay an alarm until an
// operator has dealt with them and deleted the list.
func (l *Ledger) recall(ctx context.Context) error {
	gaps, err := l.Gaps(ctx)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		if g.Journal == l.cfg.Journal.ID() {
			l.lose(g)
		}
	}
	return nil
}

// lose counts a gap.
func (l *Ledger) lose(g Gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps++
	l.metrics.gaps.Inc()
	l.metrics.lostHashes.Add(float64(g.Hashes))
	l.metrics.lostShares.Add(float64(g.Shares))
	if g.Unknown {
		l.unknown++
	}
	l.lost.Hashes += g.Hashes
	l.lost.Shares += g.Shares
}

// Flush returns once all that the journal had durable before the call is in
// Redis, and the rejects counted before it. After an error the ledger goes on
// trying.
func (l *Ledger) Flush(ctx context.Context) error {
	target := l.cfg.Journal.End()
	for {
		l.mu.Lock()
		mark, progress := l.mark, l.progress
		l.mu.Unlock()
		if mark >= target && l.rejects.len() == 0 {
			return nil
		}
		l.wake()
		select {
		case <-progress:
		case <-l.done:
			return fmt.Errorf("%w: %s", ErrClosed, l.unwritten())
		case <-ctx.Done():
			return fmt.Errorf("ledger: %s: %w", l.unwritten(), ctx.Err())
		}
	}
}

// unwritten says in words what Redis does not have, for an operator.
func (l *Ledger) unwritten() string {
	st := l.Status()
	text := fmt.Sprintf("%d bytes of the journal are not known to be in redis", st.Pending)
	if !st.Stuck {
		text += "; the next start applies them"
	}
	if st.Err != nil {
		text += fmt.Sprintf("; last error: %v", st.Err)
	}
	return text
}

// closeGrace is how long Close waits for a call to Redis that it has given up.
const closeGrace = 250 * time.Millisecond

// Close applies what is left in the journal, until ctx ends, and ends. Close the
// journal before, so that nothing more comes. What the error says is not known to
// be in Redis is not lost: it is read again by the next start.
func (l *Ledger) Close(ctx context.Context) error {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if again {
		<-l.done
		return nil
	}
	var err error
	if ctx.Err() == nil {
		err = l.Flush(ctx)
	} else if l.Status().Pending > 0 {
		err = fmt.Errorf("ledger: %s: %w", l.unwritten(), ctx.Err())
	}
	l.stop()
	l.metrics.unregister()
	ended := make(chan struct{})
	go func() {
		<-l.done
		l.archive.Wait()
		l.f.r.Close()
		close(ended)
	}()
	// A Redis that hangs keeps a call for --redis-timeout; with a ctx that has ended
	// there is no more time for it.
	select {
	case <-ended:
	case <-later(ctx, closeGrace):
	}
	return err
}

// later is closed a while after ctx has ended.
func later(ctx context.Context, d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { close(done) }) })
	return done
}

// Status of the ledger at one moment, for readiness and the operator.
type Status struct {
	Mark    journal.Position // what Redis has confirmed of the journal
	Pending uint64           // bytes of the journal behind it
	Age     time.Duration    // of the oldest share that is being applied; 0 = none
	Err     error            // of the last attempt; nil after a success
	Failing time.Time        // of the first failure since the last success; zero = none
	Stuck   bool             // whether an operator must act on Err
	Gaps    int              // parts of the journal that were gone before they were applied, as Redis lists them
	Unknown int              // those of them of which nobody can tell what they had
	Lost    Sums             // of the others
}

// Status returns how far the ledger is.
func (l *Ledger) Status() Status {
	end := l.cfg.Journal.End()
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Status{Mark: l.mark, Err: l.lastErr, Failing: l.failing, Stuck: l.stuck, Gaps: l.gaps, Unknown: l.unknown, Lost: l.lost}
	if end > l.mark {
		st.Pending = uint64(end - l.mark)
	}
	if !l.oldest.IsZero() {
		st.Age = max(0, time.Since(l.oldest))
	}
	return st
}

// validWallet tells a name that can be a field beside '#', '@' and '~'.
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
