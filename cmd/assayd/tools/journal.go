package tools

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/cmd/internal/options"
)

// kinds are the records in the order of their numbers.
var kinds = []journal.Kind{journal.KindCredit, journal.KindFound, journal.KindSettled, journal.KindClawBack, journal.KindVest, journal.KindLost}

// inspect prints what is in journals.
type inspect struct {
	which
	json     bool
	from, to uint64
	kinds    []string
	limit    int
}

func (c *inspect) tool() config.Tool {
	return config.Tool{
		Name: "journal inspect",
		Synopsis: "Prints the segments and the records of a journal, beside a running node too. With\n" +
			"--json each line is one record as JSON.",
		Shown: c.shown("json", "from", "to", "kind", "limit"),
		Register: func(f *options.Flags) {
			c.register(f)
			f.Bool(&c.json, "json", false, "Print JSON lines, records only.")
			f.Difficulty(&c.from, "from", 0, 0, "`Position` to begin at; 0 is the beginning. Any boundary of two records, as printed.")
			f.Difficulty(&c.to, "to", math.MaxUint64, 0, "`Position` to end at.")
			f.Strings(&c.kinds, "kind", nil, "Print records of this `kind` only (credit, found, settled, clawback, vest, lost), once for each.")
			f.Int(&c.limit, "limit", 0, 0, math.MaxInt32, "Print so many `records` at most; 0 is all.")
		},
	}
}

func (c *inspect) run(e *env) (code int, err error) {
	for _, name := range c.kinds {
		if !slices.ContainsFunc(kinds, func(k journal.Kind) bool { return k.String() == name }) {
			return options.ExitUsage, fmt.Errorf("--kind %s: there are credit, found, settled, clawback, vest and lost", name)
		}
	}
	return each(e, &c.which, func(j *journal.Journal, w *bufio.Writer) error {
		if !c.json {
			printSegments(w, j)
		}
		printed := 0
		return read(j, journal.Position(c.from), func(rec *journal.Record) (bool, error) {
			if uint64(rec.At) >= c.to || c.limit > 0 && printed >= c.limit {
				return false, nil
			}
			if len(c.kinds) > 0 && !slices.Contains(c.kinds, rec.Kind.String()) {
				return true, e.ctx.Err()
			}
			printed++
			if c.json {
				return true, json.NewEncoder(w).Encode(jsonRecord(j.ID(), rec))
			}
			fmt.Fprintf(w, "%12d  %-8s  %s\n", rec.End, rec.Kind, text(rec))
			return true, e.ctx.Err()
		})
	})
}

// each runs f for every journal that is meant, with a buffer in front of the output.
func each(e *env, which *which, f func(*journal.Journal, *bufio.Writer) error) (code int, err error) {
	pool, err := which.one(e.cfg)
	if err != nil {
		return options.ExitUsage, err
	}
	journals, closeAll, err := which.open(e.cfg, pool)
	if err != nil {
		return exitBad, err
	}
	defer closeAll()
	w := bufio.NewWriter(e.out)
	for _, j := range journals {
		if err := f(j, w); err != nil {
			return exitBad, errors.Join(err, w.Flush())
		}
	}
	return exitOK, w.Flush()
}

// read goes through the records from a position on until f says no.
func read(j *journal.Journal, from journal.Position, f func(*journal.Record) (bool, error)) error {
	r, err := j.NewReader("inspect", max(from, j.Begin()))
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := f(rec); err != nil || !more {
			return err
		}
	}
}

func printSegments(w io.Writer, j *journal.Journal) {
	id := j.Identity()
	fmt.Fprintf(w, "journal %s  coin %s  wallet %s  positions %d to %d  %d found blocks not settled\n", j.ID(), id.Coin, id.Wallet, j.Begin(), j.End(), len(j.Unsettled()))
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SEGMENT\tBEGINS\tBYTES\tMADE\tHASHES BEFORE\tSHARES BEFORE")
	for _, s := range j.Segments() {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%d\t%d\n", s.File, s.Base, s.Bytes, s.Made.UTC().Format(time.RFC3339), s.Sums.Hashes, s.Sums.Shares)
	}
	t.Flush()
}

// text is a record for people.
func text(rec *journal.Record) string {
	switch rec.Kind {
	case journal.KindCredit:
		c := &rec.Credit
		how := "verified"
		if c.Work != nil {
			how = "unverified"
		}
		return fmt.Sprintf("%s  %d  %s  %s  %q", stamp(c.Time), c.Difficulty, how, c.Wallet, c.Worker)
	case journal.KindFound:
		b := &rec.Found.Block
		return fmt.Sprintf("%s  height %d  %x  reward %d  by %s  %q  at %s  %d bytes", stamp(b.Time), b.Height, b.ID, b.Reward, b.Wallet, b.Worker, b.Node, len(rec.Found.Bytes))
	case journal.KindSettled:
		s := rec.Settled
		fate := "refused: " + s.Reason
		if s.Accepted {
			fate = "accepted by " + s.Daemon
		}
		return fmt.Sprintf("%s  height %d  %x  %s", stamp(s.At), s.Height, s.ID, fate)
	case journal.KindClawBack:
		return fmt.Sprintf("%s  %s  %s", stamp(rec.ClawBack.At), rec.ClawBack.Wallet, rec.ClawBack.Reason)
	case journal.KindVest:
		return fmt.Sprintf("%s  %s  %d  audited to %d", stamp(rec.Vest.At), rec.Vest.Wallet, rec.Vest.Hashes, rec.Vest.Until)
	}
	return lost(rec.Lost)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func lost(l *journal.Lost) string {
	where := "of no file"
	if l.Segment != "" {
		where = fmt.Sprintf("in %s at byte %d", l.Segment, l.Offset)
	}
	sums := "with sums that are not known"
	if l.Known {
		sums = fmt.Sprintf("with %d hashes in %d shares", l.Hashes, l.Shares)
	}
	return fmt.Sprintf("%d to %d, %s, %s: %s", l.From, l.To, where, sums, l.Reason)
}

// jsonRecord is a record as one line of JSON.
func jsonRecord(id string, rec *journal.Record) map[string]any {
	m := map[string]any{"journal": id, "at": rec.At, "end": rec.End, "kind": rec.Kind.String(), "sum_hashes": rec.Sums.Hashes, "sum_shares": rec.Sums.Shares}
	switch rec.Kind {
	case journal.KindCredit:
		m["wallet"], m["worker"], m["difficulty"], m["time_ms"] = rec.Credit.Wallet, rec.Credit.Worker, rec.Credit.Difficulty, rec.Credit.Time.UnixMilli()
		m["verified"] = rec.Credit.Work == nil
		if w := rec.Credit.Work; w != nil {
			m["algorithm"], m["input"], m["claim"] = w.Key.Algo.String(), hex.EncodeToString(w.Input()), hex.EncodeToString(w.Claim[:])
			m["seed"], m["height"] = hex.EncodeToString(w.Key.Seed[:]), w.Key.Height
		}
	case journal.KindFound:
		block(m, &rec.Found.Block)
		m["block"] = hex.EncodeToString(rec.Found.Bytes)
	case journal.KindSettled:
		block(m, &rec.Settled.Block)
		m["accepted"], m["daemon"], m["reason"], m["settled_ms"] = rec.Settled.Accepted, rec.Settled.Daemon, rec.Settled.Reason, rec.Settled.At.UnixMilli()
	case journal.KindClawBack:
		m["wallet"], m["reason"], m["time_ms"] = rec.ClawBack.Wallet, rec.ClawBack.Reason, rec.ClawBack.At.UnixMilli()
	case journal.KindVest:
		m["wallet"], m["hashes"], m["until"], m["time_ms"] = rec.Vest.Wallet, rec.Vest.Hashes, rec.Vest.Until, rec.Vest.At.UnixMilli()
	case journal.KindLost:
		l := rec.Lost
		m["from"], m["to"], m["segment"], m["offset"], m["reason"] = l.From, l.To, l.Segment, l.Offset, l.Reason
		m["known"], m["hashes"], m["shares"] = l.Known, l.Hashes, l.Shares
	}
	return m
}

func block(m map[string]any, b *journal.Block) {
	m["id"], m["height"], m["difficulty"], m["reward"] = hex.EncodeToString(b.ID[:]), b.Height, b.Difficulty, b.Reward
	m["wallet"], m["worker"], m["node"], m["time_ms"] = b.Wallet, b.Worker, b.Node, b.Time.UnixMilli()
}

// verify reads all of it.
type verify struct {
	which
	json bool
}

func (c *verify) tool() config.Tool {
	return config.Tool{
		Name:     "journal verify",
		Synopsis: "Reads all of a journal, beside a running node too, and says what of it is damaged or\nmissing. Exit 0: all can be read, 1: not all.",
		Shown:    c.shown("json"),
		Register: func(f *options.Flags) {
			c.register(f)
			f.Bool(&c.json, "json", false, "Print one JSON line a journal.")
		},
	}
}

// verified is what verify has read of one journal.
type verified struct {
	Journal        string            `json:"journal"`
	Begin, End     journal.Position  // read
	Segments       int               `json:"segments"`
	Records        map[string]uint64 `json:"records"`
	Hashes, Shares uint64            // of the credits read
	Unsettled      []string          `json:"unsettled_blocks"`
	Damage         []string          `json:"damage"`
}

func (c *verify) run(e *env) (int, error) {
	damaged := false
	code, err := each(e, &c.which, func(j *journal.Journal, w *bufio.Writer) error {
		v := verified{Journal: j.ID(), Begin: j.Begin(), End: j.End(), Segments: len(j.Segments()), Records: map[string]uint64{}, Damage: []string{}, Unsettled: []string{}}
		for _, f := range j.Unsettled() {
			v.Unsettled = append(v.Unsettled, hex.EncodeToString(f.ID[:]))
		}
		err := read(j, v.Begin, func(rec *journal.Record) (bool, error) {
			v.Records[rec.Kind.String()]++
			switch rec.Kind {
			case journal.KindCredit:
				v.Hashes += rec.Credit.Difficulty
				v.Shares++
			case journal.KindLost:
				v.Damage = append(v.Damage, lost(rec.Lost))
			}
			return true, e.ctx.Err()
		})
		damaged = damaged || len(v.Damage) > 0
		if err != nil {
			return err
		}
		if c.json {
			return json.NewEncoder(w).Encode(v)
		}
		v.print(w)
		return nil
	})
	if damaged {
		code = exitBad
	}
	return code, err
}

func (v *verified) print(w io.Writer) {
	var counts []string
	for _, k := range kinds {
		if n := v.Records[k.String()]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, k))
		}
	}
	fmt.Fprintf(w, "journal %s: positions %d to %d in %d segments: %s; %d hashes in %d shares\n",
		v.Journal, v.Begin, v.End, v.Segments, strings.Join(counts, ", "), v.Hashes, v.Shares)
	for _, id := range v.Unsettled {
		fmt.Fprintln(w, "not settled: block", id)
	}
	for _, text := range v.Damage {
		fmt.Fprintln(w, "cannot be read:", text)
	}
	if len(v.Damage) == 0 {
		fmt.Fprintln(w, "all of it can be read")
	}
}
