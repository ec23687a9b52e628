package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/ledger"
	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/internal/lockdir"
)

// audit compares Redis to the journals.
type audit struct {
	which
	json bool
}

func (c *audit) tool() config.Tool {
	return config.Tool{
		Name: "ledger audit",
		Synopsis: "Adds up the credits in the journals again and compares every chunk, round and block\n" +
			"in Redis with them, to the unit. It may run beside the nodes. Exit 0: all is equal,\n" +
			"1: something differs, or could not be looked at; 3: nothing differs, but a part\n" +
			"could not be compared, or is not in Redis yet.",
		Shown: c.shown(append(redisFlags(), "json")...),
		Register: func(f *options.Flags) {
			c.register(f)
			f.Bool(&c.json, "json", false, "Print the report as JSON.")
		},
	}
}

func (c *audit) run(e *env) (int, error) {
	pool, err := c.one(e.cfg)
	if err != nil {
		return options.ExitUsage, err
	}
	journals, closeAll, err := c.open(e.cfg, pool)
	if err != nil {
		return exitBad, err
	}
	defer closeAll()
	s, stop, err := e.openStore(false)
	if err != nil {
		return exitBad, err
	}
	defer stop()
	r, err := ledger.NewReader(s, pool)
	if err != nil {
		return exitBad, err
	}
	report, err := ledger.Audit(e.ctx, r, journals)
	if err != nil {
		return exitBad, err
	}
	if err := c.print(e, pool, &report); err != nil {
		return exitBad, err
	}
	switch {
	case len(report.Differences) > 0:
		return exitBad, nil
	case len(report.Unchecked) > 0:
		return exitUnchecked, nil
	}
	return exitOK, nil
}

func (c *audit) print(e *env, pool string, r *ledger.Report) error {
	if c.json {
		return json.NewEncoder(e.out).Encode(r)
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	if len(r.Differences) > 0 {
		fmt.Fprintln(w, "WHAT\tWHO\tJOURNALS\tREDIS")
	}
	for _, d := range r.Differences {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.What, d.Who, d.Journals, d.Redis)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, text := range r.Unchecked {
		fmt.Fprintln(e.out, "not compared:", text)
	}
	if r.Older > 0 {
		fmt.Fprintf(e.out, "%d chunks and blocks are older than the journals (--journal-keep)\n", r.Older)
	}
	_, err := fmt.Fprintf(e.out, "pool %s: %d shares with %d hashes added up; %d chunks, %d rounds, %d blocks compared; %d differences, %d parts not compared\n",
		pool, r.Shares, r.Hashes, r.Chunks, r.Rounds, r.Blocks, len(r.Differences), len(r.Unchecked))
	return err
}

// rebuild writes the books anew.
type rebuild struct {
	which
	replace bool
}

func (c *rebuild) tool() config.Tool {
	return config.Tool{
		Name: "ledger rebuild",
		Synopsis: "Writes the books of a pool into a Redis that has lost them, from the journals of all\n" +
			"its nodes. End the nodes before. What the journals do not have any more\n" +
			"(--journal-keep) is missing, and listed. Beside a whole Redis nothing is lost by a\n" +
			"node's start: it applies what is missing by itself.",
		Shown: c.shown(append(redisFlags(), "replace", "chunk-size")...),
		Register: func(f *options.Flags) {
			c.register(f)
			f.Bool(&c.replace, "replace", false, "Delete the books that are there first: rounds, blocks and their states, wallets. What the journals do not have is lost by it.")
		},
	}
}

func (c *rebuild) run(e *env) (int, error) {
	pool, err := c.one(e.cfg)
	if err != nil {
		return options.ExitUsage, err
	}
	folder, err := lockdir.Take(e.cfg.DataDir)
	if err != nil {
		return exitBad, err
	}
	defer folder.Close()
	journals, closeAll, err := c.open(e.cfg, pool)
	if err != nil {
		return exitBad, err
	}
	defer closeAll()
	s, stop, err := e.openStore(true)
	if err != nil {
		return exitBad, err
	}
	defer stop()
	cfg := e.cfg.Ledger
	cfg.Store, cfg.Pool, cfg.Node, cfg.Log = s, pool, "rebuild", e.log
	if cfg.Identity, err = newest(journals); err != nil {
		return exitBad, err
	}
	if c.replace {
		// The name alone says too little to delete anything by.
		if err := ledger.CheckIdentity(e.ctx, cfg); err != nil {
			return exitBad, err
		}
		n, err := s.DeletePool(e.ctx, pool)
		if err != nil {
			return exitBad, err
		}
		fmt.Fprintf(e.out, "%d keys of pool %s deleted\n", n, pool)
	}
	if err := ledger.Rebuild(e.ctx, cfg, journals); err != nil {
		if errors.Is(err, ledger.ErrBooks) {
			err = fmt.Errorf("%w; with --replace they are deleted first", err)
		}
		return exitBad, err
	}
	_, err = fmt.Fprintf(e.out, "the books of pool %s are written; assayd ledger audit compares them\n", pool)
	return exitOK, err
}

// newest is the identity of the journal that was written last: a pool may have changed
// its wallet, and its earlier journals are its own all the same.
func newest(journals []*journal.Journal) (id ledger.Identity, err error) {
	var made time.Time
	for _, j := range journals {
		own := ledger.Identity(j.Identity())
		if id.Coin != "" && own.Coin != id.Coin {
			return id, fmt.Errorf("the journals are of coins %s and %s (--journal)", id.Coin, own.Coin)
		}
		segments := j.Segments()
		if at := segments[len(segments)-1].Made; id.Coin == "" || at.After(made) {
			id, made = own, at
		}
	}
	return id, nil
}
