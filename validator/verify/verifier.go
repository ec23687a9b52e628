package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/validator"
)

// Hasher computes batches on one OS thread; [pow.Worker] is the real one.
// Errors are for the whole batch.
type Hasher interface {
	// Batch says how many tasks of a key one call takes at best, and whether
	// a batch gains enough by being full to wait for it.
	Batch(pow.Key) (width int, wait bool)
	// Hash hashes the concatenated inputs in, of the given lengths, to out, 32
	// bytes each. [pow.ErrEpoch] when the key's seed is not resident.
	Hash(key pow.Key, in []byte, lens []uint32, out []byte) error
	Close()
}

// Config of a Verifier. Zero values take the defaults named, where one is.
type Config struct {
	Workers    int           // hash threads, at least 1
	CPUs       []int         // CPU of each worker; empty = not pinned
	Rules      []Rule        // the classes, Task.Class is an index; DefaultRules(Queue, Candidates)
	Queue      int           // of the default rules: shares waiting at most, of proven sessions and of others each; 4096
	Candidates int           // likewise: block candidates waiting at most; 64
	Deadline   time.Duration // a task of a class that may be late is shed when it is older; 3 s
	BatchWait  time.Duration // how long a batch may wait to fill; 0 is not at all, DefaultBatchWait is usual

	// NewHasher makes one worker's hasher, on that worker's thread.
	NewHasher func(worker int) (Hasher, error)

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Defaults of Config.
const (
	// 3 s of work of a node that hashes 1,400 shares a second; on a slower one the
	// deadline sheds what does not get its turn.
	DefaultQueue = 4096
	// Claims to be a block of as many hosts wait ahead of the others' shares.
	DefaultCandidates = 64
	// XMRig gives up after 20 s, and every request is to be answered within 5 s
	// (I9): 3 s in the queue leave room for the batch itself.
	DefaultDeadline = 3 * time.Second
	// DefaultBatchWait is little next to a hash of any algorithm, and at a few
	// thousand shares a second long enough to fill the widest batch.
	DefaultBatchWait = time.Millisecond
)

// Verifier is the verify pool: one queue, one thread a worker.
type Verifier struct {
	cfg     Config
	queue   *queue
	metrics *metrics
	workers sync.WaitGroup
}

// New starts the workers and returns once every one of them can hash.
func New(cfg Config) (*Verifier, error) {
	if cfg.NewHasher == nil {
		return nil, errors.New("verify: no hasher")
	}
	cfg.Workers = max(cfg.Workers, 1)
	if cfg.Rules == nil {
		cfg.Rules = DefaultRules(cfg.Queue, cfg.Candidates)
	}
	if err := checkRules(cfg.Rules); err != nil {
		return nil, err
	}
	if cfg.Deadline <= 0 {
		cfg.Deadline = DefaultDeadline
	}
	if cfg.BatchWait < 0 {
		cfg.BatchWait = 0
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Verifier{cfg: cfg, queue: newQueue(cfg.Rules, cfg.Deadline)}
	p.metrics = newMetrics(cfg.Registerer, p.queue, cfg.Rules)
	started := make(chan error, cfg.Workers)
	for i := range cfg.Workers {
		p.workers.Add(1)
		go p.run(i, started)
	}
	var errs []error
	for range cfg.Workers {
		errs = append(errs, <-started)
	}
	if err := errors.Join(errs...); err != nil {
		_ = p.Close(context.Background()) // it has all the time
		return nil, err
	}
	p.metrics.workers.Set(float64(cfg.Workers))
	return p, nil
}

// Submit hands a task over; its Sink is told the verdict exactly once. Never
// blocks. A task that finds its class full, or that has to give way to t, is
// judged before Submit returns, on the caller's thread.
func (p *Verifier) Submit(t *Task) {
	out, closed := p.queue.push(t)
	switch {
	case closed:
		p.judge(t, validator.ShedShutdown)
	case out != nil:
		p.judge(out, validator.ShedQueueFull)
	}
}

// lastBatch is what the batches under way get when Close has no more time: no
// batch that a start does not warn of takes longer.
const lastBatch = 500 * time.Millisecond

// Close hashes what is queued until ctx ends and sheds the rest, candidates
// included: a flood of forged ones must not keep a node from stopping. What comes
// later is shed. When it returns nil every task has been judged and every worker
// is gone. A batch cannot be interrupted: after lastBatch more it is left behind,
// and the error says so; what it judges then is told to its tasks' sinks all the
// same.
func (p *Verifier) Close(ctx context.Context) error {
	p.queue.close()
	done := make(chan struct{})
	go func() { p.workers.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	if undue := p.queue.giveUp(); undue > 0 {
		p.cfg.Log.Error("shares that no deadline sheds (block candidates) are not hashed any more, the node must stop", "shares", undue)
	}
	select {
	case <-done:
		return nil
	case <-time.After(lastBatch):
		return fmt.Errorf("verify: hash workers are still in a batch: %w", ctx.Err())
	}
}

// Depth is the number of tasks waiting.
func (p *Verifier) Depth() int {
	sum := 0
	for c := range p.cfg.Rules {
		tasks, _ := p.queue.depth(Class(c))
		sum += tasks
	}
	return sum
}

func (p *Verifier) judge(t *Task, v validator.Verdict) {
	t.Verdict = v
	p.metrics.judged[v].Inc()
	t.Sink.Judged(t)
}

// run is one worker: a goroutine that keeps its OS thread to itself.
func (p *Verifier) run(id int, started chan<- error) {
	defer p.workers.Done()
	// Never unlocked: the thread is pinned and its FP state is the library's,
	// so it ends with the goroutine instead of going back to the scheduler.
	runtime.LockOSThread()
	if id < len(p.cfg.CPUs) {
		if err := cpu.Pin(p.cfg.CPUs[id]); err != nil {
			// A container may forbid it; slower, never wrong.
			p.cfg.Log.Warn("worker is not pinned", "worker", id, "cpu", p.cfg.CPUs[id], "err", err)
		}
	}
	hasher, err := p.cfg.NewHasher(id)
	if err != nil {
		started <- fmt.Errorf("start hash worker %d: %w", id, err)
		return
	}
	defer hasher.Close()
	started <- nil
	w := worker{owner: p, hasher: hasher}
	rule := func(key pow.Key) (int, time.Duration) {
		width, wait := hasher.Batch(key)
		if !wait {
			return max(width, 1), 0
		}
		return max(width, 1), p.cfg.BatchWait
	}
	for {
		var ok bool
		if w.batch, w.late, ok = p.queue.take(w.batch[:0], w.late[:0], rule); !ok {
			return
		}
		w.shed()
		if len(w.batch) > 0 {
			w.work()
		}
	}
}
