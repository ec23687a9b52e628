package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/assay-pool/assay/bench/miner"
	"github.com/assay-pool/assay/bench/xmrig"
)

// crew is a number of honest miners at work.
type crew struct {
	t      *testing.T
	miners []*miner.Miner
	who    []told // wallet and worker of each
	cancel context.CancelFunc
	wg     sync.WaitGroup
	errs   chan error
}

// hire starts one miner for each rig, each with one thread. The node's single
// hash worker gets no more of two cores than any of them, so the rigs' share
// rates, 1/difficulty a hash, must add up to well below one, or it sheds.
func hire(t *testing.T, rigs ...rig) *crew {
	t.Helper()
	return hireAs(t, miner.Config{Hashers: hashers, Batch: 2, KeepShares: 100000}, rigs...)
}

// hireAs is hire of miners that are configured in part.
func hireAs(t *testing.T, cfg miner.Config, rigs ...rig) *crew {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &crew{t: t, cancel: cancel, errs: make(chan error, len(rigs))}
	t.Cleanup(func() { cancel(); c.wg.Wait() })
	for i, r := range rigs {
		cfg.Name, cfg.Threads = fmt.Sprintf("%s-%d", t.Name(), i), 1
		cfg.Pool.Addr, cfg.Pool.Login = r.addr, r.wallet+"."+r.worker
		m, err := miner.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.miners = append(c.miners, m)
		c.who = append(c.who, told{wallet: r.wallet, worker: r.worker})
		c.wg.Go(func() {
			if err := m.Run(ctx); err != nil {
				c.errs <- err
			}
		})
	}
	return c
}

// rig is where and for whom a miner works.
type rig struct{ addr, wallet, worker string }

// accepted is the number of shares all miners were told of.
func (c *crew) accepted() (n uint64) {
	for _, m := range c.miners {
		n += m.Stats().Accepted
	}
	return n
}

// mine lets the node's miners have n more shares accepted.
func (c *crew) mine(n *node, more uint64) {
	c.t.Helper()
	goal := c.accepted() + more
	n.wait(fmt.Sprintf("%d more accepted shares", more), func() error {
		if got := c.accepted(); got < goal {
			return fmt.Errorf("%d of %d", got, goal)
		}
		return nil
	})
}

// rest ends the miners once their answers are in, and returns what they were
// told. A miner that has lost its connection or an answer fails the test,
// because then nobody knows what it is owed.
func (c *crew) rest() []told {
	c.t.Helper()
	out := c.finish()
	for i, m := range c.miners {
		if s := m.Stats(); s.Failures != 0 || s.Unanswered != 0 || s.HashErrors != 0 {
			c.t.Errorf("miner %d: %d connections lost (%s), %d shares unanswered, %d hash errors", i, s.Failures, s.LastError, s.Unanswered, s.HashErrors)
		}
	}
	return out
}

// finish ends the miners and returns what they were told, whatever befell their
// connections. Refusals other than stale shares and those expected fail the test.
func (c *crew) finish(expected ...string) []told {
	c.t.Helper()
	c.cancel()
	c.wg.Wait()
	select {
	case err := <-c.errs:
		c.t.Errorf("miner: %v", err)
	default:
	}
	out := make([]told, len(c.who))
	for i, m := range c.miners {
		s := m.Stats()
		out[i] = c.who[i]
		out[i].hashes, out[i].shares = s.Difficulty, s.Accepted
		for text, n := range s.ErrorTexts {
			if text != "Block expired" && !slices.Contains(expected, text) {
				c.t.Errorf("miner %d was refused %d shares: %s", i, n, text)
			}
		}
	}
	return out
}

// client is one connection that mines in lock step: one share, one answer.
type client struct {
	*xmrig.Client
	t      *testing.T
	hasher miner.Hasher
	next   uint32 // nonce
}

// connect dials a port without logging in.
func connect(t *testing.T, cfg xmrig.Config) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if cfg.Login == "" {
		cfg.Login = walletA
	}
	c, err := xmrig.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	hasher, err := hashers.NewHasher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hasher.Close)
	return &client{Client: c, t: t, hasher: hasher}
}

// login dials and logs in.
func login(t *testing.T, addr, as string) (*client, *xmrig.Job) {
	t.Helper()
	c := connect(t, xmrig.Config{Addr: addr, Login: as})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	job, err := c.Login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c, job
}

// hash computes the hash of a job at a nonce.
func (c *client) hash(job *xmrig.Job, nonce [4]byte) (out [32]byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := hashers.Prepare(ctx, c.t.Name(), job); err != nil {
		c.t.Fatal(err)
	}
	in := append([]byte{}, job.Blob...)
	copy(in[xmrig.NonceOffset:], nonce[:])
	if err := c.hasher.Hash(job.Algo, job.Seed, job.Height, in, []uint32{uint32(len(in))}, out[:]); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// find searches on for a nonce whose hash meets the job's target, or, with
// want false, does not.
func (c *client) find(job *xmrig.Job, want bool) (nonce [4]byte, result [32]byte) {
	c.t.Helper()
	for {
		binary.LittleEndian.PutUint32(nonce[:], c.next)
		c.next++
		if result = c.hash(job, nonce); job.Meets(result[:]) == want {
			return nonce, result
		}
	}
}

// submit sends a share; "" is accepted, else the pool's text. Anything else
// that XMRig would stop at fails the test.
func (c *client) submit(job *xmrig.Job, nonce [4]byte, result [32]byte) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := c.Submit(ctx, job, nonce, result)
	var refusal *xmrig.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.Message
	}
	c.t.Fatal(err)
	return ""
}

// share mines one share and has it accepted.
func (c *client) share(job *xmrig.Job) (nonce [4]byte, result [32]byte) {
	c.t.Helper()
	nonce, result = c.find(job, true)
	if text := c.submit(job, nonce, result); text != "" {
		c.t.Fatalf("a right share was refused: %s", text)
	}
	return nonce, result
}

// nextJob waits for a pushed job.
func (c *client) nextJob() *xmrig.Job {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	job, err := c.NextJob(ctx)
	if err != nil {
		c.t.Fatalf("the next job: %v", err)
	}
	return job
}

// newest returns the job pushed last, or the one given when none was.
func (c *client) newest(job *xmrig.Job) *xmrig.Job {
	c.t.Helper()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		next, err := c.NextJob(now)
		if errors.Is(err, context.Canceled) {
			return job
		}
		if err != nil {
			c.t.Fatal(err)
		}
		job = next
	}
}
