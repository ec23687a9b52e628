package daemon

import (
	"fmt"
	"sync"
	"time"
)

// node is one daemon as the client sees it.
type node struct {
	*caller
	zmqAddr string
	kick    chan struct{} // asks the probe for a poll now; capacity 1
	metrics nodeMetrics

	trouble     reminder // of failed polls
	feedTrouble reminder // of the ZMQ feed

	mu           sync.Mutex // guards everything below
	answering    bool       // the last poll was good
	healthy      bool       // answering long enough, or has not failed FailAfter times yet
	seen         bool       // has answered at least once
	fails, goods int        // polls in a row
	info         chainInfo  // of the last good poll
	heightSince  time.Time  // when info.height was first seen
	behindSince  time.Time  // zero = not behind
	behind       string     // why it is held back although it answers, "" = it is not
	lead         lead       // the last proof that it is ahead of the others
	doubted      bool       // behind is for a lead that was not proven
	foreign      bool       // it said it is on another network
	blockedUntil time.Time  // left alone until then: its template was refused or did not come
	blocks       int        // blockings in a row, for the back-off
	fetchFails   int        // get_block_template in a row
	lastErr      error
	lastErrAt    time.Time
	lastOK       time.Time
	feed         feed
	polledAt     time.Time // when the last good poll began; zero = never
	poolChanged  bool      // a ZMQ notice of a new transaction since the last template
}

// good records a good poll that began at start. mute tells that the ZMQ feed has missed a block.
func (n *node) good(cfg *Config, ci chainInfo, start, now time.Time) (mute bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	mute = n.feed.polled(n.seen && ci.tip != n.info.tip, n.polledAt, now)
	n.polledAt = start
	n.showFeed()
	if !n.seen || ci.height != n.info.height {
		n.heightSince = now
	}
	n.info, n.lastOK = ci, now
	n.fails = 0
	n.goods++
	if !n.seen || n.goods >= cfg.RecoverAfter {
		n.healthy = true // the very first answer suffices: nothing is known against it
	}
	n.seen, n.answering, n.foreign = true, true, false
	n.metrics.height.Set(float64(ci.height))
	n.metrics.setUp(n.healthy)
	return mute
}

// bad records a failed poll; usable tells whether the daemon still counts as healthy.
func (n *node) bad(cfg *Config, err error, now time.Time) (usable bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answering = false
	n.goods = 0
	n.fails++
	n.lastErr, n.lastErrAt = err, now
	// A daemon that says itself that it is not ready, or talks nonsense, needs no second try.
	k := KindOf(err)
	if n.fails >= cfg.FailAfter || k == KindBusy || k == KindNotSynced || k == KindNetwork || k.distrust() {
		n.healthy = false
	}
	if k == KindNetwork {
		n.foreign = true // until it says something else, which a daemon that is away does not
	}
	n.metrics.errors[k].Inc()
	n.metrics.setUp(n.healthy)
	return n.healthy
}

// isForeign tells whether the daemon said it is on another network: it is asked nothing about our
// chain and given no block.
func (n *node) isForeign() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.foreign
}

// fetchFailed records that no template could be had. Wrong data blocks the daemon at once, absent
// data after FailAfter times; the polls alone would not notice either.
func (n *node) fetchFailed(cfg *Config, err error, now time.Time) (blocked time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lastErr, n.lastErrAt = err, now
	n.fetchFails++
	n.metrics.errors[KindOf(err)].Inc()
	if !KindOf(err).distrust() && n.fetchFails < cfg.FailAfter {
		return 0
	}
	blocked = backoff(cfg.RefuseBackoff, cfg.RefuseBackoffMax, n.blocks)
	n.blocks++
	n.blockedUntil = now.Add(blocked)
	n.healthy, n.goods = false, 0
	n.metrics.setUp(false)
	return blocked
}

// fetched records that a template of this daemon was good.
func (n *node) fetched() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fetchFails, n.blocks, n.poolChanged = 0, 0, false
}

// fitness of a daemon for use, best last.
type fitness uint8

const (
	unfit    fitness = iota // does not answer, or is blocked
	lastHope                // answers, but has not recovered yet or is behind
	fit
)

func (n *node) fitness(now time.Time) fitness {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !n.seen || now.Before(n.blockedUntil):
		return unfit
	case n.healthy && n.behind == "":
		return fit
	case n.answering:
		return lastHope
	}
	return unfit
}

// quorumHeight is the greatest height that at least half of the daemons whose height counts have
// reached: of two the higher one, of three the middle one.
func quorumHeight(sorted []uint64) uint64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)-1-(len(sorted)-1)/2]
}

// judge compares the daemon with the others: with the height ref that counts for being late, and
// with where they stand for a lead. It reports whether the daemon has just lost its credit.
func (n *node) judge(cfg *Config, s *standing, ref uint64, now time.Time) (lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.judgeLag(cfg, ref, now)
	var doubted bool
	if text := n.doubt(cfg, s); text != "" && n.behind == "" {
		n.behind, doubted = text, n.proofOf(s) != leadOpen
	}
	lost = doubted && !n.doubted
	n.doubted = doubted
	return lost
}

// judgeLag compares the daemon with the height ref that the others reached. Called with mu held.
func (n *node) judgeLag(cfg *Config, ref uint64, now time.Time) {
	n.behind = ""
	h := n.info.height
	if h >= ref {
		n.behindSince = time.Time{}
		return
	}
	if ref-h < cfg.LagBlocks {
		n.behindSince = time.Time{}
		if now.Sub(n.heightSince) > cfg.StuckAfter {
			n.behind = fmt.Sprintf("stuck at height %d for %s", h, now.Sub(n.heightSince).Round(time.Second))
		}
		return
	}
	if n.behindSince.IsZero() {
		n.behindSince = now
	}
	if now.Sub(n.behindSince) > cfg.LagGrace {
		n.behind = fmt.Sprintf("%d blocks behind at height %d", ref-h, h)
	}
}

// reason says why the daemon is not fit, "" when it is. Called with mu held.
func (n *node) reason(now time.Time) string {
	switch {
	case !n.seen && n.lastErr == nil:
		return "not asked yet"
	case now.Before(n.blockedUntil):
		return fmt.Sprintf("left alone for %s: %v", n.blockedUntil.Sub(now).Round(time.Second), n.lastErr)
	case !n.healthy && n.answering:
		return fmt.Sprintf("recovering, %d good polls", n.goods)
	case !n.healthy:
		return n.lastErr.Error()
	}
	return n.behind
}

// onFeed changes what is known of the feed, and shows it.
func (n *node) onFeed(change func(*feed)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.feed)
	n.showFeed()
}

// showFeed sets the metric: a feed that stands and is mute is not up. Called with mu held.
func (n *node) showFeed() {
	up := 0.0
	if n.feed.up && !n.feed.mute {
		up = 1
	}
	if n.metrics.feedUp != nil {
		n.metrics.feedUp.Set(up)
	}
}

// wake asks the probe for a poll now; several requests become one.
func (n *node) wake() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// backoff doubles from first to limit.
func backoff(first, limit time.Duration, n int) time.Duration {
	d := first
	for ; n > 0 && d < limit; n-- {
		d *= 2
	}
	return min(d, limit)
}
