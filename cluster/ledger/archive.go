package ledger

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"time"

	"github.com/assay-pool/assay/cluster/store"
)

const (
	// archiveEvery is the time between two looks for rounds to put away.
	archiveEvery = time.Minute
	// archiveWindows, in network difficulties, is how far back behind a round a
	// later block may still pay: twice the usual PPLNS window of two.
	archiveWindows = 4
	// archiveBlocks bounds the blocks looked at: those of a year at one an hour.
	archiveBlocks = 8192
	// maxArchive bounds what an archive may unpack to, in bytes.
	maxArchive = 1 << 30
)

// archived is the value of an archive: gzip of this as JSON, so that redis-cli and
// zcat read it.
type archived struct {
	Block  string
	Chunks []Chunk
}

// archiver puts rounds away until ctx ends.
func (l *Ledger) archiver(ctx context.Context) {
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, err := l.Archive(ctx)
		l.metrics.archived.Add(float64(n))
		if err != nil && ctx.Err() == nil {
			l.metrics.unread.Inc()
			l.cfg.Log.Warn("rounds were not archived; it is tried again", "pool", l.cfg.Pool, "error", err)
		}
	}
}

// Archive puts the chunks of rounds away that nobody can be paid from any more, and
// tells of how many rounds. Any node may do it, several at once too.
func (l *Ledger) Archive(ctx context.Context) (rounds int, err error) {
	network := l.size.network.Load()
	beyond, window := bits.Mul64(network, archiveWindows)
	if network == 0 || beyond != 0 {
		return 0, nil // not known yet, or so large that all there is may be paid from
	}
	closing, err := l.Closing(ctx, archiveBlocks)
	if err != nil {
		return 0, err
	}
	blocks, err := l.Blocks(ctx, archiveBlocks)
	if err != nil {
		return 0, err
	}
	// Behind this chunk somebody may still be paid.
	keep, err := l.OpenChunk(ctx)
	if err != nil {
		return 0, err
	}
	for _, b := range blocks {
		if b.State != StatePaid && b.State != StateOrphaned {
			keep = min(keep, cmp.Or(b.First, b.Cut))
		}
	}
	oldest, err := l.oldestChunk(ctx)
	if err != nil {
		return 0, err
	}
	edge, err := l.reach(ctx, keep, oldest, window)
	if err != nil {
		return 0, err
	}
	for i := len(closing) - 1; i >= 0; i-- {
		rec := closing[i]
		if rec.Cut < oldest {
			continue // it is archived
		}
		if rec.State != StatePaid || rec.Cut >= edge {
			return rounds, nil
		}
		done, err := l.archiveRound(ctx, rec)
		if err != nil {
			return rounds, err
		}
		if done {
			rounds++
		}
	}
	return rounds, nil
}

// oldestChunk is the first that is not archived.
func (l *Ledger) oldestChunk(ctx context.Context) (uint64, error) {
	texts, err := l.store.DoRepeatable(ctx, "HMGET", l.keys.Stats(), "oldest").AsStrSlice()
	if err != nil || len(texts) != 1 {
		return 0, fmt.Errorf("ledger: read the oldest chunk: %d values, %w", len(texts), err)
	}
	var p parser
	return max(1, p.u64(texts[0])), p.wrap("read the oldest chunk")
}

// reach is the oldest chunk that a window of so much difficulty before a chunk
// touches, of those that are not archived.
func (l *Ledger) reach(ctx context.Context, chunk, oldest, window uint64) (uint64, error) {
	for ; chunk > oldest && window > 0; chunk-- {
		c, err := l.Chunk(ctx, chunk-1)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return 0, err
		}
		window -= min(window, c.Hashes)
	}
	return chunk, nil
}

// archiveRound puts one round away; false when it is already, or has changed
// meanwhile.
func (l *Ledger) archiveRound(ctx context.Context, rec BlockRecord) (bool, error) {
	id := hex.EncodeToString(rec.ID[:])
	has, err := l.store.DoRepeatable(ctx, "EXISTS", l.keys.Archive(id)).AsInt64()
	if err != nil {
		return false, fmt.Errorf("ledger: look for the archive of %s: %w", id, err)
	}
	if has != 0 {
		return false, nil
	}
	a := archived{Block: id}
	expect := make(args, 0, 3*(rec.Cut-rec.First+1))
	any := false
	for n := rec.First; n <= rec.Cut; n++ {
		m, err := l.store.DoRepeatable(ctx, "HGETALL", l.keys.Chunk(n)).AsStrMap()
		if err != nil {
			return false, fmt.Errorf("ledger: read chunk %d: %w", n, err)
		}
		c, err := parseChunk(n, m)
		if err != nil {
			return false, err
		}
		expect.i(int64(len(m)))
		expect.u(c.Hashes)
		expect.u(c.Unverified)
		if len(m) > 0 {
			any = true
			a.Chunks = append(a.Chunks, c)
		}
	}
	if !any {
		return false, nil // its archive has expired
	}
	value, err := a.pack()
	if err != nil {
		return false, err
	}
	keep := seconds(l.cfg.RoundKeep)
	reply, err := l.store.EvalRepeatable(ctx, store.NewScript("archive", archiveLua),
		[]string{l.keys.Archive(id), l.keys.ChunkPrefix(), l.keys.Stats(), l.keys.Rounds(), l.keys.Block(id)},
		append(args{value, strconv.FormatInt(keep, 10), strconv.FormatUint(rec.First, 10), strconv.FormatUint(rec.Cut, 10)}, expect...)).AsStrSlice()
	if err != nil {
		return false, fmt.Errorf("ledger: archive the round of %s: %w", id, err)
	}
	return len(reply) > 0 && reply[0] == "ok", nil
}

func (a *archived) pack() (string, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(a); err != nil {
		return "", fmt.Errorf("ledger: pack the round of %s: %w", a.Block, err)
	}
	if err := z.Close(); err != nil {
		return "", fmt.Errorf("ledger: pack the round of %s: %w", a.Block, err)
	}
	return b.String(), nil
}

// readArchive reads what pack has made; ErrNotFound.
func (r *Reader) readArchive(ctx context.Context, id string) (archived, error) {
	var a archived
	values, err := r.store.DoRepeatable(ctx, "MGET", r.keys.Archive(id)).ToArray()
	if err != nil {
		return a, fmt.Errorf("ledger: read the archive of %s: %w", id, err)
	}
	if len(values) != 1 || values[0].IsNil() {
		return a, fmt.Errorf("archive of %s: %w", id, ErrNotFound)
	}
	text, err := values[0].ToString()
	if err != nil {
		return a, fmt.Errorf("ledger: read the archive of %s: %w", id, err)
	}
	z, err := gzip.NewReader(bytes.NewReader([]byte(text)))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, maxArchive)).Decode(&a)
	}
	if err != nil {
		return a, fmt.Errorf("ledger: the archive of %s is damaged: %w", id, err)
	}
	return a, nil
}
