package demo

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/assay-pool/assay/bench/scrape"
	"github.com/assay-pool/assay/cluster/ledger"
)

const (
	// lineInterval is how often a terminal's line is redrawn.
	lineInterval = time.Second
	// quietInterval is how often a line is printed where it cannot be redrawn.
	quietInterval = 5 * time.Second
	// rateWindow is the time hash rates and verify times are averaged over.
	rateWindow = 20
	// misses is how often in a row the node may fail to answer before the demo
	// gives up on it: a busy machine makes it late now and then.
	misses = 10
	// blocksAtOnce is more than the blocks a demo can find in one interval.
	blocksAtOnce = 64
)

// watch shows the demo until its blocks are found, ctx ends or a part dies.
func (d *demo) watch(ctx context.Context) error {
	began := time.Now()
	var samples []timed
	var seen, missed int
	tick := time.NewTicker(lineInterval)
	defer tick.Stop()
	for n := 0; ; n++ {
		for _, p := range d.started {
			if err := p.ended(); err != nil {
				return err
			}
		}
		now, err := scrape.Get(ctx, "http://"+d.admin+"/metrics")
		if err == nil {
			samples = append(samples, timed{time.Now(), now})
			if len(samples) > rateWindow {
				samples = samples[1:]
			}
			var fresh []ledger.BlockRecord
			if fresh, err = d.newBlocks(ctx, seen); err == nil {
				seen += len(fresh)
				err = d.show(ctx, began, samples, fresh, seen, n)
			}
		}
		switch {
		case ctx.Err() != nil:
			d.endLine()
			return context.Cause(ctx)
		case err != nil && missed == misses:
			return err
		case err != nil:
			missed++
		case d.cfg.Blocks > 0 && seen >= d.cfg.Blocks:
			d.endLine()
			fmt.Fprintf(d.cfg.Out, "%d blocks accepted by monerod in %s\n", seen, time.Since(began).Round(100*time.Millisecond))
			return nil
		}
		if err == nil {
			missed = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// timed is a reading and when it was taken.
type timed struct {
	at time.Time
	scrape.Sample
}

// newBlocks are the blocks that have closed a round since the first seen of them,
// oldest first.
func (d *demo) newBlocks(ctx context.Context, seen int) ([]ledger.BlockRecord, error) {
	blocks, err := d.books.Closing(ctx, seen+blocksAtOnce)
	if err != nil {
		return nil, err
	}
	slices.Reverse(blocks)
	return blocks[min(seen, len(blocks)):], nil
}

// show prints the new blocks and the live line.
func (d *demo) show(ctx context.Context, began time.Time, samples []timed, fresh []ledger.BlockRecord, seen, n int) error {
	for i, b := range fresh {
		round := seen - len(fresh) + i + 1
		id, err := d.blockID(ctx, b.Height)
		if err != nil {
			return err
		}
		if own := hex.EncodeToString(b.ID[:]); own != id {
			return fmt.Errorf("round %d was closed by block %s at height %d, but monerod has %s there", round, own, b.Height, id)
		}
		d.endLine()
		fmt.Fprintf(d.cfg.Out, "block  height %d  id %s  round %d: %d shares, %d hashes\n", b.Height, id, round, b.Shares, b.Hashes)
	}
	if !d.cfg.TTY && n%int(quietInterval/lineInterval) != 0 {
		return nil
	}
	first, last := samples[0], samples[len(samples)-1]
	rate := "-"
	if span := last.at.Sub(first.at).Seconds(); span > 0 {
		const work = "assay_credited_difficulty_total"
		rate = fmt.Sprintf("%.1f", (last.Sum(work, "", "")-first.Sum(work, "", ""))/span)
	}
	verify := "-"
	if mean, ok := last.Mean(first.Sample, "assay_share_seconds"); ok {
		verify = fmt.Sprintf("%.1f ms", mean*1000)
	}
	start, end := "", "\n"
	if d.cfg.TTY {
		start, end = "\r\x1b[K", ""
	}
	const shares = "assay_shares_total"
	fmt.Fprintf(d.cfg.Out, "%s%5s  miners %.0f  %s H/s  shares %.0f accepted / %.0f rejected  verify %s  blocks %d  height %.0f  round %d%s",
		start, time.Since(began).Round(time.Second), last.Sum("assay_sessions", "", ""), rate,
		last.Sum(shares, "class", "accepted"), last.Sum(shares, "class", "rejected"), verify, seen, last.Sum("assay_template_height", "", ""), seen+1, end)
	return nil
}

// endLine leaves the live line as it stands.
func (d *demo) endLine() {
	if d.cfg.TTY {
		fmt.Fprintln(d.cfg.Out)
	}
}
