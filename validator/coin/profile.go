package coin

import (
	"fmt"
	"strings"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/validator/blob"
)

// Profile is one network of one coin. Immutable; safe for concurrent use.
type Profile struct {
	Name    string // what an operator writes: "monero-stagenet"
	Coin    string // "Monero"
	Network string // "stagenet"
	Symbol  string // "XMR"

	Decimals   int           // of one coin
	AtomicUnit uint64        // atomic units in one coin: 10^Decimals
	BlockTime  time.Duration // 0 when not known
	Maturity   uint64        // blocks until a block's reward can be spent; 0 when not known
	BlobType   blob.Type     // see Serviceable: it may be one that cannot be read
	NonceBytes int           // length of the nonce in a hashing blob

	SeedEpoch uint64 // blocks a RandomX seed lasts; a power of two, 0 without RandomX
	SeedLag   uint64 // blocks a seed is known before it is used

	Prefixes []Prefix // of the addresses this network takes

	schedule schedule
	forced   *algo.ID           // instead of the schedule
	blobErr  error              // why its templates cannot be read
	form     string             // of its addresses
	owners   map[uint64][]owner // every known coin's prefixes: whose is a foreign address
}

// Prefix is the number an address begins with, and what it says.
type Prefix struct {
	Kind  Kind
	Value uint64
}

// owner is a network that uses a prefix.
type owner struct {
	profile string
	kind    Kind
}

// Lookup finds the profile with this name.
func Lookup(name string) (*Profile, error) {
	profiles, err := load(embedded)
	if err != nil {
		return nil, err
	}
	for _, p := range profiles {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("unknown coin %q; known are %s", name, strings.Join(namesOf(profiles), ", "))
}

// Names lists the profiles in the order of their data.
func Names() []string {
	profiles, err := load(embedded)
	if err != nil {
		return nil // Lookup tells why
	}
	return namesOf(profiles)
}

func namesOf(profiles []*Profile) []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.Name
	}
	return names
}

// Algo is the algorithm of a block of this major version at this height. A
// version or height the profile does not list is an error: hashing on a guess
// would reject every honest share after a hard fork. So is one whose algorithm
// is known and not hashed here; that error names it.
func (p *Profile) Algo(major uint8, height uint64) (algo.ID, error) {
	if p.forced != nil {
		return *p.forced, nil
	}
	at := height
	if p.schedule.by == byMajor {
		at = uint64(major)
	}
	r, ok := p.schedule.find(at)
	if !ok {
		return algo.Unknown, fmt.Errorf("%s has no known algorithm for block version %d at height %d: is this build older than a hard fork?", p.Name, major, height)
	}
	return r.algo, p.schedule.unserved(p.Name, r)
}

// Latest is the algorithm of the chain as it is today, as far as is known: what
// a node prepares for. Its error is the schedule's.
func (p *Profile) Latest() (algo.ID, error) {
	if p.forced != nil {
		return *p.forced, nil
	}
	last := p.schedule.last()
	return last.algo, p.schedule.unserved(p.Name, last)
}

// WithAlgo is a copy of the profile whose blocks are all of this algorithm,
// whatever their version and height: for chains that took a coin's rules and
// not its history. Whether it can work is for [Profile.Serviceable] to say.
func (p *Profile) WithAlgo(id algo.ID) *Profile {
	forced := *p
	forced.forced = &id
	return &forced
}

// Serviceable is the reason why a node cannot serve the coin as it is today, nil
// when it can: templates it cannot read, an algorithm it does not hash, a nonce
// that miners do not write. A node asks before it starts; addresses, seeds and
// the past are of use without it.
func (p *Profile) Serviceable() error {
	switch {
	case p.blobErr != nil:
		return fmt.Errorf("%s cannot be served: %w", p.Name, p.blobErr)
	case p.NonceBytes != minerNonceBytes:
		return fmt.Errorf("%s cannot be served: its nonce has %d bytes, miners write %d", p.Name, p.NonceBytes, minerNonceBytes)
	case p.forced == nil:
		if err := p.schedule.unserved(p.Name, p.schedule.last()); err != nil {
			return fmt.Errorf("%s cannot be served: %w", p.Name, err)
		}
	case p.forced.Family() == algo.NoFamily:
		return fmt.Errorf("%s cannot be served with the algorithm %v", p.Name, *p.forced)
	case p.forced.NeedsSeed() && p.SeedEpoch == 0:
		return fmt.Errorf("%s cannot be served with %v: that takes a seed, and the coin has no schedule of seeds", p.Name, *p.forced)
	}
	return nil
}

// minerNonceBytes is the length of the nonce that miners write and submit.
const minerNonceBytes = 4

// SeedHeight is the height of the block whose id is the RandomX seed of a block
// at height h: 0 up to SeedEpoch+SeedLag, then (h-SeedLag-1) rounded down to a
// multiple of SeedEpoch. Source: Monero's src/crypto/rx-slow-hash.c.
func (p *Profile) SeedHeight(h uint64) uint64 {
	if p.SeedEpoch == 0 || h <= p.SeedEpoch+p.SeedLag {
		return 0
	}
	return (h - p.SeedLag - 1) &^ (p.SeedEpoch - 1)
}

// NextSeedHeight is the seed height SeedLag blocks ahead. It differs from
// [Profile.SeedHeight] during the last SeedLag blocks of an epoch only: then
// the next seed is known and can be built.
func (p *Profile) NextSeedHeight(h uint64) uint64 {
	if h+p.SeedLag < h { // no chain is that long; an absurd height must not wrap
		return p.SeedHeight(h)
	}
	return p.SeedHeight(h + p.SeedLag)
}
