package journal

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/assay-pool/assay/validator/verify"
)

var us = Identity{Coin: "monero", Wallet: "4wallet"}

// deadline bounds what a test waits for.
const deadline = 20 * time.Second

// waiter is a Done that remembers.
type waiter struct {
	t     testing.TB
	mu    sync.Mutex
	calls int
	err   error
	done  chan struct{}
}

func newWaiter(t testing.TB) *waiter { return &waiter{t: t, done: make(chan struct{})} }

func (w *waiter) Committed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls++; w.calls > 1 {
		w.t.Errorf("told twice: %v after %v", err, w.err)
		return
	}
	w.err = err
	close(w.done)
}

func (w *waiter) wait() error {
	w.t.Helper()
	select {
	case <-w.done:
		return w.err
	case <-time.After(deadline):
		w.t.Fatal("nobody told the waiter")
		return nil
	}
}

// told says whether it was told, without waiting.
func (w *waiter) told() (err error, ok bool) {
	select {
	case <-w.done:
		return w.err, true
	default:
		return nil, false
	}
}

func testConfig(dir string) Config {
	return Config{Dir: dir, Pool: "test", Identity: us, Sync: SyncAlways}
}

func mustOpen(t testing.TB, cfg Config) *Journal {
	t.Helper()
	j, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func mustClose(t testing.TB, j *Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := j.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func share(i int) Credit {
	return Credit{Wallet: fmt.Sprintf("wallet%d", i%7), Worker: fmt.Sprintf("rig%d", i%3), Difficulty: uint64(1000 + i), Time: noon.Add(time.Duration(i) * time.Millisecond)}
}

func block(i int) Block {
	b := Block{Height: uint64(100 + i), Difficulty: "340282366920938463463374607431768211455", Reward: 600e9, Wallet: "finder", Worker: "rig", Node: "node", Time: noon.Add(time.Duration(i))}
	b.ID[0], b.ID[1], b.ID[31] = byte(i), byte(i>>8), 1
	return b
}

// credit appends a share and waits until it is durable.
func credit(t testing.TB, j *Journal, c Credit) {
	t.Helper()
	w := newWaiter(t)
	j.Credit(c, w)
	if err := w.wait(); err != nil {
		t.Fatal(err)
	}
}

func found(t testing.TB, j *Journal, f Found) {
	t.Helper()
	w := newWaiter(t)
	j.Found(f, w)
	if err := w.wait(); err != nil {
		t.Fatal(err)
	}
}

func settle(t testing.TB, j *Journal, s Settled) {
	t.Helper()
	w := newWaiter(t)
	j.Settle(s, w)
	if err := w.wait(); err != nil {
		t.Fatal(err)
	}
}

// own copies a record out of the reader's memory.
func own(r *Record) Record {
	c := *r
	if r.Credit.Work != nil {
		w := verify.Work{Key: r.Credit.Work.Key, Claim: r.Credit.Work.Claim, Goals: r.Credit.Work.Goals}
		w.SetInput(r.Credit.Work.Input()) // what is behind it is any earlier one's
		c.Credit.Work = &w
	}
	if r.Found != nil {
		f := *r.Found
		f.Bytes = append([]byte(nil), f.Bytes...)
		c.Found = &f
	}
	if r.Settled != nil {
		s := *r.Settled
		c.Settled = &s
	}
	if r.ClawBack != nil {
		b := *r.ClawBack
		c.ClawBack = &b
	}
	if r.Vest != nil {
		v := *r.Vest
		c.Vest = &v
	}
	if r.Lost != nil {
		l := *r.Lost
		c.Lost = &l
	}
	return c
}

// readAll gives all records from a position on, and checks that positions and sums
// follow each other.
func readAll(t testing.TB, j *Journal, from Position) []Record {
	t.Helper()
	r, err := j.NewReader("test", from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return drain(t, r)
}

func drain(t testing.TB, r *Reader) []Record {
	t.Helper()
	var all []Record
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := len(all); n > 0 {
			last := all[n-1]
			if rec.At < last.End || rec.End < rec.At {
				t.Fatalf("record [%d, %d) after [%d, %d)", rec.At, rec.End, last.At, last.End)
			}
			want := last.Sums
			switch rec.Kind {
			case KindCredit:
				want.Hashes += rec.Credit.Difficulty
				want.Shares++
			case KindLost:
				want.Hashes += rec.Lost.Hashes
				want.Shares += rec.Lost.Shares
			}
			if rec.Sums != want && !(rec.Kind == KindLost && !rec.Lost.Known) {
				t.Fatalf("sums %v behind %v, want %v", rec.Sums, rec, want)
			}
		}
		all = append(all, own(rec))
	}
}
