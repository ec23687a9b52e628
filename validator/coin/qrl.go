package coin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Forms of address.
const (
	formBase58 = ""
	formQRL    = "qrl"
)

// A QRL address is a letter and 39 bytes in hexadecimal:
//
//	Q ‖ descriptor (3) ‖ hash (32) ‖ checksum (4)
//
//	descriptor  ┌ scheme:4 │ hash:4 ┐┌ form:4 │ height/2:4 ┐┌ 0 ┐
//
// The checksum is the end of the SHA-256 of what stands before it. Scheme 0 is
// XMSS, the hash is SHA2-256, SHAKE-128 or SHAKE-256, and form 0 is the only one.
const (
	qrlLetter       = 'Q'
	qrlDescriptor   = 3
	qrlAddressBytes = qrlDescriptor + keyBytes + checksumBytes
	qrlAddressText  = 1 + 2*qrlAddressBytes
	qrlHashes       = 3
)

// parseQRL checks what QRL's own tools do. Either case of the digits is taken
// and lower case kept, so that a wallet has one name; the letter is a capital.
func (p *Profile) parseQRL(s string) (Address, error) {
	if s != "" && s[0] != qrlLetter { // first, because it is what a wrong coin shows in
		return Address{}, fmt.Errorf("address: %w: it begins with %q, those of %s with %q", ErrNetwork, s[0], p.Name, qrlLetter)
	}
	if len(s) != qrlAddressText {
		return Address{}, fmt.Errorf("address of %d characters: %w: those of %s have %d", len(s), ErrLength, p.Name, qrlAddressText)
	}
	var data [qrlAddressBytes]byte
	if _, err := hex.Decode(data[:], []byte(s[1:])); err != nil {
		return Address{}, fmt.Errorf("address: %w: %v", ErrBadHex, err)
	}
	body, sum := data[:qrlDescriptor+keyBytes], data[qrlDescriptor+keyBytes:]
	if want := sha256.Sum256(body); !bytes.Equal(sum, want[len(want)-checksumBytes:]) {
		return Address{}, fmt.Errorf("address: %w", ErrChecksum)
	}
	switch scheme, hash, form := body[0]>>4, body[0]&15, body[1]>>4; {
	case scheme != 0:
		return Address{}, fmt.Errorf("address: %w: signature scheme %d, and only an XMSS address can be mined to", ErrNetwork, scheme)
	case hash >= qrlHashes:
		return Address{}, fmt.Errorf("address: %w: hash function %d", ErrNetwork, hash)
	case form != 0:
		return Address{}, fmt.Errorf("address: %w: address form %d", ErrNetwork, form)
	}
	a := Address{Kind: Standard, Network: p.Name, text: s[:1] + strings.ToLower(s[1:])}
	copy(a.Spend[:], body[qrlDescriptor:])
	return a, nil
}
