package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-pool/assay/cluster/journal"
	"github.com/assay-pool/assay/cluster/store"
)

// fate is what the journals say about a block.
type fate struct {
	block   journal.Block
	certain bool                        // Redis must know of it
	settled map[string]*journal.Settled // by journal: the first of each, which is the one that counts
	open    bool                        // no fate is one that Redis must know of
}

func (a *auditor) fate(b journal.Block) *fate {
	id := fmt.Sprintf("%x", b.ID)
	f := a.found[id]
	if f == nil {
		f = &fate{block: b, settled: map[string]*journal.Settled{}, open: true}
		a.found[id] = f
	}
	return f
}

func (f *fate) seen(late bool) { f.certain = f.certain || !late }

func (f *fate) settle(id string, s *journal.Settled, late bool) {
	f.seen(late)
	if _, ok := f.settled[id]; !ok {
		s := *s
		f.settled[id] = &s
		f.open = f.open && late
	}
}

// allows tells whether a state may follow from it, and else what would.
func (f *fate) allows(state State) (ok bool, want string) {
	if want = "not settled"; f.open && state == StateFound {
		return true, ""
	}
	for _, id := range slices.Sorted(maps.Keys(f.settled)) {
		// What an accepted block became later is not the journals' business.
		s := f.settled[id]
		if s.Accepted && state != StateFound || !s.Accepted && state == StateOrphaned {
			return true, ""
		}
		if want = "refused: " + s.Reason; s.Accepted {
			want = "accepted by " + s.Daemon
		}
	}
	return false, want
}

// moved is what the journals say that trust did with a wallet's unverified credit.
type moved struct {
	vested, gained uint64
	clawed         bool
}

func (a *auditor) move(wallet string) *moved {
	m := a.moved[wallet]
	if m == nil {
		m = new(moved)
		a.moved[wallet] = m
	}
	return m
}

// trusted is a wallet's sum in a chunk that is not what was credited.
type trusted struct {
	what, wallet string
	want, has    Sum
}

// compareTrust judges the sums that differ, once it is known what trust has moved.
func (a *auditor) compareTrust() {
	for _, t := range a.trusted {
		m := a.move(t.wallet)
		gained := t.has.Hashes - t.want.Hashes
		all, was := t.has.Hashes+t.has.Unverified, t.want.Hashes+t.want.Unverified
		if t.has.Hashes >= t.want.Hashes && gained <= m.vested-m.gained && (all == was || all < was && m.clawed) {
			m.gained += gained
			continue
		}
		if a.partial && t.has.Hashes >= t.want.Hashes && all <= was {
			a.unchecked("%s: of wallet %s some unverified credit may have been vested or taken back by records that were not given", t.what, t.wallet)
			continue
		}
		a.same(t.what, t.wallet, t.want.Hashes, t.has.Hashes)
		a.same(t.what, t.wallet+" unverified", t.want.Unverified, t.has.Unverified)
	}
}

// blocksOfAll holds the blocks against the records of the journals.
func (a *auditor) blocksOfAll(ctx context.Context) error {
	ids, err := a.newest(ctx, a.keys.Blocks(), auditBlocks)
	if err != nil {
		return err
	}
	blocks := map[string]*BlockRecord{}
	for _, id := range ids {
		rec, err := a.block(ctx, id)
		if errors.Is(err, ErrNotFound) {
			blocks[id] = nil
			continue
		}
		if err != nil {
			return err
		}
		blocks[id] = &rec
	}
	closing, err := a.newest(ctx, a.keys.Rounds(), auditBlocks)
	if err != nil {
		return err
	}
	closed := map[string]bool{}
	for _, id := range closing {
		closed[id] = true
	}
	after, err := a.totals(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(a.readers)) {
		r := a.readers[id]
		r.late = true
		if err := a.readOn(id, r, after.marks[id].at); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.readers)) {
		if r, m := a.readers[id], after.marks[id]; r.chunk > m.at {
			a.differ("journal "+id, "mark", fmt.Sprintf("the chunks have it up to %d", r.chunk), m.at)
		}
	}
	a.compareTrust()
	for _, id := range ids {
		rec := blocks[id]
		if rec == nil {
			a.differ("block "+id, "", "there", "missing")
			continue
		}
		if rec.closes() != closed[id] { // it may have been settled between the two
			if *rec, closed[id], err = a.atOnce(ctx, id); err != nil {
				return err
			}
		}
		a.report.Blocks++
		a.compareBlock(id, rec, closed[id], &after)
	}
	for _, id := range slices.Sorted(maps.Keys(a.found)) {
		if _, ok := blocks[id]; !ok && a.found[id].certain {
			a.differ("block "+id, "", "found", "missing")
		}
	}
	for _, id := range closing {
		if _, ok := blocks[id]; !ok && a.found[id] == nil {
			a.differ("round of "+id, "", "not found by any", "closed")
		}
	}
	return nil
}

// closes tells whether a block of this state is one that closes a round.
func (r *BlockRecord) closes() bool {
	return r.State == StateImmature || r.State == StateUnlocked || r.State == StatePaid
}

// atOnce reads a block and whether it is on the list of rounds, as of one moment.
func (a *auditor) atOnce(ctx context.Context, id string) (rec BlockRecord, closed bool, err error) {
	for before := false; ; before = closed {
		if rec, err = a.block(ctx, id); err != nil {
			return rec, false, err
		}
		n, err := a.store.DoRepeatable(ctx, "ZCOUNT", a.keys.Rounds(), strconv.FormatUint(rec.Cut, 10), strconv.FormatUint(rec.Cut, 10)).AsInt64()
		if err != nil {
			return rec, false, fmt.Errorf("ledger: look for the round of %s: %w", id, err)
		}
		if closed = n > 0; closed == before || closed == rec.closes() {
			return rec, closed, nil
		}
	}
}

// readOn takes what Redis may have of a journal beside what is in the chunks.
func (a *auditor) readOn(id string, r *auditReader, to journal.Position) error {
	err := a.readTo(&expected{wallets: map[string]Sum{}}, "", id, r, to)
	if errors.Is(err, io.EOF) {
		return nil // a copy of the journal, taken earlier than this
	}
	return err
}

func (a *auditor) compareBlock(id string, rec *BlockRecord, closed bool, after *totals) {
	what := "block " + id
	f := a.found[id]
	if f == nil {
		_, known := after.marks[rec.Journal]
		switch r := a.readers[rec.Journal]; {
		case known && r == nil:
			a.unchecked("%s: its journal %s was not given", what, rec.Journal)
		case known && rec.Position <= r.begin:
			a.report.Older++
		default:
			a.differ(what, "", "not found by any", string(rec.State))
		}
		return
	}
	switch rec.State {
	case StateImmature, StateUnlocked, StatePaid:
		if !closed {
			a.differ(what, "round", "closed", "missing")
		}
	case StateFound, StateOrphaned:
		if closed {
			a.differ(what, "state", "one of a block that closes a round", rec.State)
		}
	default:
		a.differ(what, "state", "one that there is", rec.State)
	}
	if ok, want := f.allows(rec.State); !ok && a.partial && len(f.settled) == 0 {
		a.unchecked("%s: its fate is not in what was given of the journals", what)
	} else if !ok {
		a.differ(what, "state", want, rec.State)
	}
	want := &f.block
	for _, v := range [...]struct {
		who             string
		journals, redis any
	}{
		{"height", want.Height, rec.Height}, {"difficulty", want.Difficulty, rec.Difficulty}, {"reward", want.Reward, rec.Reward},
		{"wallet", want.Wallet, rec.Wallet}, {"worker", want.Worker, rec.Worker}, {"node", want.Node, rec.Node},
		{"time", max(0, want.Time.UnixMilli()), max(0, rec.Time.UnixMilli())},
	} {
		if v.journals != v.redis {
			a.differ(what, v.who, v.journals, v.redis)
		}
	}
	if f.open && len(f.settled) > 0 {
		return // it is being settled in this moment
	}
	if cut, ok := a.cuts[id]; ok {
		a.same(what, "chunk that it has cut", cut, rec.Cut)
	}
}

// totals is what Redis says about everything, as of one moment.
type totals struct {
	sums   Sums
	oldest uint64 // chunk that is not archived
	marks  map[string]mark
	half   []string // journals of which a range stopped half way
	gaps   []Gap
}

func (a *auditor) totals(ctx context.Context) (totals, error) {
	t := totals{marks: map[string]mark{}}
	parts, err := a.store.EvalRepeatable(ctx, store.NewScript("totals", totalsLua),
		[]string{a.keys.Stats(), a.keys.Marks(), a.keys.Gaps()}, nil).ToArray()
	if err != nil || len(parts) != 3 {
		return t, fmt.Errorf("ledger: read the totals: %d parts, %w", len(parts), err)
	}
	var texts [3][]string
	for i := range parts {
		if texts[i], err = parts[i].AsStrSlice(); err != nil {
			return t, fmt.Errorf("ledger: read the totals: %w", err)
		}
	}
	var p parser
	t.sums, t.oldest = Sums{Hashes: p.u64(texts[0][0]), Shares: p.u64(texts[0][1])}, p.u64(texts[0][2])
	for pair := range slices.Chunk(texts[1], 2) {
		text, half := strings.CutPrefix(pair[1], "!")
		if t.marks[pair[0]], err = parseMark(text); err != nil {
			return t, fmt.Errorf("ledger: journal %s: %w", pair[0], err)
		}
		if half {
			t.half = append(t.half, pair[0])
		}
	}
	if t.gaps, err = parseGaps(a.keys.Gaps(), texts[2]); err != nil {
		return t, err
	}
	return t, p.wrap("read the totals")
}

// compareTotals holds the pool's counters against the marks, less what was lost.
func (a *auditor) compareTotals(t *totals) {
	var want Sums
	for _, id := range slices.Sorted(maps.Keys(t.marks)) {
		m := t.marks[id]
		want.Hashes += m.sums.Hashes
		want.Shares += m.sums.Shares
		if r := a.readers[id]; r != nil {
			a.partial = a.partial || r.begin > 0
		} else {
			a.partial = true
			a.unchecked("journal %s was not given; redis has it up to %d, with %d hashes in %d shares", id, m.at, m.sums.Hashes, m.sums.Shares)
		}
	}
	for _, id := range t.half {
		a.differ("journal "+id, "", "whole ranges", fmt.Sprintf("one that stopped half way, at %d", t.marks[id].at))
	}
	for _, g := range t.gaps {
		want.Hashes -= g.Hashes
		want.Shares -= g.Shares
		a.differ("gap", "journal "+g.Journal, fmt.Sprintf("%s, from %d to %d", g.lost(), g.From, g.To), "never applied, "+g.Time.UTC().Format("2006-01-02 15:04:05"))
	}
	if len(t.gaps) < maxGaps { // else some are not listed any more
		a.same("pool", "hashes, of the marks", want.Hashes, t.sums.Hashes)
		a.same("pool", "shares, of the marks", want.Shares, t.sums.Shares)
	}
}

// compareMarks looks for what a mark counts as applied and no chunk has.
func (a *auditor) compareMarks(before *totals) {
	for _, id := range slices.Sorted(maps.Keys(a.readers)) {
		if r, m := a.readers[id], before.marks[id]; r.chunk < m.at {
			a.differ("journal "+id, "up to", fmt.Sprintf("the chunks have it up to %d", r.chunk), fmt.Sprintf("applied up to %d", m.at))
		}
	}
}
