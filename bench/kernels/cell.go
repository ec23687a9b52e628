package kernels

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// cell is one path under measurement. Owned by Run's goroutine; its threads
// hand back shares of their own.
type cell struct {
	source
	width, threads int
	reference      *hashes

	step   int // batches a thread has done, over all rounds
	rounds []Round
	got    *hashes
	hashed uint64
	wrong  uint64
	kind   string // of the pages
}

// newCell is a path that hashes the nonces of its reference.
func newCell(s source, width, threads int, reference *hashes) *cell {
	return &cell{source: s, width: width, threads: threads, reference: reference, got: newHashes(reference.nonces())}
}

func (c *cell) String() string {
	s := ""
	if c.threads > 1 {
		s = "s"
	}
	return fmt.Sprintf("%v %s x%d, %d thread%s", c.algo, c.kernel, c.width, c.threads, s)
}

// Round is one turn of a path.
type Round struct {
	Hashes uint64  `json:"hashes"`
	Rate   float64 `json:"hashes_per_second"` // sum of the threads' own, by the wall clock
	HashMS float64 `json:"cpu_ms_per_hash"`
}

// turn is what one thread does in a round.
type turn struct {
	hasher hasher
	batch  *batch
	err    error

	got       *hashes
	steps     int
	wrong     uint64
	all       uint64 // hashes, the warm-up's included
	timed     uint64
	wall, cpu time.Duration
}

// round lets all threads hash for d at once, each at least one batch. Scratchpads
// are made and touched before the clock starts, by one batch that is not timed.
func (c *cell) round(ctx context.Context, d time.Duration) error {
	turns := make([]turn, c.threads)
	var done, ready sync.WaitGroup
	start := make(chan struct{})
	ready.Add(c.threads)
	for i := range turns {
		done.Go(func() {
			// The thread's clock must be one thread's.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			c.prepare(&turns[i], i)
			ready.Done()
			<-start
			c.time(ctx, &turns[i], i, d)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return c.collect(turns)
}

// prepare makes the thread's hasher and warms it.
func (c *cell) prepare(t *turn, thread int) {
	t.batch, t.got = newBatch(c.width), newHashes(c.reference.nonces())
	if t.hasher, t.err = c.newHasher(c.width); t.err == nil {
		c.batch(t, thread)
	}
}

// batch hashes the thread's next nonces. All threads together pass through all
// nonces, a batch each in turn.
func (c *cell) batch(t *turn, thread int) {
	t.batch.set(((c.step+t.steps)*c.threads+thread)*c.width, c.reference.nonces())
	t.steps++
	if t.err = t.hasher.hash(t.batch.in, t.batch.lens, t.batch.out); t.err != nil {
		return
	}
	for i, nonce := range t.batch.nonces {
		t.all++
		if !t.got.note(nonce, t.batch.out[i*hashBytes:(i+1)*hashBytes], c.reference) {
			t.wrong++
		}
	}
}

// time hashes until the time is over.
func (c *cell) time(ctx context.Context, t *turn, thread int, d time.Duration) {
	if t.err != nil {
		return
	}
	cpu, err := threadClock()
	before, begin := t.all, time.Now()
	for t.err == nil {
		c.batch(t, thread)
		if t.wall = time.Since(begin); t.wall >= d || ctx.Err() != nil {
			break
		}
	}
	end, endErr := threadClock()
	t.err = errors.Join(t.err, err, endErr)
	t.cpu, t.timed = end-cpu, t.all-before
}

// collect adds the threads up and frees their memory.
func (c *cell) collect(turns []turn) error {
	r, cpu, steps := Round{}, time.Duration(0), 0
	var errs []error
	for i := range turns {
		t := &turns[i]
		if t.hasher != nil {
			c.kind = t.hasher.pages().String()
			t.hasher.close()
		}
		if t.err != nil {
			errs = append(errs, t.err)
			continue
		}
		c.add(t)
		steps = max(steps, t.steps)
		r.Hashes += t.timed
		r.Rate += float64(t.timed) / max(t.wall, 1).Seconds()
		cpu += t.cpu
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%v: %w", c, err)
	}
	c.step += steps
	r.HashMS = max(cpu, 1).Seconds() * 1e3 / float64(r.Hashes)
	c.rounds = append(c.rounds, r)
	return nil
}

// add takes over a thread's hashes.
func (c *cell) add(t *turn) {
	c.hashed += t.all
	c.wrong += t.wrong
	for nonce, seen := range t.got.seen {
		if seen {
			c.got.note(nonce, t.got.at(nonce), c.reference)
		}
	}
}

// complete hashes what the rounds left of the fixed work, in this path's width,
// unless ctx ends first.
func (c *cell) complete(ctx context.Context) error {
	if c.got.missing() < 0 {
		return nil
	}
	h, err := c.newHasher(c.width)
	if err != nil {
		return fmt.Errorf("%v: %w", c, err)
	}
	defer h.close()
	for nonce := c.got.missing(); nonce >= 0; nonce = c.got.missing() {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := newBatch(c.width)
		b.set(nonce, c.reference.nonces())
		if err := h.hash(b.in, b.lens, b.out); err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		for i, n := range b.nonces {
			c.hashed++
			if !c.got.note(n, b.out[i*hashBytes:(i+1)*hashBytes], c.reference) {
				c.wrong++
			}
		}
	}
	return nil
}
