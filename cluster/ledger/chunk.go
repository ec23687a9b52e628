package ledger

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-pool/assay/cluster/journal"
)

// Chunk is a stretch of credit. All of a pool's chunks, in order, have all its
// credit, each share once.
type Chunk struct {
	Number                     uint64
	Hashes, Unverified, Shares uint64
	Before                     uint64    // difficulty of all earlier chunks
	First, Last                time.Time // arrival of its shares; zero = none
	Closed                     time.Time // zero = open
	Block                      string    // id of the block that cut it, hex; "" = it was full, or is open
	Wallets                    map[string]Sum
	Journals                   map[string]journal.Position // up to which each journal is in here
}

// OpenChunk is the number of the chunk that credit lands in now.
func (r *Reader) OpenChunk(ctx context.Context) (uint64, error) {
	values, err := r.store.DoRepeatable(ctx, "MGET", r.keys.OpenChunk()).ToArray()
	if err != nil {
		return 0, fmt.Errorf("ledger: read the open chunk: %w", err)
	}
	if len(values) != 1 || values[0].IsNil() {
		return 1, nil
	}
	text, err := values[0].ToString()
	p := parser{err: err}
	n := p.u64(text)
	return n, p.wrap("read the open chunk")
}

// Chunk reads one chunk; ErrNotFound when nothing was written to it, or it is
// archived.
func (r *Reader) Chunk(ctx context.Context, n uint64) (Chunk, error) {
	m, err := r.store.DoRepeatable(ctx, "HGETALL", r.keys.Chunk(n)).AsStrMap()
	if err != nil {
		return Chunk{}, fmt.Errorf("ledger: read chunk %d: %w", n, err)
	}
	if len(m) == 0 {
		return Chunk{}, fmt.Errorf("chunk %d: %w", n, ErrNotFound)
	}
	return parseChunk(n, m)
}

func parseChunk(n uint64, m map[string]string) (Chunk, error) {
	var p parser
	c := Chunk{Number: n, Hashes: p.u64(m["#hashes"]), Unverified: p.u64(m["#unverified"]), Shares: p.u64(m["#shares"]),
		Before: p.u64(m["#before"]), First: p.ms(m["#first"]), Last: p.ms(m["#last"]), Closed: p.ms(m["#closed"]), Block: m["#block"],
		Wallets: map[string]Sum{}, Journals: map[string]journal.Position{}}
	for field, value := range m {
		switch field[:min(1, len(field))] {
		case "#", "":
		case "@":
			c.Journals[field[1:]] = journal.Position(p.u64(value))
		case "~":
			s := c.Wallets[field[1:]]
			s.Unverified = p.u64(value)
			c.Wallets[field[1:]] = s
		default:
			s := c.Wallets[field]
			s.Hashes = p.u64(value)
			c.Wallets[field] = s
		}
	}
	return c, p.wrap("read chunk " + strconv.FormatUint(n, 10))
}

// chunks reads those from first to last that have anything, in order.
func (r *Reader) chunks(ctx context.Context, first, last uint64) ([]Chunk, error) {
	var all []Chunk
	for n := first; n <= last; n++ {
		m, err := r.store.DoRepeatable(ctx, "HGETALL", r.keys.Chunk(n)).AsStrMap()
		if err != nil {
			return nil, fmt.Errorf("ledger: read chunk %d: %w", n, err)
		}
		if len(m) == 0 {
			continue
		}
		c, err := parseChunk(n, m)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Window sums the credit of the newest chunks up to last whose verified
// difficulty is size; the oldest of them counts in part, so that the sums of all
// wallets are exactly size, or all there is. Parts are integers: each wallet has
// the whole part of its share of the boundary, and what is left over goes to the
// largest remainders, by name among equals.
func (r *Reader) Window(ctx context.Context, last, size uint64) (map[string]uint64, error) {
	sums := map[string]uint64{}
	for n := last; n > 0 && size > 0; n-- {
		m, err := r.store.DoRepeatable(ctx, "HGETALL", r.keys.Chunk(n)).AsStrMap()
		if err != nil {
			return nil, fmt.Errorf("ledger: read chunk %d: %w", n, err)
		}
		if len(m) == 0 {
			continue // cut by two blocks in a row
		}
		c, err := parseChunk(n, m)
		if err != nil {
			return nil, err
		}
		part := min(size, c.Hashes)
		for w, h := range prorate(c.Wallets, c.Hashes, part) {
			sums[w] += h
		}
		size -= part
	}
	return sums, nil
}

// prorate gives each wallet its part of part, out of total.
func prorate(wallets map[string]Sum, total, part uint64) map[string]uint64 {
	type rest struct {
		wallet    string
		remainder uint64
	}
	out := make(map[string]uint64, len(wallets))
	rests := make([]rest, 0, len(wallets))
	left := part
	for w, s := range wallets {
		if s.Hashes == 0 || total == 0 {
			continue
		}
		hi, lo := bits.Mul64(s.Hashes, part)
		whole, remainder := bits.Div64(hi, lo, total) // part <= total, so whole fits
		out[w] = whole
		left -= whole
		rests = append(rests, rest{w, remainder})
	}
	slices.SortFunc(rests, func(a, b rest) int {
		if a.remainder != b.remainder {
			if a.remainder > b.remainder {
				return -1
			}
			return 1
		}
		return strings.Compare(a.wallet, b.wallet)
	})
	for i := range rests {
		if left == 0 {
			break
		}
		out[rests[i].wallet]++
		left--
	}
	return out
}
