package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
)

// Difference is one value that the journals and Redis do not agree on.
type Difference struct {
	What     string // chunk 7, round of <id>, block <id>, …
	Who      string // wallet, or the field
	Journals string // the value that the journals give
	Redis    string
}

// Report of an Audit.
type Report struct {
	Chunks, Rounds, Blocks int // compared
	Shares                 uint64
	Hashes                 uint64
	Differences            []Difference
	// Older is the chunks and blocks from before the journals begin.
	Older int
	// Unchecked says what could not be compared and why: a journal that was not
	// given, a part of one that is deleted, an archive that has expired.
	Unchecked []string
}

// auditBlocks bounds the rounds and blocks that are compared, newest first.
const auditBlocks = 1 << 20

// auditTries is how often a round is read that changes meanwhile.
const auditTries = 20

// auditMissing bounds the missing chunks that are listed: a wrong number could ask
// for any.
const auditMissing = 1000

// Audit adds up the credits that the journals have for every chunk in Redis and
// holds them, the rounds and the blocks against what Redis says, to the unit. It
// changes nothing, and may run beside the nodes.
//
//	marks ─▶ chunks, oldest first ─▶ blocks ─▶ marks again
//	           each journal is read up to where it is in the chunk
//
// A chunk names up to where each journal is in it, so neither the order in which
// nodes applied their ranges nor the cuts are guessed. What the first marks say must
// be in the chunks; what comes between the two may already show in the blocks. Where
// a wallet's credit was vested or taken back by trust, its verified difficulty is
// held between what was verified at once and what the journals can have added.
func Audit(ctx context.Context, r *Reader, journals []*journal.Journal) (Report, error) {
	a := auditor{Reader: r, readers: map[string]*auditReader{}, found: map[string]*fate{}, cuts: map[string]uint64{},
		moved: map[string]*moved{}}
	for _, j := range journals {
		reader, err := j.NewReader("audit", j.Begin())
		if err != nil {
			return a.report, fmt.Errorf("ledger: read journal %s: %w", j.ID(), err)
		}
		a.readers[j.ID()] = &auditReader{Reader: reader, j: j, begin: j.Begin(), at: j.Begin()}
	}
	defer a.close()
	if err := a.ours(ctx, journals); err != nil {
		return a.report, err
	}
	before, err := a.totals(ctx)
	if err != nil {
		return a.report, err
	}
	for id, r := range a.readers {
		r.mark = before.marks[id]
	}
	a.compareTotals(&before)
	if err := a.chunksOfAll(ctx); err != nil {
		return a.report, err
	}
	a.compareMarks(&before)
	if err := a.blocksOfAll(ctx); err != nil {
		return a.report, err
	}
	err = a.waiting(ctx)
	return a.report, err
}

// auditWait is how long a journal's end may take to get into Redis: some flush
// intervals.
const auditWait = 3 * time.Second

// waiting tells what of the journals Redis does not have. A node that runs is given
// the time it needs for what is on its way.
func (a *auditor) waiting(ctx context.Context) error {
	type end struct {
		at   journal.Position
		sums Sums
	}
	ends := map[string]end{}
	for id, r := range a.readers {
		var e end
		e.at, e.sums = r.j.Durable()
		ends[id] = e
	}
	for deadline := time.Now().Add(auditWait); ; {
		t, err := a.totals(ctx)
		if err != nil {
			return err
		}
		var behind []string
		for _, id := range slices.Sorted(maps.Keys(ends)) {
			if t.marks[id].at < ends[id].at {
				behind = append(behind, id)
			}
		}
		if len(behind) > 0 && time.Now().Before(deadline) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("ledger: wait for the journals' ends: %w", ctx.Err())
			case <-time.After(auditWait / 10):
			}
			continue
		}
		for _, id := range behind {
			m, known := t.marks[id]
			e := ends[id]
			rest := Sums{Hashes: e.sums.Hashes - min(m.sums.Hashes, e.sums.Hashes), Shares: e.sums.Shares - min(m.sums.Shares, e.sums.Shares)}
			if !known {
				a.differ("journal "+id, "all of it", lostText(true, rest), "nothing")
				continue
			}
			a.unchecked("journal %s: its end is not in redis yet, with %s", id, lostText(true, rest))
		}
		return nil
	}
}

// ours refuses books that none of the journals can be of.
func (a *auditor) ours(ctx context.Context, journals []*journal.Journal) (err error) {
	for _, j := range journals {
		cfg := Config{Store: a.store, Pool: a.keys.Pool(), Identity: Identity(j.Identity())}
		if err = CheckIdentity(ctx, cfg); err == nil {
			return nil
		}
	}
	return err
}

type auditor struct {
	*Reader
	report  Report
	readers map[string]*auditReader
	found   map[string]*fate  // by block id
	cuts    map[string]uint64 // by block id: the chunk it cut, as the chunks say
	moved   map[string]*moved // by wallet
	trusted []trusted
	partial bool // some records are not there to be read
}

// auditReader is how far a journal was added up.
type auditReader struct {
	*journal.Reader
	j         *journal.Journal
	begin, at journal.Position
	mark      mark // that Redis had of it at first
	held      *journal.Record
	chunk     journal.Position // its end in the chunk before
	unknown   bool             // a chunk between could not be read
	late      bool             // behind the chunks: Redis may have it
}

// next reads on. A journal that a node writes has more than when it was opened for
// reading, and Redis may have that, too.
func (r *auditReader) next() (*journal.Record, error) {
	rec, err := r.Next()
	if !errors.Is(err, io.EOF) {
		return rec, err
	}
	again, err := r.j.Again()
	if err != nil || again == nil || again.End() <= r.at {
		return nil, io.EOF // a copy of the journal, taken earlier, or all of it
	}
	reader, err := again.NewReader("audit", r.at)
	if err != nil {
		return nil, fmt.Errorf("read on at %d: %w", r.at, err)
	}
	r.Reader.Close()
	r.Reader, r.j = reader, again
	return r.Next()
}

func (a *auditor) close() {
	for _, r := range a.readers {
		r.Reader.Close()
	}
}

func (a *auditor) differ(what, who string, journals, redis any) {
	a.report.Differences = append(a.report.Differences, Difference{what, who, fmt.Sprint(journals), fmt.Sprint(redis)})
}

func (a *auditor) same(what, who string, journals, redis uint64) {
	if journals != redis {
		a.differ(what, who, journals, redis)
	}
}

func (a *auditor) unchecked(format string, args ...any) {
	a.report.Unchecked = append(a.report.Unchecked, fmt.Sprintf(format, args...))
}

// chunksOfAll goes through all chunks in order: those of closed rounds, then the
// open ones.
func (a *auditor) chunksOfAll(ctx context.Context) error {
	next := uint64(1)
	for range auditBlocks {
		r, err := a.roundFrom(ctx, next)
		if err != nil {
			return err
		}
		if r.id == "" {
			break
		}
		if err := a.round(ctx, next, &r); err != nil {
			return err
		}
		next = r.last + 1
	}
	last, err := a.OpenChunk(ctx)
	if err != nil {
		return err
	}
	if err := a.chunksFrom(ctx, next, last-1); err != nil {
		return err
	}
	c, err := a.Chunk(ctx, last)
	if errors.Is(err, ErrNotFound) {
		return nil // nothing came since the last cut; else the marks will tell
	}
	if err != nil {
		return err
	}
	return a.chunk(&c)
}

// closed is a closed round as of one moment.
type closed struct {
	id      string // of its block; "" = there is none
	last    uint64 // chunk, as the list of rounds has it
	rec     BlockRecord
	chunks  []Chunk
	missing error // ErrNotFound of its block or its chunks
}

// roundFrom reads the first round that ends at a chunk or behind it. A node may
// close another before it, or move credit within, so it is read until it stays.
func (a *auditor) roundFrom(ctx context.Context, next uint64) (r closed, err error) {
	for range auditTries {
		was := r
		found, err := a.store.DoRepeatable(ctx, "ZRANGEBYSCORE", a.keys.Rounds(), strconv.FormatUint(next, 10), "+inf", "WITHSCORES", "LIMIT", "0", "1").AsZScores()
		if err != nil || len(found) == 0 {
			return closed{}, wrapped("list rounds", err)
		}
		r = closed{id: found[0].Member, last: uint64(found[0].Score)}
		if r.rec, err = a.block(ctx, r.id); err == nil && was.id == r.id && was.rec == r.rec {
			return was, nil
		}
		if err == nil && r.rec.First == next && r.rec.Cut == r.last {
			r.chunks, err = a.RoundChunks(ctx, r.rec)
		}
		if errors.Is(err, ErrNotFound) {
			r.missing, err = err, nil
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func wrapped(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger: %s: %w", what, err)
}

// round compares the chunks of a closed round, and their sums to the round's.
func (a *auditor) round(ctx context.Context, next uint64, r *closed) error {
	what := "round of " + r.id
	switch {
	case r.missing != nil && r.rec.First == 0:
		a.differ("block "+r.id, "", "there", "missing")
		return a.chunksFrom(ctx, next, r.last)
	case r.rec.First != next || r.rec.Cut != r.last:
		a.differ(what, "chunks", fmt.Sprintf("%d to %d", next, r.last), fmt.Sprintf("%d to %d", r.rec.First, r.rec.Cut))
		return a.chunksFrom(ctx, next, r.last)
	case r.missing != nil:
		t, err := a.totals(ctx)
		if err != nil {
			return err
		}
		if r.last >= t.oldest {
			a.differ(what, "chunks", fmt.Sprintf("%d to %d", next, r.last), "missing")
			return nil
		}
		a.unchecked("the round of block %s: its archive has expired", r.id)
		for _, reader := range a.readers {
			reader.unknown = true
		}
		return nil
	}
	sum := Round{Wallets: map[string]Sum{}}
	for i := range r.chunks {
		sum.add(&r.chunks[i])
		if err := a.chunk(&r.chunks[i]); err != nil {
			return err
		}
	}
	a.report.Rounds++
	a.same(what, "hashes", sum.Hashes, r.rec.Hashes)
	a.same(what, "unverified", sum.Unverified, r.rec.Unverified)
	a.same(what, "shares", sum.Shares, r.rec.Shares)
	return nil
}

// chunksFrom compares chunks that have been cut and are in no round.
func (a *auditor) chunksFrom(ctx context.Context, first, last uint64) error {
	missing := 0
	for n := first; n <= last; n++ {
		c, err := a.Chunk(ctx, n)
		if errors.Is(err, ErrNotFound) {
			a.differ("chunk "+strconv.FormatUint(n, 10), "", "there", "missing")
			if missing++; missing == auditMissing {
				a.differ("chunks", "from "+strconv.FormatUint(n+1, 10), "there", "not looked for")
				return nil
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := a.chunk(&c); err != nil {
			return err
		}
	}
	return nil
}

// expected is what the journals have for one chunk.
type expected struct {
	wallets map[string]Sum
	shares  uint64
	whole   bool
}

// chunk adds up one chunk and compares it.
func (a *auditor) chunk(c *Chunk) error {
	what := "chunk " + strconv.FormatUint(c.Number, 10)
	if c.Block != "" {
		a.cuts[c.Block] = c.Number // of two, the later: see BlockRecord.Late
	}
	e := expected{wallets: map[string]Sum{}, whole: true}
	for _, id := range slices.Sorted(maps.Keys(c.Journals)) {
		r := a.readers[id]
		if r == nil {
			e.whole = false
			a.unchecked("%s: it has shares of journal %s, which was not given", what, id)
			continue
		}
		if err := a.addUp(&e, what, id, r, c.Journals[id]); err != nil {
			return err
		}
	}
	if !e.whole {
		return nil
	}
	a.report.Chunks++
	a.compare(what, &e, c)
	return nil
}

// addUp reads a journal on to a chunk's end.
func (a *auditor) addUp(e *expected, what, id string, r *auditReader, to journal.Position) error {
	switch {
	case r.unknown:
		e.whole = false
		a.unchecked("%s: where journal %s begins in it is not known any more", what, id)
	case r.chunk < r.begin:
		e.whole = false
		a.report.Older++
	}
	r.chunk, r.unknown = max(r.chunk, to), false
	err := a.readTo(e, what, id, r, to)
	if errors.Is(err, io.EOF) {
		e.whole = false
		a.unchecked("%s: journal %s ends at %d, redis has it up to %d", what, id, r.at, to)
		r.at = to
		return nil
	}
	return err
}

// readTo takes a journal's records up to a position; io.EOF when it ends before.
func (a *auditor) readTo(e *expected, what, id string, r *auditReader, to journal.Position) error {
	for r.at < to {
		rec := r.held
		r.held = nil
		if rec == nil {
			var err error
			if rec, err = r.next(); errors.Is(err, io.EOF) {
				return err
			} else if err != nil {
				return fmt.Errorf("ledger: read journal %s: %w", id, err)
			}
		}
		if rec.End > to {
			r.held = rec // a hole that Skip made reaches over the chunk's end
			return nil
		}
		r.at = rec.End
		if r.at == r.mark.at && rec.Sums != r.mark.sums {
			a.differ("journal "+id, fmt.Sprintf("sums at its mark %d", r.at), rec.Sums, r.mark.sums)
		}
		a.record(e, what, id, r.late, rec)
	}
	return nil
}

func (a *auditor) record(e *expected, what, id string, late bool, rec *journal.Record) {
	switch rec.Kind {
	case journal.KindCredit:
		if late {
			return
		}
		s := e.wallets[rec.Credit.Wallet]
		if rec.Credit.Work == nil {
			s.Hashes += rec.Credit.Difficulty
		} else {
			s.Unverified += rec.Credit.Difficulty
		}
		e.wallets[rec.Credit.Wallet] = s
		e.shares++
		a.report.Shares++
		a.report.Hashes += rec.Credit.Difficulty
	case journal.KindFound:
		a.fate(rec.Found.Block).seen(late)
	case journal.KindSettled:
		a.fate(rec.Settled.Block).settle(id, rec.Settled, late)
	case journal.KindClawBack:
		a.move(rec.ClawBack.Wallet).clawed = true
	case journal.KindVest:
		m := a.move(rec.Vest.Wallet)
		m.vested += min(rec.Vest.Hashes, ^uint64(0)-m.vested)
	case journal.KindLost:
		if late {
			return
		}
		a.differ(what, "a part of journal "+id+" that cannot be read", fmt.Sprintf("%d to %d: %s", rec.Lost.From, rec.Lost.To, rec.Lost.Reason),
			"without "+lostText(rec.Lost.Known, rec.Lost.Sums))
	}
}

func (a *auditor) compare(what string, e *expected, c *Chunk) {
	names := slices.Collect(maps.Keys(e.wallets))
	for w := range c.Wallets {
		if _, ok := e.wallets[w]; !ok {
			names = append(names, w)
		}
	}
	slices.Sort(names)
	var sum Sum
	for _, w := range names {
		want, has := e.wallets[w], c.Wallets[w]
		sum.add(has)
		if want != has {
			a.trusted = append(a.trusted, trusted{what, w, want, has}) // what trust has moved is known at the end
		}
	}
	a.same(what, "shares", e.shares, c.Shares)
	a.same(what, "hashes, of its wallets", sum.Hashes, c.Hashes)
	a.same(what, "unverified, of its wallets", sum.Unverified, c.Unverified)
}
