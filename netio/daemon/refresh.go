package daemon

import (
	"context"
	"errors"
	"time"
)

// fetchGap is the shortest time between two tries to get a template when the first one failed:
// notices must not turn a failing daemon's error into a busy loop.
const fetchGap = 200 * time.Millisecond

// shrinkGap is the shortest time between two fetches because the transaction pool shrank. What has
// left it may be in our template, which can be no block then, so TxRefresh is too long to wait; a
// second keeps a pool that goes up and down from a fetch with every poll.
const shrinkGap = time.Second

// why a template is fetched.
type cause uint8

const (
	causeNone    cause = iota
	causeTip           // there is none yet, or its parent is not the tip
	causeBlock         // the chosen daemon took our own block: its tip has moved, whatever the last poll said
	causeRefused       // a block of ours was refused: the template may be unable to become one
	causeAge           // MaxAge has passed
	causePool          // the transaction pool changed: TxRefresh has passed, or it shrank
)

// need decides whether the chosen daemon is asked for a template now. Called with c.mu held.
func (c *Client) need(n *node, now time.Time) cause {
	n.mu.Lock()
	info, polled, noticed := n.info, n.lastOK, n.poolChanged
	failed, failedAt := n.fetchFails > 0, n.lastErrAt
	n.mu.Unlock()
	cur := c.current
	switch {
	case failed && now.Sub(failedAt) < fetchGap, now.Sub(c.postponed) < fetchGap:
		return causeNone
	case cur == nil:
		return causeTip
	case c.lost:
		return causeRefused
	case c.urgent != causeNone:
		return c.urgent
	case cur.Daemon != n.name && info.height < cur.Height && now.Sub(c.since) < c.cfg.LagGrace && c.credible(cur, info.height, now):
		// After a failover to a daemon that has not seen the newest block yet: mining on the known
		// newer parent is right; give this one time to catch up.
		return causeNone
	case cur.Daemon == n.name && polled.Before(cur.asked):
		// The template is newer than the poll: it was fetched for our own block.
	case info.tip != cur.Prev && (cur.Prev != [32]byte{} || info.height != cur.Height):
		return causeTip
	}
	fetched := now.Sub(c.lastFetch)
	switch {
	case now.Sub(c.renewed) >= c.cfg.MaxAge:
		return causeAge
	case info.txs < c.fetchTxs && fetched >= shrinkGap, fetched >= c.cfg.TxRefresh && (noticed || info.txs != c.fetchTxs):
		return causePool
	}
	return causeNone
}

// credible tells whether the parent of a template that another daemon gave is worth waiting for
// until a daemon at height has it too: not if its own daemon is not believed any more, and not if it
// is more than a block ahead and this was never proven. Called with c.mu held.
func (c *Client) credible(t *Template, height uint64, now time.Time) bool {
	for _, n := range c.nodes {
		if n.name != t.Daemon {
			continue
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		switch {
		case n.foreign || n.doubted || now.Before(n.blockedUntil) && KindOf(n.lastErr).distrust():
			return false
		case t.Height-height < c.cfg.LagBlocks:
			return true
		}
		return n.lead.proof == leadProven && n.lead.tip == t.Prev
	}
	return false
}

// urge asks Run for a template now.
func (c *Client) urge(why cause) {
	c.mu.Lock()
	c.urgent = why
	c.mu.Unlock()
	c.announceNews()
}

// blockTaken is told that a daemon has our block on its main chain. Everybody's hashes are for
// nothing until there is a job on it, so the chosen daemon's template is not waited for.
func (c *Client) blockTaken(n *node) {
	n.wake()
	if n == c.chosen() {
		c.urge(causeBlock)
	}
}

// blockRefused is told that a block was refused by the daemon that gave the template it is of, or by
// all. Unless the chain has moved on, that template is no good, and is not taken again while any
// daemon has another one. A block is told of once.
func (c *Client) blockRefused(id [32]byte, block []byte) {
	w := readWork(&c.cfg, block)
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != ([32]byte{}) && id == c.refusedID {
		return
	}
	c.refusedID = id
	if cur := c.current; w == nil || cur == nil || cur.work == nil || cur.work.prev != w.prev {
		return // there is work on another parent
	}
	if !w.same(c.refused) {
		c.refused, c.refusedBy = w, make(map[*node]bool)
	}
	c.lost = c.lost || w.same(c.current.work)
	c.refusals++
	c.urgent = causeRefused
	c.announceNews()
}

// gave tells whether the daemon gave the current template.
func (c *Client) gave(n *node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current != nil && c.current.Daemon == n.name
}

// nextLook is how long Run may sleep when no probe has news: until the template is due anyway.
func (c *Client) nextLook(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return c.cfg.PollInterval
	}
	due := c.renewed.Add(c.cfg.MaxAge)
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
func (c *Client) step(ctx context.Context, accept func(*Template) error, confirm func()) (again bool) {
	now := time.Now()
	n := c.choose(now)
	if n == nil {
		return false
	}
	c.mu.Lock()
	why := c.need(n, now)
	c.mu.Unlock()
	if why == causeNone {
		return false
	}
	n.mu.Lock()
	info := n.info
	n.mu.Unlock()
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
	t.work = readWork(&c.cfg, t.Blob)
	return c.offer(n, t, why, info, accept, confirm)
}

// offer hands t to accept if it is to replace the current one, and confirms that one otherwise.
func (c *Client) offer(n *node, t *Template, why cause, info chainInfo, accept func(*Template) error, confirm func()) (again bool) {
	if err := c.refusedAgain(n, t); err != nil {
		return c.failed(n, err)
	}
	c.mu.Lock()
	cur, lost, refusals := c.current, c.lost, c.refusals
	c.mu.Unlock()
	switch {
	case lost: // whatever comes is better than what cannot become a block
	case t.same(cur):
		c.metrics.unchanged.Inc()
		c.settle(n, cur, info.txs, t.Received)
		confirm()
		return false
	case why != causeAge && t.asGood(cur):
		c.metrics.notWorth.Inc()
		c.settle(n, cur, info.txs, time.Time{})
		confirm()
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
	c.mu.Lock()
	c.lost = c.refusals != refusals && t.work.same(c.refused)
	if c.refused != nil && (t.work == nil || t.work.prev != c.refused.prev) {
		c.refused, c.refusedBy = nil, nil
	}
	c.mu.Unlock()
	c.settle(n, t, info.txs, t.Received)
	return false
}

// refusedAgain is the error of a template that is the work a block was refused of, if a daemon that
// has not offered it may have another.
func (c *Client) refusedAgain(n *node, t *Template) error {
	now := time.Now()
	c.mu.Lock()
	if c.refused == nil || !t.work.same(c.refused) {
		c.mu.Unlock()
		return nil
	}
	c.metrics.sameAgain.Inc()
	first := !c.refusedBy[n]
	c.refusedBy[n] = true
	other := false
	for _, o := range c.nodes {
		other = other || !c.refusedBy[o] && o.fitness(now) == fit
	}
	c.mu.Unlock()
	switch {
	case other:
		return n.named("get_block_template", fault(KindRefused, "it is the template again of which a block was refused"))
	case first:
		c.cfg.Log.Error("a block of this template was refused, and no daemon gives another one: it is mined on again",
			"pool", c.cfg.Pool, "daemon", n.name, "height", t.Height)
	}
	return nil
}

// settle makes t current (it may be already) and restarts the refresh clocks; renewed is zero for a
// template that stays although another one came.
func (c *Client) settle(n *node, t *Template, txs uint64, renewed time.Time) {
	n.fetched()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.lastFetch, c.fetchTxs = t, time.Now(), txs
	c.urgent, c.postponed = causeNone, time.Time{}
	if !renewed.IsZero() {
		c.renewed = renewed
	}
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
