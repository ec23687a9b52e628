package blob

import (
	"errors"
	"fmt"
	"strings"
)

// Type is a layout of blocks and hashing blobs. Coins name theirs in their
// profile; the numbers are those of node-cryptoforknote-util, which pools know.
type Type uint8

// The layouts that are implemented. What sets each apart is in layout.go.
const (
	CryptoNote  Type = 0 // Monero and most others
	Forknote1   Type = 1 // BLOC: as CryptoNote
	Ryo         Type = 4
	Loki        Type = 5 // Equilibria too
	MasariUncle Type = 6
	Haven       Type = 11
	Zephyr      Type = 13
	Scala       Type = 14
	Arqma       Type = 16
)

// The layouts that are known by name only; see layout.go for the reasons. The
// last two have no number anywhere, so they have one of ours.
const (
	forknote2 Type = 2
	masariOld Type = 3
	aeonK12   Type = 7
	moneroV   Type = 8
	xtendCash Type = 9
	bitTube   Type = 10
	italo     Type = 12
	salvium   Type = 15
	qrl       Type = 200
	wowneroV2 Type = 201
)

// ErrNotImplemented is wrapped by the refusal of a layout that is known to
// exist and cannot be read here.
var ErrNotImplemented = errors.New("known but not implemented")

// ParseType finds a layout by the name a coin profile gives it. For one that is
// not implemented it returns the layout's Type with an error that wraps
// [ErrNotImplemented] and tells why; [Parse] refuses such a Type as well.
func ParseType(name string) (Type, error) {
	var known []string
	for _, l := range layouts {
		if l.name == name {
			return l.typ, l.unserved()
		}
		if l.refused == "" {
			known = append(known, l.name)
		}
	}
	return 0, fmt.Errorf("unknown blob type %q; known are %s", name, strings.Join(known, ", "))
}

// String is the name of the layout in coin profiles.
func (t Type) String() string {
	if l, ok := layoutOf(t); ok {
		return l.name
	}
	return fmt.Sprintf("blob type %d", uint8(t))
}
