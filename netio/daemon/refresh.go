package daemon

import (
	"context"
	"errors"
	"time"
)

// fetchGap is the shortest time between two tries to get a template when the first one failed:
// notices must not turn a failing daemon's error into a busy loop.
const fetchGap = 200 * time.Millisecond

// why a template is fetched.
type cause uint8

const (
	causeNone cause = iota
	causeTip        // there is none yet, or its parent is not the tip
	causeAge        // MaxAge has passed
	causePool       // the transaction pool changed, TxRefresh has passed
)

// need decides whether the chosen daemon is asked for a template now. Called with c.mu held.
func (c *Client) need(n *node, now time.Time) cause {
	n.mu.Lock()
	info, noticed, failed, failedAt := n.info, n.poolChanged, n.fetchFails > 0, n.lastErrAt
	n.mu.Unlock()
	cur := c.current
	switch {
	case failed && now.Sub(failedAt) < fetchGap, now.Sub(c.postponed) < fetchGap:
		return causeNone
	case cur == nil:
		return causeTip
	case cur.Daemon != n.name && info.height < cur.Height && now.Sub(c.since) < c.cfg.LagGrace:
		// After a failover to a daemon that has not seen the newest block yet: mining on the known
		// newer parent is right; give this one time to catch up.
		return causeNone
	case info.tip != cur.Prev && (cur.Prev != [32]byte{} || info.height != cur.Height):
		return causeTip
	case now.Sub(c.lastFetch) >= c.cfg.MaxAge:
		return causeAge
	case now.Sub(c.lastFetch) >= c.cfg.TxRefresh && (noticed || info.txs != c.fetchTxs):
		return causePool
	}
	return causeNone
}

// nextLook is how long Run may sleep when no probe has news: until the template is due anyway.
func (c *Client) nextLook(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return c.cfg.PollInterval
	}
	due := c.lastFetch.Add(c.cfg.MaxAge)
	if n := c.active; n != nil {
		n.mu.Lock()
		if pool := c.lastFetch.Add(c.cfg.TxRefresh); n.poolChanged && pool.Before(due) {
			due = pool
		}
		n.mu.Unlock()
	}
	// When the due fetch fails it is tried again with the next poll.
	return max(due.Sub(now), min(c.cfg.PollInterval, time.Second))
}

// step chooses the daemon and gets a template from it if one is needed. It returns true when the
// daemon was blocked, so that another choice is worth a try at once.
func (c *Client) step(ctx context.Context, accept func(*Template) error) (again bool) {
	now := time.Now()
	n := c.choose(now)
	if n == nil {
		return false
	}
	c.mu.Lock()
	why := c.need(n, now)
	n.mu.Lock()
	info, answering := n.info, n.answering
	n.mu.Unlock()
	if answering && c.current != nil && info.tip == c.current.Prev {
		c.confirmed = n.okTime()
	}
	c.mu.Unlock()
	if why == causeNone {
		return false
	}
	start := time.Now()
	t, err := n.caller.template(ctx, c.cfg.RPCTimeout, c.cfg.Wallet, c.cfg.ReserveSize)
	n.metrics.templateSeconds.Observe(time.Since(start).Seconds())
	if ctx.Err() != nil {
		return false
	}
	if err == nil && t.Height < info.height {
		// The chain was this long before we asked. One such answer may be a reorganisation to a
		// shorter chain with more work; FailAfter of them are a daemon that serves old templates.
		err = n.named("get_block_template", fault(KindStaleTemplate, "height %d, the chain's is %d", t.Height, info.height))
	}
	if err != nil {
		return c.failed(n, err)
	}
	return c.offer(n, t, why, info, accept)
}

// offer hands t to accept if it is news.
func (c *Client) offer(n *node, t *Template, why cause, info chainInfo, accept func(*Template) error) (again bool) {
	c.mu.Lock()
	cur := c.current
	c.mu.Unlock()
	switch {
	case t.same(cur):
		c.metrics.unchanged.Inc()
		c.settle(n, cur, t.Received, info.txs)
		return false
	case why == causePool && t.Prev == cur.Prev && t.Height == cur.Height && t.Seed == cur.Seed &&
		t.NextSeed == cur.NextSeed && t.Difficulty == cur.Difficulty && !t.pays(cur):
		c.metrics.notWorth.Inc()
		c.settle(n, cur, t.Received, info.txs)
		return false
	}
	if err := accept(t); err != nil {
		var r *refusal
		if !errors.As(err, &r) {
			c.postpone(n, err)
			return false
		}
		c.metrics.refused.Inc()
		return c.failed(n, n.named("get_block_template", &Error{Kind: KindRefused, Err: err}))
	}
	c.metrics.announced.Inc()
	c.metrics.height.Set(float64(t.Height))
	c.settle(n, t, t.Received, info.txs)
	return false
}

// settle makes t current (it may be already) and restarts the refresh clocks.
func (c *Client) settle(n *node, t *Template, at time.Time, txs uint64) {
	n.fetched()
	c.mu.Lock()
	c.current, c.confirmed, c.lastFetch, c.fetchTxs, c.postponed = t, at, at, txs, time.Time{}
	c.mu.Unlock()
}

// postpone counts a template that accept could not judge. The daemon is not to blame: its template
// is asked for again with its next poll, because the one that comes then may be a newer one.
func (c *Client) postpone(n *node, err error) {
	c.metrics.postponed.Inc()
	c.mu.Lock()
	first := c.postponed.IsZero()
	c.postponed = time.Now()
	c.mu.Unlock()
	if first {
		c.cfg.Log.Warn("block template could not be judged, it is fetched again", "pool", c.cfg.Pool, "daemon", n.name, "err", err)
	}
}

// failed counts a template that did not come or was wrong.
func (c *Client) failed(n *node, err error) (blocked bool) {
	d := n.fetchFailed(&c.cfg, err, time.Now())
	if d == 0 {
		return false
	}
	c.cfg.Log.Warn("coin daemon left alone", "pool", c.cfg.Pool, "for", d, "err", err)
	return true
}

func (n *node) okTime() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lastOK
}
