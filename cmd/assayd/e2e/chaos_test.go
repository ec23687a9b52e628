package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/bench/miner"
	"github.com/assay-pool/assay/bench/xmrig"
	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cryptonight"
	"github.com/assay-pool/assay/native/pow"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

const (
	nodeStops = "The pool node is shutting down, please reconnect"
	throttled = "Throttled down share submission (please increase difficulty)"
	jobIsFull = "Too many shares for the current job, wait for a new one"
)

// chaos is a node with miners at work, to which things happen.
type chaos struct {
	t     *testing.T
	rng   *rand.Rand
	s     *site
	n     *node             // that runs, or is being started
	redis *redistest.Server // nil = the node's own
	c     *crew
	coin  chain

	pace  time.Duration // the most between two faults
	kills int
	did   map[string]int
}

// chain is the coin's daemon.
type chain struct {
	height        func() uint64
	idAt          func(height uint64) [32]byte
	extend        func(blocks int)
	pause, resume func()
}

func chainOf(m *daemontest.Monerod) chain {
	return chain{m.Height, m.BlockIDAt, m.Generate, m.Pause, m.Resume}
}

// fakeChain is a scripted daemon's.
func fakeChain(t *testing.T, f *daemontest.Fake) chain {
	idAt := func(height uint64) [32]byte {
		t.Helper()
		resp, err := http.Post(f.URL, "application/json", bytes.NewReader(fmt.Appendf(nil, `{"method":"get_block_header_by_height","params":{"height":%d}}`, height)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var r struct {
			Result struct {
				Header struct{ Hash string } `json:"block_header"`
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
			t.Fatal(err)
		}
		id, err := hex.DecodeString(r.Result.Header.Hash)
		if err != nil || len(id) != 32 {
			t.Fatalf("height %d has the block %q", height, r.Result.Header.Hash)
		}
		return [32]byte(id)
	}
	return chain{f.Height, idAt, f.Extend, f.Hold, f.Release}
}

// pass lets things go on for a random time.
func (x *chaos) pass(most time.Duration) { <-time.After(time.Duration(x.rng.Int64N(int64(most)))) }

// kill ends the node at once and starts the next.
func (x *chaos) kill() {
	x.kills++
	x.n.kill()
	x.n = x.s.begin(x.t)
}

// goOn waits until the node has answered more shares.
func (x *chaos) goOn(more uint64) {
	x.t.Helper()
	goal := x.c.accepted() + more
	x.n.wait(fmt.Sprintf("%d more accepted shares", more), func() error {
		if got := x.c.accepted(); got < goal {
			return fmt.Errorf("%d of %d", got, goal)
		}
		return nil
	})
}

// server is the process of the node's own Redis; 0 = there is none now.
func (x *chaos) server() int {
	for _, pid := range x.n.children() {
		return pid
	}
	return 0
}

// stopRedis makes Redis hang, and goRedis lets it go on.
func (x *chaos) stopRedis() (goRedis func()) {
	if x.redis != nil {
		x.redis.Pause()
		return x.redis.Resume
	}
	pid := x.server()
	if pid == 0 {
		return func() {}
	}
	_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended in between, here as below
	return func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
}

// killRedis ends Redis at once, and runRedis starts it again; its own the node
// starts itself.
func (x *chaos) killRedis() (runRedis func()) {
	if x.redis != nil {
		x.redis.Kill()
		return x.redis.Run
	}
	if pid := x.server(); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return func() {}
}

// faults are what happens. Each leaves all processes running.
var faults = []struct {
	name string
	do   func(x *chaos)
}{
	{"node killed", func(x *chaos) { x.kill() }},
	{"node killed at work", func(x *chaos) { x.goOn(1 + x.rng.Uint64N(3)); x.kill() }},
	{"node killed twice", func(x *chaos) { x.kill(); x.pass(2 * time.Second); x.kill() }},
	{"node stopped", func(x *chaos) { x.n.waitReady(); x.n.stop(); x.n = x.s.begin(x.t) }},
	{"redis hangs", func(x *chaos) { on := x.stopRedis(); x.pass(2 * time.Second); on() }},
	{"redis killed", func(x *chaos) { on := x.killRedis(); x.pass(time.Second); on() }},
	{"redis hangs, node killed", func(x *chaos) { on := x.stopRedis(); x.pass(time.Second); x.kill(); x.pass(time.Second); on() }},
	{"redis killed, node killed", func(x *chaos) { on := x.killRedis(); x.pass(time.Second); x.kill(); x.pass(time.Second); on() }},
	{"daemon hangs", func(x *chaos) { x.coin.pause(); x.pass(time.Second); x.coin.resume() }},
	{"daemon hangs, node killed", func(x *chaos) { x.coin.pause(); x.pass(time.Second); x.kill(); x.coin.resume() }},
}

// fewest kills and blocks are what a run must have seen, however busy the machine.
const fewest = 3

// run lets things happen until it is enough, and then holds the books to the
// miners, the journal and the chain.
func (x *chaos) run(enough func() bool) {
	x.t.Helper()
	x.did = map[string]int{}
	before := x.coin.height()
	x.n = x.s.start(x.t)
	for !enough() || x.kills < fewest || x.coin.height() < before+fewest {
		if x.pass(x.pace); x.rng.IntN(2) == 0 {
			x.goOn(1 + x.rng.Uint64N(10))
		}
		fault := faults[x.rng.IntN(len(faults))]
		x.did[fault.name]++
		began := time.Now()
		fault.do(x)
		if !long() {
			x.t.Logf("%s: %v", fault.name, time.Since(began).Round(time.Millisecond))
		}
	}
	x.n.waitReady()
	x.goOn(3)
	x.c.finish(nodeStops, throttled, jobIsFull) // the last while the daemon hangs
	url := "unix://" + filepath.Join(x.s.dir, "redis", "redis.sock")
	if x.redis != nil {
		url = x.redis.URL()
	}
	b := openBooks(x.t, url, "default")
	after := x.coin.height()
	x.n = x.s.settled(x.t, x.n, b, x.coin.extend)
	b.within(x.t, x.c.owed(x.t, x.s.worth))
	b.chain(x.t, before, after, x.coin.idAt)
	x.n.stop()
	x.s.audit(x.t)
	x.t.Logf("%d kills of the node; %v", x.kills, x.did)
}

// TestChaos: the node, its Redis and its monerod are killed and stopped at random
// while miners work.
func TestChaos(t *testing.T) {
	for _, own := range []bool{false, true} {
		t.Run(map[bool]string{false: "redis", true: "own redis"}[own], func(t *testing.T) {
			x := &chaos{t: t, rng: seeded(t), pace: 2 * time.Second}
			difficulty := uint64(worth) // every share is a block
			if own {
				difficulty = 3 * worth / 2
			}
			m := daemontest.Start(t, daemontest.Options{Difficulty: difficulty})
			x.coin = chainOf(m)
			flags := []string{"--daemon", m.URL + ",zmq=" + m.ZMQ}
			if !own {
				x.redis = redistest.Start(t)
				flags = append(flags, "--redis", x.redis.URL())
			}
			x.s = newSite(t, assayd, worth, flags...)
			x.c = tireless(t, x.s.rig(walletA, "one"), x.s.rig(walletB, "two"))
			until := time.Now().Add(12 * time.Second)
			x.run(func() bool { return time.Now().After(until) })
		})
	}
}

// TestLongChaos is the same with 10^6 shares, which takes the fastest algorithm, and
// a hundred kills.
func TestLongChaos(t *testing.T) {
	if !long() {
		t.Skip("ASSAY_LONG_TESTS=1 runs it: half an hour or more")
	}
	const (
		shares = 1_000_000
		kills  = 100
		limit  = time.Hour
	)
	engine, err := cryptonight.New(cryptonight.Config{})
	if err != nil {
		t.Fatal(err)
	}
	fake := newFake(t, 1500)
	x := &chaos{t: t, rng: seeded(t), redis: redistest.Start(t), coin: fakeChain(t, fake), pace: 20 * time.Second}
	x.s = newSite(t, assayd, 1, "--daemon", fake.URL, "--redis", x.redis.URL(), "--algo", "cn-pico", "--session-inflight", "64")
	cfg := miner.Config{Batch: 16, BackoffMin: 20 * time.Millisecond, BackoffMax: 100 * time.Millisecond,
		Hashers: miner.NewNative(pow.Engines{CryptoNight: engine, Expected: []algo.ID{algo.CNPico}}),
		Pool:    xmrig.Config{Algos: []algo.ID{algo.CNPico}}}
	x.c = hireAs(t, cfg, x.s.rig(walletA, "one"), x.s.rig(walletB, "two"))
	began := time.Now()
	said := began
	x.run(func() bool {
		got := x.c.accepted()
		if time.Since(said) > time.Minute {
			said = time.Now()
			t.Logf("%v: %d shares, %d kills", time.Since(began).Round(time.Second), got, x.kills)
		}
		if time.Since(began) > limit {
			t.Errorf("%d shares and %d kills within %v, want %d and %d", got, x.kills, limit, shares, kills)
			return true
		}
		return got >= shares && x.kills >= kills
	})
	t.Logf("%d shares were told accepted in %v", x.c.accepted(), time.Since(began).Round(time.Second))
}
