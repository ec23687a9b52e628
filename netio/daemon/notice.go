package daemon

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// Topics of monerod's --zmq-pub.
const (
	topicBlock = "json-minimal-chain_main"
	topicTx    = "json-minimal-txpool_add"
)

const (
	// resubscribeFirst: a publisher that restarts is back within moments, and a try costs nothing.
	resubscribeFirst = 250 * time.Millisecond
	// resubscribeMax: polls go on while the feed is away, so ten seconds more do not matter.
	resubscribeMax = 10 * time.Second
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
		if n.feedTrouble.due(time.Now()) {
			c.cfg.Log.Warn("no ZMQ notices from a coin daemon: a new block is found by the next poll (zmq= of --daemon, the daemon's --zmq-pub)",
				"pool", c.cfg.Pool, "daemon", n.name, "zmq", n.zmqAddr, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// errMute is a feed that stood and did not tell of a block.
var errMute = errors.New("the chain has a block that no notice announced")

// listen subscribes once and reads until the feed breaks or is found mute. heard tells whether it had
// told of a block: a feed that only stands may be another port that says nothing.
func (c *Client) listen(ctx context.Context, n *node) (heard bool, err error) {
	defer func() { n.onFeed(func(f *feed) { f.fell(err) }) }()
	z, err := dialZMTP(ctx, n.zmqAddr, topicBlock, topicTx)
	if err != nil {
		return false, err
	}
	defer z.Close()
	feedCx, cut := context.WithCancel(ctx)
	defer cut()
	stop := context.AfterFunc(feedCx, func() { z.Close() })
	defer stop()
	n.onFeed(func(f *feed) { f.stands(cut, time.Now()) })
	n.wake() // whatever happened before the feed stood
	for {
		msg, err := z.next()
		if feedCx.Err() != nil {
			return heard, errMute
		}
		if err != nil {
			return heard, err
		}
		n.metrics.notices.Inc()
		if bytes.HasPrefix(msg, []byte(topicTx)) {
			c.noticeTx(n)
			continue
		}
		heard = true
		n.onFeed(func(f *feed) { f.told(time.Now()) })
		if n.feedTrouble.over() {
			c.cfg.Log.Info("a coin daemon's ZMQ notices come again", "pool", c.cfg.Pool, "daemon", n.name)
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
