package blob

import "fmt"

// Type is a layout of blocks and hashing blobs. Coins name theirs in their
// profile; the numbers are those of node-cryptoforknote-util, which pools know.
type Type uint8

// CryptoNote is Monero's layout: blob type 0.
const CryptoNote Type = 0

// ParseType finds a layout by the name a coin profile gives it.
func ParseType(name string) (Type, error) {
	if name == CryptoNote.String() {
		return CryptoNote, nil
	}
	return 0, fmt.Errorf("unknown blob type %q; known is %q", name, CryptoNote)
}

// String is the name of the layout in coin profiles.
func (t Type) String() string {
	if t == CryptoNote {
		return "cryptonote"
	}
	return fmt.Sprintf("blob type %d", uint8(t))
}
