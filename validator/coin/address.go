package coin

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"filippo.io/edwards25519"

	"github.com/assay-pool/assay/validator/blob"
)

// What is wrong with an address. Every error of [Profile.ParseAddress] wraps
// exactly one of these.
var (
	ErrBadBase58 = errors.New("not base58")
	ErrBadHex    = errors.New("not hexadecimal")
	ErrLength    = errors.New("wrong length")
	ErrChecksum  = errors.New("wrong checksum, is it mistyped?")
	ErrNetwork   = errors.New("not an address of this coin and network")
	ErrPoint     = errors.New("a key in it is not a point of the curve, so nobody can own it")
)

// Kind is what an address can be used for.
type Kind uint8

// The kinds. An integrated address carries a payment id; a subaddress is one of
// many of the same wallet and cannot be mined to by a daemon, only paid. A short
// one, Ryo's kurz, has one key for both purposes.
const (
	Standard Kind = iota + 1
	Integrated
	Subaddress
	Short
)

// String is the kind in plain words.
func (k Kind) String() string {
	switch k {
	case Standard:
		return "standard"
	case Integrated:
		return "integrated"
	case Subaddress:
		return "subaddress"
	case Short:
		return "short"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

const (
	keyBytes       = 32
	paymentIDBytes = 8
	checksumBytes  = 4
	// maxAddressBytes is the longest payload of any coin, 86: a prefix of ten
	// bytes and a payment id. maxAddressText is that in base58, ten whole
	// blocks and nine digits for six bytes. What is longer is not decoded.
	maxAddressBytes = blob.MaxVarint + 2*keyBytes + paymentIDBytes + checksumBytes
	maxAddressText  = maxAddressBytes/base58Block*base58BlockDigits + 9
)

// Address is a wallet's address that its network accepts. The zero value is no
// address. Addresses may be compared by ==: each has one spelling.
type Address struct {
	Kind      Kind
	Network   string         // name of the profile that parsed it
	Spend     [keyBytes]byte // of a QRL address: the hash of its tree's root
	View      [keyBytes]byte
	PaymentID [paymentIDBytes]byte // of an integrated address
	text      string
}

// String is the address as it was given, and a QRL address in lower case. It is
// the name of the account; see the package's doc.
func (a Address) String() string { return a.text }

// ParseAddress decodes an address and checks all that the coin's daemon would:
// base58, checksum, prefix, length, and that both keys are curve points. s is
// copied where it is kept.
//
//	prefix (varint) ‖ spend key (32) ‖ view key (32) ‖ [payment id (8)] ‖ checksum (4)
//
// A short address has one key; QRL's form is another, see [Profile.parseQRL].
func (p *Profile) ParseAddress(s string) (Address, error) {
	if p.form == formQRL {
		return p.parseQRL(s)
	}
	if len(s) > maxAddressText {
		return Address{}, fmt.Errorf("address of %d characters: %w: none has more than %d", len(s), ErrLength, maxAddressText)
	}
	var space [maxAddressBytes]byte
	data, err := decodeBase58(space[:0], s)
	if err != nil {
		return Address{}, fmt.Errorf("address: %w", err)
	}
	if len(data) < 1+keyBytes+checksumBytes {
		return Address{}, fmt.Errorf("address of %d characters: %w: it is cut short", len(s), ErrLength)
	}
	body, sum := data[:len(data)-checksumBytes], data[len(data)-checksumBytes:]
	if want := blob.Keccak256(body); !bytes.Equal(sum, want[:checksumBytes]) {
		return Address{}, fmt.Errorf("address: %w", ErrChecksum)
	}
	prefix, n, err := blob.ReadVarint(body)
	if err != nil {
		return Address{}, fmt.Errorf("address: %w: its prefix: %v", ErrNetwork, err)
	}
	kind, err := p.kindOf(prefix)
	if err != nil {
		return Address{}, fmt.Errorf("address: %w", err)
	}
	return p.readKeys(kind, body[n:], s)
}

// kindOf tells what a prefix means here; a foreign one is named in the error.
func (p *Profile) kindOf(prefix uint64) (Kind, error) {
	for _, known := range p.Prefixes {
		if known.Value == prefix {
			return known.Kind, nil
		}
	}
	var others []string
	for _, o := range p.owners[prefix] {
		others = append(others, fmt.Sprintf("%s (%s)", o.profile, o.kind))
	}
	if len(others) == 0 {
		return 0, fmt.Errorf("%w: it begins with %d, this is %s", ErrNetwork, prefix, p.Name)
	}
	return 0, fmt.Errorf("%w: it is one of %s, this is %s", ErrNetwork, strings.Join(others, " or "), p.Name)
}

func (p *Profile) readKeys(kind Kind, keys []byte, s string) (Address, error) {
	want := 2 * keyBytes
	switch kind {
	case Integrated:
		want += paymentIDBytes
	case Short:
		want = keyBytes
	}
	if len(keys) != want {
		return Address{}, fmt.Errorf("%s address of %d characters: %w", kind, len(s), ErrLength)
	}
	a := Address{Kind: kind, Network: p.Name}
	copy(a.Spend[:], keys)
	if kind == Short {
		a.View = a.Spend
	} else {
		copy(a.View[:], keys[keyBytes:])
		copy(a.PaymentID[:], keys[2*keyBytes:])
	}
	if !isPoint(a.Spend[:]) {
		return Address{}, fmt.Errorf("address: spend key: %w", ErrPoint)
	}
	if !isPoint(a.View[:]) {
		return Address{}, fmt.Errorf("address: view key: %w", ErrPoint)
	}
	a.text = strings.Clone(s) // s may be a view of a connection's buffer
	return a, nil
}

// isPoint reports whether key is the encoding of a curve point by the rule of
// monerod's check_key (src/crypto/crypto-ops.c: ge_frombytes_vartime): y below
// the field's prime and no negative zero as x, but any order, small ones too.
// The library takes every encoding; only the canonical one comes out again.
func isPoint(key []byte) bool {
	point, err := new(edwards25519.Point).SetBytes(key)
	return err == nil && bytes.Equal(point.Bytes(), key)
}

// EncodeAddress writes an address with the network's first prefix of that kind.
// The payment id counts for integrated addresses only, the view key not for
// short ones. The keys are not checked; a kind the network does not have is an
// error, and QRL, whose addresses are not made of these keys, has none.
func (p *Profile) EncodeAddress(kind Kind, spend, view [keyBytes]byte, paymentID [paymentIDBytes]byte) (string, error) {
	for _, known := range p.Prefixes {
		if known.Kind != kind {
			continue
		}
		data := blob.AppendVarint(make([]byte, 0, maxAddressBytes), known.Value)
		data = append(data, spend[:]...)
		if kind != Short {
			data = append(data, view[:]...)
		}
		if kind == Integrated {
			data = append(data, paymentID[:]...)
		}
		sum := blob.Keccak256(data)
		return string(appendBase58(nil, append(data, sum[:checksumBytes]...))), nil
	}
	return "", fmt.Errorf("%s has no %s addresses", p.Name, kind)
}
