package ledger

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
)

// tell says what the event of a confirmed batch did to the books.
func (f *flusher) tell(b *batch, words []string) {
	if b.event == nil {
		return
	}
	log := f.l.cfg.Log.With("pool", f.l.cfg.Pool)
	word := ""
	if len(words) > 0 {
		word = words[0]
	}
	switch e := b.event; e.Kind {
	case journal.KindSettled:
		id := hex.EncodeToString(e.Settled.ID[:])
		switch {
		case e.Settled.Accepted && word == "closed" && len(words) == 6:
			f.l.metrics.rounds.Inc()
			log.Info("round closed", "height", e.Settled.Height, "id", id, "chunks", words[1]+"-"+words[2],
				"hashes", words[3], "unverified", words[4], "shares", words[5])
		case e.Settled.Accepted:
			log.Info("round closed", "height", e.Settled.Height, "id", id, "note", "it had been closed before this answer")
		default:
			f.l.metrics.orphaned.Inc()
			log.Warn("block refused; the round goes on", "height", e.Settled.Height, "id", id, "reason", e.Settled.Reason)
		}
	case journal.KindClawBack:
		log.Warn("unverified credit was taken back", "wallet", e.ClawBack.Wallet, "reason", e.ClawBack.Reason)
	case journal.KindVest:
		if word == "vested" && len(words) == 2 && words[1] != "0" {
			log.Error("less unverified credit was there than vests", "wallet", e.Vest.Wallet, "hashes", e.Vest.Hashes, "missing", words[1])
		}
	case journal.KindLost:
		gap := gapOf(b, f.id)
		f.l.lose(gap)
		log.Error("a part of the journal is gone before it was applied: its shares are missing in the books",
			"journal", gap.Journal, "segment", gap.Segment, "offset", gap.Offset, "from", uint64(gap.From), "to", uint64(gap.To),
			"lost", gap.lost())
	}
}

// disagree tells of two segments whose sums do not fit together although nothing is
// missing between them: what one of them says was lost has no place in the journal.
func (f *flusher) disagree(rec *journal.Record) {
	b := f.batch
	was := b.after
	b.after = rec.Sums
	g := Gap{Journal: f.id, From: rec.At, To: rec.End, Segment: rec.Lost.Segment, Unknown: !rec.Lost.Known,
		Hashes: rec.Sums.Hashes - min(was.Hashes, rec.Sums.Hashes), Shares: rec.Sums.Shares - min(was.Shares, rec.Sums.Shares), Time: time.Now()}
	f.l.lose(g)
	f.l.cfg.Log.Error("two segments of the journal do not agree: shares may be missing in the books", "pool", f.l.cfg.Pool,
		"journal", f.id, "segment", g.Segment, "at", uint64(rec.At), "lost", g.lost(), "reason", rec.Lost.Reason)
}

// maxGaps is how many of them Redis lists, the newest (apply.lua).
const maxGaps = 1000

// Gap is a part of a journal that could not be applied: it was deleted before, or
// its bytes are damaged. The sums are to the unit, unless it is Unknown.
type Gap struct {
	Journal        string
	From, To       journal.Position
	Segment        string `json:",omitempty"` // file, of damage
	Offset         int64  `json:",omitempty"` // in it
	Hashes, Shares uint64
	Unknown        bool `json:",omitempty"` // nobody can tell what it had: damage behind the last sums on disk
	Time           time.Time
}

// lost says what a gap had.
func (g *Gap) lost() string { return lostText(!g.Unknown, Sums{Hashes: g.Hashes, Shares: g.Shares}) }

func lostText(known bool, s Sums) string {
	if !known && s == (Sums{}) {
		return "a number of shares that nobody can tell"
	}
	return fmt.Sprintf("%d hashes in %d shares", s.Hashes, s.Shares)
}

// gapOf is the gap that a batch's event is.
func gapOf(b *batch, id string) Gap {
	lost := b.event.Lost
	g := Gap{Journal: id, From: b.from, To: b.to, Segment: lost.Segment, Offset: lost.Offset,
		Hashes: b.after.Hashes - min(b.before.Hashes, b.after.Hashes), Shares: b.after.Shares - min(b.before.Shares, b.after.Shares),
		Time: time.Now()}
	g.Unknown = !lost.Known && g.Shares == 0
	return g
}

// Gaps reads the parts of journals that were lost, oldest first.
func (r *Reader) Gaps(ctx context.Context) ([]Gap, error) {
	texts, err := r.store.DoRepeatable(ctx, "LRANGE", r.keys.Gaps(), "0", "-1").AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("ledger: read %s: %w", r.keys.Gaps(), err)
	}
	return parseGaps(r.keys.Gaps(), texts)
}

func parseGaps(key string, texts []string) ([]Gap, error) {
	gaps := make([]Gap, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &gaps[i]); err != nil {
			return nil, fmt.Errorf("ledger: %s has a value that Assay did not write: %w", key, err)
		}
	}
	return gaps, nil
}

func (g Gap) json() string {
	raw, err := json.Marshal(g)
	if err != nil { // cannot be: there is nothing in it that has no JSON
		return strconv.Quote(err.Error())
	}
	return string(raw)
}
