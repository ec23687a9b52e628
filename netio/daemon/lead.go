package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A daemon that says its chain is longer than the others' makes them look late and draws the pool to
// itself, so its word alone counts for nothing. It must show the block at its height, and below it
// the tip of a daemon of the majority:
//
//	leader   …──▶ witness' tip ──▶ … ──▶ its own tip     get_block_header_by_height of both
//	witness  …──▶ its tip
//
// The blocks themselves are not hashed here: a daemon that invents a whole chain on top of the
// others' tip is found out by the next block that they have and it has not.

// proof is what came of a daemon's lead.
type proof uint8

const (
	leadOpen   proof = iota // not asked yet, or no answer
	leadProven              // the witness' tip is in its chain
	leadForked              // its chain has another block there: one of both is on a fork
	leadFalse               // it does not have the block it calls its tip
)

// lead is the last proof a daemon was asked for.
type lead struct {
	tip, witness [32]byte // it is good for these two only
	proof        proof
	err          error // why it is false
}

// standing is where the daemons that may be used are, in height.
type standing struct {
	voters  int
	base    uint64 // what all but the leading half have reached: of two the lower, of three the middle
	witness *node  // one at base
	tip     [32]byte
	still   time.Duration // for which the witness has been at base
}

// standing looks at all daemons. A height above base is a lead, which must be proven.
func (c *Client) standing(now time.Time) standing {
	var s standing
	var heights []uint64
	for _, n := range c.nodes {
		n.mu.Lock()
		if n.votes(now) {
			heights = append(heights, n.info.height)
		}
		n.mu.Unlock()
	}
	if len(heights) == 0 {
		return s
	}
	slices.Sort(heights)
	s.voters, s.base = len(heights), heights[(len(heights)-1)/2]
	for _, n := range c.nodes {
		n.mu.Lock()
		if s.witness == nil && n.votes(now) && n.info.height == s.base {
			s.witness, s.tip, s.still = n, n.info.tip, now.Sub(n.heightSince)
		}
		n.mu.Unlock()
	}
	return s
}

// votes tells whether the daemon's height is heard. Called with mu held.
func (n *node) votes(now time.Time) bool { return n.answering && !now.Before(n.blockedUntil) }

// counts tells whether the daemon's height may make others look late. A witness that has stood
// still for StuckAfter is none against a fork: it is more likely that it is stuck there. Called with
// mu held.
func (n *node) counts(cfg *Config, s *standing) bool {
	if n.info.height <= s.base {
		return true
	}
	switch n.proofOf(s) {
	case leadProven:
		return true
	case leadForked:
		return s.still > cfg.StuckAfter
	}
	return false
}

// proofOf is the proof for the lead the daemon has now. Called with mu held.
func (n *node) proofOf(s *standing) proof {
	if n.lead.tip != n.info.tip || n.lead.witness != s.tip {
		return leadOpen
	}
	return n.lead.proof
}

// doubt says why a daemon that is LagBlocks or more ahead of the others is not used: one that is less
// ahead has just heard of a block, and to ask first would hold up its jobs. Of two on different
// forks neither can be told right, and the order they were given in decides. Called with mu held.
func (n *node) doubt(cfg *Config, s *standing) string {
	if n.info.height < s.base+cfg.LagBlocks || n.counts(cfg, s) {
		return ""
	}
	switch n.proofOf(s) {
	case leadFalse:
		return fmt.Sprintf("says it is at height %d, the others are at %d, and it cannot show the block: %v", n.info.height, s.base, n.lead.err)
	case leadForked:
		if s.voters == 2 {
			return ""
		}
		return fmt.Sprintf("says it is at height %d, the others are at %d, on another chain", n.info.height, s.base)
	}
	return fmt.Sprintf("says it is at height %d, the others are at %d, and has not shown the block yet", n.info.height, s.base)
}

// proveLead asks a daemon that is ahead of the others for the proof. Called by its probe, with what
// the last poll told.
func (c *Client) proveLead(ctx context.Context, n *node, ci chainInfo) {
	s := c.standing(time.Now())
	if s.witness == nil || s.witness == n || ci.height <= s.base {
		return
	}
	n.mu.Lock()
	known := n.proofOf(&s)
	n.mu.Unlock()
	if known == leadProven || known == leadForked {
		return
	}
	l := lead{tip: ci.tip, witness: s.tip}
	own, err := n.headerByHeight(ctx, c.cfg.RPCTimeout, ci.height-1)
	switch {
	case err != nil && !unknownBlock(err):
		return // asked again after the next poll
	case err != nil:
		l.proof, l.err = leadFalse, err
	case own.ID != ci.tip:
		l.proof, l.err = leadFalse, fmt.Errorf("its block at height %d is %x, its tip %x", ci.height-1, own.ID, ci.tip)
	default:
		below, err := n.headerByHeight(ctx, c.cfg.RPCTimeout, s.base-1)
		switch {
		case err != nil && !unknownBlock(err):
			return
		case err != nil:
			l.proof, l.err = leadFalse, err
		case below.ID == s.tip:
			l.proof = leadProven
		default:
			l.proof = leadForked
		}
	}
	n.mu.Lock()
	n.lead = l
	n.mu.Unlock()
	c.announceNews()
}
