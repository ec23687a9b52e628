package daemon

import (
	"context"
	"fmt"
	"time"
)

// Location is where a block is, as far as the daemons say.
type Location struct {
	Daemon string // that has it on its main chain; "" = none is known to
	// Missing: a daemon answered that its main chain does not have the block, and
	// none that answered has it there.
	Missing bool
	// Beside: a daemon that does not have it on its main chain has it beside it.
	Beside bool
	// Silent: a daemon gave no answer. It may be the one that has the block.
	Silent bool
	// Tip is the height of the block to be found, of the longest main chain without
	// the block; 0 unless Missing.
	Tip uint64
	// Least is likewise of the shortest one, of the daemons that may be used if there are any: so
	// far all agree that the chain went on without the block. A height that one alone invents does
	// not raise it.
	Least  uint64
	Detail string // for a human, "" when Daemon is set
}

// located is one daemon's answer.
type located struct {
	Location
	fit bool // the daemon may be used
}

// Locate asks all daemons of our network at once for a block, so that one which hangs does not
// delay what another knows. The first that has it on its main chain decides.
func (c *Client) Locate(ctx context.Context, id [32]byte) Location {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of the daemons that are still asked when one has it
	nodes := c.order()
	if len(nodes) == 0 {
		return Location{Detail: errNoDaemon.Error()}
	}
	answers := make(chan located, len(nodes))
	for _, n := range nodes {
		go func() { answers <- c.look(ctx, n, id) }() // ends with ctx
	}
	var all located
	for range nodes {
		one := <-answers
		if one.Daemon != "" {
			return one.Location
		}
		all.Missing = all.Missing || one.Missing
		all.Beside = all.Beside || one.Beside
		all.Silent = all.Silent || one.Silent
		all.Tip = max(all.Tip, one.Tip)
		switch {
		case !one.Missing, all.fit && !one.fit:
		case all.Least == 0, one.fit && !all.fit:
			all.Least, all.fit = one.Tip, one.fit
		default:
			all.Least = min(all.Least, one.Tip)
		}
		if all.Detail != "" {
			all.Detail += "; "
		}
		all.Detail += one.Detail
	}
	return all.Location
}

// look asks one daemon.
func (c *Client) look(ctx context.Context, n *node, id [32]byte) located {
	h, err := n.headerByID(ctx, c.cfg.RPCTimeout, id)
	switch {
	case err == nil && !h.Orphan:
		return located{Location: Location{Daemon: n.name}}
	case err != nil && !unknownBlock(err):
		return located{Location: Location{Silent: true, Detail: err.Error()}}
	}
	l := Location{Missing: true, Beside: err == nil, Detail: n.name + " does not know it"}
	if l.Beside {
		l.Detail = n.name + " has another block of that height on its main chain"
	}
	// Only a daemon that says how far its chain goes has said anything: one that
	// is still synchronising does not have the block either.
	info, err := n.caller.info(ctx, c.cfg.RPCTimeout)
	if err != nil {
		return located{Location: Location{Silent: true, Detail: fmt.Sprintf("%s, but not how far its chain goes: %v", l.Detail, err)}}
	}
	l.Tip = info.height
	return located{l, n.fitness(time.Now()) == fit}
}
