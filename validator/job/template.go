package job

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
	"github.com/assay-pool/assay/validator/coin"
)

// Offer is a block template as a coin daemon offered it: claims, none checked.
type Offer struct {
	Blob           []byte          // the template, reserved bytes zero
	HashingBlob    []byte          // the daemon's own hashing blob of it; empty when it sends none
	Height         uint64          // of the block to be found
	Difficulty     blob.Difficulty // of the network
	Prev           [32]byte        // id of the block before; zero when the daemon does not say
	Seed           [32]byte        // RandomX key; zero for other algorithms
	NextSeed       [32]byte        // the key after this one, zero while not known
	SeedHeight     uint64
	ReservedOffset int
	Reward         uint64 // atomic units
	Daemon         string // who offered it
}

// Template is an offer that has been checked, ready to cut jobs from.
// Immutable but for what its Board notes on it; safe for concurrent use.
type Template struct {
	*blob.Template
	Algo       algo.ID
	Difficulty blob.Difficulty
	Seed       [32]byte
	NextSeed   [32]byte
	Reward     uint64
	Daemon     string
	Created    time.Time

	// confirmed is when a daemon last offered this template, or one no better
	// than it; a reading of the Board's clock, as the next two.
	confirmed atomic.Int64
	// replaced is when another block became the parent or the template was
	// dropped; 0 before.
	replaced atomic.Int64
	// dropped is when a block on the template was refused; 0 before.
	dropped atomic.Int64
	// retired is set once the board has forgotten the template.
	retired atomic.Bool
}

// Refusal says why an offer is no template. Reason is a metric label.
type Refusal struct {
	Reason string
	Detail string
}

// Error is the text an operator reads.
func (r *Refusal) Error() string { return "template refused: " + r.Reason + ": " + r.Detail }

func refuse(reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

const (
	// NonceOffset is where every miner writes the nonce in a hashing blob.
	NonceOffset = 39
	// MaxHashingBlob is the longest hashing blob XMRig takes: its buffer has 408
	// bytes, and it wants one of them free.
	MaxHashingBlob = 407
)

// NewTemplate checks every claim of an offer against the template's own bytes
// and the coin's rules. Nothing is assumed: an offer that disagrees with itself
// is refused with a [Refusal], because a wrong job costs every miner its work.
func NewTemplate(profile *coin.Profile, offer *Offer, now time.Time) (*Template, error) {
	parsed, err := blob.Parse(profile.BlobType, offer.Blob, ExtraSize)
	if err != nil {
		return nil, refuse("unparsable", "%v", err)
	}
	switch {
	case parsed.Height != offer.Height:
		return nil, refuse("height", "the coinbase is of height %d, the daemon says %d", parsed.Height, offer.Height)
	case offer.Prev != ([32]byte{}) && parsed.Prev != offer.Prev:
		return nil, refuse("prev", "the header builds on %x, the daemon says %x", parsed.Prev, offer.Prev)
	case parsed.ReservedOffset != offer.ReservedOffset:
		return nil, refuse("reserved_offset", "the reserve is at %d, the daemon says %d", parsed.ReservedOffset, offer.ReservedOffset)
	case parsed.HashingNonceOffset() != NonceOffset:
		return nil, refuse("nonce_offset", "the nonce is at %d, miners write it at %d", parsed.HashingNonceOffset(), NonceOffset)
	case offer.Difficulty.IsZero():
		return nil, refuse("difficulty", "the network difficulty is zero")
	}
	if err := checkHashingBlob(parsed, offer); err != nil {
		return nil, err
	}
	id, err := profile.Algo(parsed.Major, parsed.Height)
	if err != nil {
		return nil, refuse("algorithm", "%v", err)
	}
	if err := checkSeed(profile, id, offer); err != nil {
		return nil, err
	}
	return &Template{
		Template: parsed, Algo: id, Difficulty: offer.Difficulty,
		Seed: offer.Seed, NextSeed: offer.NextSeed, Reward: offer.Reward,
		Daemon: offer.Daemon, Created: now,
	}, nil
}

// checkHashingBlob holds our own tree hash against the daemon's.
func checkHashingBlob(parsed *blob.Template, offer *Offer) error {
	own := parsed.AppendHashing(nil, make([]byte, ExtraSize))
	if len(own) > MaxHashingBlob {
		return refuse("hashing_blob", "%d bytes, miners take %d", len(own), MaxHashingBlob)
	}
	if !bytes.Equal(own[NonceOffset:NonceOffset+4], make([]byte, 4)) {
		// XMRig takes a nonce that is not zero for NiceHash mode.
		return refuse("nonce", "the template's nonce is %x, not zero", own[NonceOffset:NonceOffset+4])
	}
	if len(offer.HashingBlob) != 0 && !bytes.Equal(own, offer.HashingBlob) {
		return refuse("hashing_blob", "ours is %x, the daemon's %x", own, offer.HashingBlob)
	}
	return nil
}

// checkSeed holds the seed's height against the coin's schedule; whether the
// seed is the block id at that height only the chain can tell (pool asks it).
func checkSeed(profile *coin.Profile, id algo.ID, offer *Offer) error {
	if !id.NeedsSeed() {
		return nil
	}
	if offer.Seed == ([32]byte{}) {
		return refuse("seed", "%v needs a seed hash, the daemon sent none", id)
	}
	if want := profile.SeedHeight(offer.Height); offer.SeedHeight != want {
		return refuse("seed_height", "height %d takes its seed from %d, the daemon says %d", offer.Height, want, offer.SeedHeight)
	}
	return nil
}

// SameParent reports whether both build on the same block.
func (t *Template) SameParent(o *Template) bool { return t.Height == o.Height && t.Prev == o.Prev }
