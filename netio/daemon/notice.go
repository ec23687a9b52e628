package daemon

import (
	"bytes"
	"context"
	"time"
)

// Topics of monerod's --zmq-pub.
const (
	topicBlock = "json-minimal-chain_main"
	topicTx    = "json-minimal-txpool_add"
)

// A lost publisher is tried again after 250 ms, doubling to 10 s: polling goes on meanwhile.
const (
	resubscribeFirst = 250 * time.Millisecond
	resubscribeMax   = 10 * time.Second
)

// subscribe keeps one daemon's notice feed open. A notice says only "look now": that a block came
// asks for a poll, that a transaction came is remembered for the next template.
func (c *Client) subscribe(ctx context.Context, n *node) {
	fails := 0
	for {
		heard, err := c.listen(ctx, n)
		if ctx.Err() != nil {
			return
		}
		if heard {
			fails = 0
		}
		wait := backoff(resubscribeFirst, resubscribeMax, fails)
		fails++
		c.cfg.Log.Debug("zmq feed lost", "pool", c.cfg.Pool, "daemon", n.name, "zmq", n.zmqAddr, "retry", wait, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// listen subscribes once and reads until the feed breaks. heard tells whether it had stood.
func (c *Client) listen(ctx context.Context, n *node) (heard bool, err error) {
	z, err := dialZMTP(ctx, n.zmqAddr, topicBlock, topicTx)
	if err != nil {
		return false, err
	}
	defer z.Close()
	stop := context.AfterFunc(ctx, func() { z.Close() })
	defer stop()
	n.setSubscribed(true)
	defer n.setSubscribed(false)
	n.wake() // whatever happened before the feed stood
	for {
		msg, err := z.next()
		if err != nil {
			return true, err
		}
		n.metrics.notices.Inc()
		if bytes.HasPrefix(msg, []byte(topicTx)) {
			c.noticeTx(n)
			continue
		}
		n.wake()
		// The chosen daemon most likely has the block as well, or will in a moment.
		if a := c.chosen(); a != nil && a != n {
			a.wake()
		}
	}
}

// noticeTx tells Run once per template that a refresh may be worth it.
func (c *Client) noticeTx(n *node) {
	n.mu.Lock()
	first := !n.poolChanged
	n.poolChanged = true
	n.mu.Unlock()
	if first {
		c.announceNews()
	}
}
