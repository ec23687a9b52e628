// Package jobtest gives tests a real block template to cut jobs from: one of
// Monero's main chain with 35 transactions.
package jobtest

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/coin"
	"github.com/assay-pool/assay/validator/job"
)

//go:embed testdata/template.json
var data []byte

// Height of the template's block.
const Height = 3196645

// Reward of the template's coinbase is read from it; the network difficulty of
// an [Offer] is chosen so that no random hash ever meets it.
const difficulty = 300_000_000_000

// Profile is the coin the template is of.
func Profile(tb testing.TB) *coin.Profile {
	tb.Helper()
	p, err := coin.Lookup("monero")
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Offer is the template as a daemon would offer it, with the given seed.
func Offer(tb testing.TB, seed byte) *job.Offer {
	tb.Helper()
	var d struct {
		Height   uint64 `json:"height"`
		Prev     string `json:"prev_hex"`
		Reserved int    `json:"reserved_offset"`
		Block    string `json:"block_hex"`
		Hashing  string `json:"hashing_blob_hex"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		tb.Fatal(err)
	}
	o := &job.Offer{
		Blob: unhex(tb, d.Block), HashingBlob: unhex(tb, d.Hashing), Height: d.Height,
		Difficulty: blob.FromUint64(difficulty), Seed: [32]byte{seed},
		SeedHeight: Profile(tb).SeedHeight(d.Height), ReservedOffset: d.Reserved, Daemon: "test",
	}
	copy(o.Prev[:], unhex(tb, d.Prev))
	return o
}

// prevAt is where the parent's id stands in the template and its hashing blob.
const prevAt = 7

// WithPrev is the offer on another parent.
func WithPrev(tb testing.TB, o *job.Offer, prev byte) *job.Offer {
	tb.Helper()
	other := *o
	other.Blob = append([]byte(nil), o.Blob...)
	other.HashingBlob = append([]byte(nil), o.HashingBlob...)
	other.Prev[31] = prev
	copy(other.Blob[prevAt:], other.Prev[:])
	copy(other.HashingBlob[prevAt:], other.Prev[:])
	return &other
}

// Template is the checked template with the given seed.
func Template(tb testing.TB, seed byte) *job.Template {
	tb.Helper()
	t, err := job.NewTemplate(Profile(tb), Offer(tb, seed), time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
