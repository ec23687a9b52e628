package daemon

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/assay-pool/assay/validator/blob"
)

// Template is one block template, checked for type, range and consistency of its fields. Whether
// the blob parses and the offsets agree with it is for the accept callback to judge.
type Template struct {
	Blob           []byte // header, coinbase with ReserveSize zero bytes, transaction ids
	HashingBlob    []byte // the daemon's own hashing blob for zero extra nonce; nil if it sends none
	Height         uint64 // of the block to be found
	Difficulty     blob.Difficulty
	Prev           [32]byte // parent's id; zero if the daemon sends none
	Seed           [32]byte // RandomX seed; zero for coins without
	NextSeed       [32]byte // zero when none is known yet
	SeedHeight     uint64
	ReservedOffset int    // of the reserved bytes in Blob
	ExpectedReward uint64 // atomic units; 0 if the daemon sends none
	Daemon         string // host:port it came from
	Received       time.Time

	asked time.Time // when the call began: what a poll told before is older than the template
	work  *work     // nil when the blob cannot be read
}

const (
	// maxHeight: 2^40 blocks are 4 million years of Monero.
	maxHeight = 1 << 40
	// minBlob: the header alone has at least 39 bytes and a nonce of four.
	minBlob = 43
	// minHashing: the same header begins it.
	minHashing = 43
	// maxHashing: CryptoNote's is 75…77 bytes, those of coins with pricing records or signatures in
	// the header reach 276; 1 KiB leaves room.
	maxHashing = 1024
	// prevWithin: the parent's id stands in the first bytes of every CryptoNote header (three
	// varints before it, at most ten bytes each).
	prevWithin = 30 + 32
)

// templateAnswer is get_block_template's result. Pointers tell absent from zero.
type templateAnswer struct {
	Blob           *string `json:"blocktemplate_blob"`
	HashingBlob    string  `json:"blockhashing_blob"`
	Difficulty     *uint64 `json:"difficulty"`
	DifficultyTop  *uint64 `json:"difficulty_top64"`
	WideDifficulty string  `json:"wide_difficulty"`
	Reward         uint64  `json:"expected_reward"`
	Height         *uint64 `json:"height"`
	Prev           string  `json:"prev_hash"`
	ReservedOffset *uint64 `json:"reserved_offset"`
	SeedHeight     uint64  `json:"seed_height"`
	Seed           string  `json:"seed_hash"`
	NextSeed       string  `json:"next_seed_hash"`
	answerStatus
}

// decodeTemplate turns get_block_template's result into a Template with reserve free bytes, or
// says which field is impossible. Nothing of a bad answer is returned.
func decodeTemplate(result []byte, reserve int) (*Template, *Error) {
	var a templateAnswer
	if err := strictUnmarshal(result, &a); err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	if a.Blob == nil || a.Height == nil || a.ReservedOffset == nil || a.Difficulty == nil {
		return nil, fault(KindMalformed, "blocktemplate_blob, difficulty, height or reserved_offset is missing")
	}
	t := &Template{Height: *a.Height, SeedHeight: a.SeedHeight, ExpectedReward: a.Reward}
	if t.Height == 0 || t.Height >= maxHeight {
		return nil, fault(KindAbsurd, "height %d", t.Height)
	}
	if t.SeedHeight >= t.Height {
		return nil, fault(KindAbsurd, "seed_height %d is not below height %d", t.SeedHeight, t.Height)
	}
	var err *Error
	if t.Difficulty, err = a.difficulty(); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name, hex string
		to        *[32]byte
	}{{"prev_hash", a.Prev, &t.Prev}, {"seed_hash", a.Seed, &t.Seed}, {"next_seed_hash", a.NextSeed, &t.NextSeed}} {
		if err := decodeHash(f.name, f.hex, f.to); err != nil {
			return nil, err
		}
	}
	if t.NextSeed == t.Seed {
		t.NextSeed = [32]byte{} // some daemons repeat the current one: nothing to prepare
	}
	if err := t.decodeBlobs(&a, reserve); err != nil {
		return nil, err
	}
	return t, nil
}

// difficulty reads the 128-bit value from either of its two forms and compares them when both came.
func (a *templateAnswer) difficulty() (blob.Difficulty, *Error) {
	d := blob.Difficulty{Lo: *a.Difficulty}
	if a.DifficultyTop != nil {
		d.Hi = *a.DifficultyTop
	}
	if a.WideDifficulty != "" {
		if !strings.HasPrefix(a.WideDifficulty, "0x") {
			return d, fault(KindMalformed, "wide_difficulty %.40q is not 0x… hex", a.WideDifficulty)
		}
		wide, err := blob.ParseDifficulty(a.WideDifficulty)
		if err != nil {
			return d, fault(KindMalformed, "wide_difficulty: %w", err)
		}
		if wide != d {
			return d, fault(KindAbsurd, "wide_difficulty %s but difficulty %s", wide, d)
		}
	}
	if d.IsZero() {
		return d, fault(KindAbsurd, "difficulty is zero")
	}
	return d, nil
}

func (t *Template) decodeBlobs(a *templateAnswer, reserve int) *Error {
	var err error
	if t.Blob, err = hex.DecodeString(*a.Blob); err != nil {
		return fault(KindMalformed, "blocktemplate_blob: %w", err)
	}
	if len(t.Blob) < minBlob {
		return fault(KindAbsurd, "blocktemplate_blob has %d bytes", len(t.Blob))
	}
	// Compared as unsigned before the conversion, so that an offset near 2^64 cannot wrap.
	off := *a.ReservedOffset
	if off < minBlob || off > uint64(len(t.Blob)) || uint64(len(t.Blob))-off < uint64(reserve) {
		return fault(KindAbsurd, "reserved_offset %d with %d reserved bytes in a blob of %d", off, reserve, len(t.Blob))
	}
	t.ReservedOffset = int(off)
	for _, b := range t.Blob[off : off+uint64(reserve)] {
		if b != 0 {
			return fault(KindAbsurd, "reserved bytes at offset %d are not zero", off)
		}
	}
	if t.Prev != ([32]byte{}) && !bytes.Contains(t.Blob[:min(len(t.Blob), prevWithin)], t.Prev[:]) {
		return fault(KindAbsurd, "prev_hash is not in the template's header")
	}
	if a.HashingBlob == "" {
		return nil
	}
	if t.HashingBlob, err = hex.DecodeString(a.HashingBlob); err != nil {
		return fault(KindMalformed, "blockhashing_blob: %w", err)
	}
	if n := len(t.HashingBlob); n < minHashing || n > maxHashing {
		return fault(KindAbsurd, "blockhashing_blob has %d bytes", n)
	}
	return nil
}

// decodeHash reads 64 hex digits; empty means zero.
func decodeHash(name, s string, to *[32]byte) *Error {
	if s == "" {
		return nil
	}
	if len(s) != 64 {
		return fault(KindMalformed, "%s has %d digits, want 64", name, len(s))
	}
	if _, err := hex.Decode(to[:], []byte(s)); err != nil {
		return fault(KindMalformed, "%s: %w", name, err)
	}
	return nil
}

// same tells whether two templates would give the same jobs.
func (t *Template) same(o *Template) bool {
	return o != nil && t.Height == o.Height && t.Difficulty == o.Difficulty && t.Seed == o.Seed &&
		t.NextSeed == o.NextSeed && t.ReservedOffset == o.ReservedOffset && bytes.Equal(t.Blob, o.Blob)
}

// pays tells whether t is worth disturbing every miner although o has the same parent: more
// reward, or at least one more transaction (32 bytes of blob each). Whether o can still become a
// block is asked apart from it: [work.covers].
func (t *Template) pays(o *Template) bool {
	return t.ExpectedReward > o.ExpectedReward || len(t.Blob) >= len(o.Blob)+32
}

// asGood tells whether o is still as good as the newer t: on the same parent, with no transaction
// that t lacks, and paying no less.
func (t *Template) asGood(o *Template) bool {
	return o != nil && t.Prev == o.Prev && t.Height == o.Height && t.Seed == o.Seed && t.NextSeed == o.NextSeed &&
		t.Difficulty == o.Difficulty && t.work.covers(o.work) && !t.pays(o)
}

func (c *caller) template(ctx context.Context, timeout time.Duration, wallet string, reserve int) (*Template, error) {
	asked := time.Now()
	res, err := c.call(ctx, timeout, "get_block_template", map[string]any{"wallet_address": wallet, "reserve_size": reserve})
	if err != nil {
		return nil, err
	}
	t, derr := decodeTemplate(res, reserve)
	if derr != nil {
		return nil, c.named("get_block_template", derr)
	}
	t.Daemon, t.asked, t.Received = c.name, asked, time.Now()
	return t, nil
}
