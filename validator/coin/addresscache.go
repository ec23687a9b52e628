package coin

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// countersPerEntry is how many frequency counters the cache keeps for each
// entry. Its makers advise ten of about five bytes; wallets log in so unevenly
// that four tell them apart, at 20 bytes an entry.
const countersPerEntry = 4

// AddressCache remembers what [Profile.ParseAddress] said, because the two
// curve points cost about as much as the rest of a login, and a farm of a
// thousand rigs logs in with one address. It may forget at any time; then the
// address is parsed again. Safe for concurrent use.
type AddressCache struct {
	profile *Profile
	cache   *ristretto.Cache[string, parsed]
	hits    atomic.Uint64
	misses  atomic.Uint64
}

// parsed is an answer, and what was asked: the cache itself keeps hashes only.
type parsed struct {
	text    string
	address Address
	err     error
}

// NewAddressCache makes a cache of at most so many entries, good and bad
// addresses alike. It must be closed.
func NewAddressCache(profile *Profile, entries int) (*AddressCache, error) {
	if entries < 1 {
		return nil, fmt.Errorf("address cache of %d entries: must be at least 1", entries)
	}
	if profile == nil {
		return nil, errors.New("address cache: no coin profile")
	}
	cache, err := ristretto.NewCache(&ristretto.Config[string, parsed]{
		NumCounters:        int64(entries) * countersPerEntry,
		MaxCost:            int64(entries),
		BufferItems:        64, // the library's advice
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("address cache: %w", err)
	}
	return &AddressCache{profile: profile, cache: cache}, nil
}

// Parse is [Profile.ParseAddress], remembered.
func (c *AddressCache) Parse(s string) (Address, error) {
	if len(s) > maxAddressText {
		return c.profile.ParseAddress(s) // refused by its length alone
	}
	if known, ok := c.cache.Get(s); ok && known.text == s {
		c.hits.Add(1)
		return known.address, known.err
	}
	c.misses.Add(1)
	address, err := c.profile.ParseAddress(s)
	known := parsed{text: address.text, address: address, err: err}
	if err != nil {
		known.text = strings.Clone(s)
	}
	c.cache.Set(known.text, known, 1)
	return address, err
}

// Stats tells how many addresses were known and how many had to be parsed.
func (c *AddressCache) Stats() (hits, misses uint64) { return c.hits.Load(), c.misses.Load() }

// Close ends the cache's goroutines. Nothing may be parsing meanwhile; after it
// parsing works as before, but nothing is remembered.
func (c *AddressCache) Close() { c.cache.Close() }
