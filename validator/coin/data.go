package coin

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/assay-pool/assay/validator/blob"
)

// The profiles as data. A coin has facts, each with the place it was read at,
// and networks, which differ in their names, their prefixes and, where they
// forked at other heights, in their algorithms.
//
//go:embed profiles.json
var embedded []byte

type catalogue struct {
	Coins []coinData `json:"coins"`
}

type fact[T any] struct {
	Value  T      `json:"value"`
	Source string `json:"source"`
}

type coinData struct {
	Coin         string        `json:"coin"`
	Symbol       fact[string]  `json:"symbol"`
	Blob         *fact[string] `json:"blob"` // absent, as the next two: not known
	BlockSeconds *fact[int]    `json:"block_seconds"`
	Maturity     *fact[uint64] `json:"maturity"`
	NonceBytes   fact[int]     `json:"nonce_bytes"`
	Decimals     fact[int]     `json:"decimals"`
	SeedEpoch    *fact[uint64] `json:"seed_epoch"` // RandomX coins only
	SeedLag      *fact[uint64] `json:"seed_lag"`
	Algorithms   scheduleData  `json:"algorithms"`
	Networks     []networkData `json:"networks"`
}

type networkData struct {
	Name       string        `json:"name"`
	Network    string        `json:"network"`
	Prefixes   prefixData    `json:"prefixes"`
	Algorithms *scheduleData `json:"algorithms"` // instead of the coin's
}

type scheduleData struct {
	By     string      `json:"by"`
	Source string      `json:"source"`
	Ranges []rangeData `json:"ranges"`
}

type rangeData struct {
	From    uint64  `json:"from"`
	To      *uint64 `json:"to"` // included; absent: no end
	Algo    string  `json:"algo"`
	Refused string  `json:"refused"` // instead: why there is no algorithm for these blocks
}

// prefixData lists prefixes by kind: some coins have two of a kind, some none.
type prefixData struct {
	Source     string   `json:"source"`
	Form       string   `json:"form"` // absent: CryptoNote's base58
	Standard   []uint64 `json:"standard"`
	Integrated []uint64 `json:"integrated"`
	Subaddress []uint64 `json:"subaddress"`
	Short      []uint64 `json:"short"`
}

// maxDecimals keeps the atomic unit within 64 bits.
const maxDecimals = 19

// load reads a catalogue and refuses one that is not complete.
func load(data []byte) ([]*Profile, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var c catalogue
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("coin profiles: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("coin profiles: text behind the catalogue")
	}
	var profiles []*Profile
	owners := make(map[uint64][]owner)
	names := make(map[string]bool)
	for _, coin := range c.Coins {
		if len(coin.Networks) == 0 {
			return nil, fmt.Errorf("coin profiles: %s has no network", coin.Coin)
		}
		for _, network := range coin.Networks {
			p, err := coin.profile(network)
			if err != nil {
				return nil, fmt.Errorf("coin profile %q: %w", network.Name, err)
			}
			if names[p.Name] {
				return nil, fmt.Errorf("coin profile %q: there are two of that name", p.Name)
			}
			names[p.Name] = true
			for _, prefix := range p.Prefixes {
				owners[prefix.Value] = append(owners[prefix.Value], owner{p.Name, prefix.Kind})
			}
			p.owners = owners
			profiles = append(profiles, p)
		}
	}
	return profiles, nil
}

// profile makes the profile of one of the coin's networks.
func (c *coinData) profile(n networkData) (*Profile, error) {
	if err := c.check(n); err != nil {
		return nil, err
	}
	algorithms := c.Algorithms
	if n.Algorithms != nil {
		algorithms = *n.Algorithms
	}
	if algorithms.Source == "" {
		return nil, errors.New("algorithms have no source")
	}
	schedule, err := newSchedule(algorithms)
	if err != nil {
		return nil, err
	}
	p := &Profile{
		Name: n.Name, Coin: c.Coin, Network: n.Network, Symbol: c.Symbol.Value,
		Decimals: c.Decimals.Value, AtomicUnit: 1,
		NonceBytes: c.NonceBytes.Value, schedule: schedule, form: n.Prefixes.Form,
	}
	if err := p.setBlob(c.Blob); err != nil {
		return nil, err
	}
	if c.BlockSeconds != nil {
		p.BlockTime = time.Duration(c.BlockSeconds.Value) * time.Second
	}
	if c.Maturity != nil {
		p.Maturity = c.Maturity.Value
	}
	for range p.Decimals {
		p.AtomicUnit *= 10
	}
	if c.SeedEpoch != nil {
		p.SeedEpoch = c.SeedEpoch.Value
	}
	if c.SeedLag != nil {
		p.SeedLag = c.SeedLag.Value
	}
	if schedule.needsSeed() && (bits.OnesCount64(p.SeedEpoch) != 1 || p.SeedLag >= p.SeedEpoch) {
		return nil, fmt.Errorf("seed epoch %d, lag %d: an algorithm takes a seed, so the epoch must be a power of two above the lag", p.SeedEpoch, p.SeedLag)
	}
	if p.Prefixes, err = n.Prefixes.list(); err != nil {
		return nil, err
	}
	return p, nil
}

// setBlob sets the blob type. One that is known and not implemented, or not
// known at all, leaves a profile of which the rest is usable.
func (p *Profile) setBlob(name *fact[string]) error {
	if name == nil {
		p.blobErr = errors.New("the type of its block templates is not known")
		return nil
	}
	typ, err := blob.ParseType(name.Value)
	if err != nil && !errors.Is(err, blob.ErrNotImplemented) {
		return err
	}
	p.BlobType, p.blobErr = typ, err
	return nil
}

// check looks for what is missing.
func (c *coinData) check(n networkData) error {
	sources := map[string]string{
		"symbol": c.Symbol.Source, "nonce_bytes": c.NonceBytes.Source,
		"decimals": c.Decimals.Source, "prefixes": n.Prefixes.Source,
	}
	if c.Blob != nil {
		sources["blob"] = c.Blob.Source
	}
	if c.BlockSeconds != nil {
		sources["block_seconds"] = c.BlockSeconds.Source
	}
	if c.Maturity != nil {
		sources["maturity"] = c.Maturity.Source
	}
	if c.SeedEpoch != nil {
		sources["seed_epoch"] = c.SeedEpoch.Source
	}
	if c.SeedLag != nil {
		sources["seed_lag"] = c.SeedLag.Source
	}
	for field, source := range sources {
		if source == "" {
			return fmt.Errorf("%s has no source", field)
		}
	}
	switch {
	case c.Coin == "" || c.Symbol.Value == "" || n.Name == "" || n.Network == "":
		return errors.New("a name is empty")
	case c.Decimals.Value < 0 || c.Decimals.Value > maxDecimals:
		return fmt.Errorf("%d decimals, possible are 0 to %d", c.Decimals.Value, maxDecimals)
	case c.BlockSeconds != nil && c.BlockSeconds.Value <= 0:
		return fmt.Errorf("a block every %d s", c.BlockSeconds.Value)
	case c.Maturity != nil && c.Maturity.Value == 0:
		return errors.New("maturity of 0 blocks")
	case c.NonceBytes.Value != 4 && c.NonceBytes.Value != 8:
		return fmt.Errorf("nonce of %d bytes, possible are 4 and 8", c.NonceBytes.Value)
	}
	return nil
}

// list flattens the prefixes; a number can mean one kind of address only.
func (d prefixData) list() ([]Prefix, error) {
	var list []Prefix
	seen := make(map[uint64]bool)
	for _, group := range []struct {
		kind   Kind
		values []uint64
	}{{Standard, d.Standard}, {Integrated, d.Integrated}, {Subaddress, d.Subaddress}, {Short, d.Short}} {
		for _, v := range group.values {
			if seen[v] {
				return nil, fmt.Errorf("address prefix %d is used twice", v)
			}
			seen[v] = true
			list = append(list, Prefix{Kind: group.kind, Value: v})
		}
	}
	switch {
	case d.Form != formBase58 && d.Form != formQRL:
		return nil, fmt.Errorf("addresses of the unknown form %q", d.Form)
	case d.Form == formQRL && len(list) != 0:
		return nil, fmt.Errorf("addresses of the form %s have no prefixes", d.Form)
	case d.Form == formBase58 && len(d.Standard) == 0:
		return nil, errors.New("no prefix of standard addresses")
	}
	return list, nil
}
