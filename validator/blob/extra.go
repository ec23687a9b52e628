package blob

import "fmt"

// Fields of a miner tx's extra. Their order is free, all but the padding may
// come more than once, and the daemon writes a public key and then the nonce.
const (
	extraPadding     = 0x00 // zeros up to the end
	extraPublicKey   = 0x01 // key, 32 bytes
	extraNonce       = 0x02 // length of at most 255, bytes
	extraMergeMining = 0x03 // length, depth and root
	extraMoreKeys    = 0x04 // count, keys of 32 bytes
	extraWinner      = 0x72 // key, 32 bytes: the service node that is paid; Loki's kin only
	extraMinergate   = 0xDE // length, bytes
)

// findReserve reads extra, the bytes just before the cursor, to its end and
// returns the place of its extra nonce in the template; size 0 when there is
// none. A field nobody knows is an error, because where it ends is a guess; so
// is a second nonce, because which one the daemon means is another. winner tells
// whether the layout has the field of that name.
func findReserve(outer *cursor, extra []byte, winner bool) span {
	if outer.err != nil {
		return span{}
	}
	start := outer.pos - len(extra)
	c := &cursor{buf: outer.buf[:outer.pos], pos: start}
	var found span
	nonces := 0
	for c.err == nil && c.left() > 0 {
		switch tag := c.byte("extra"); {
		case tag == extraPadding:
			for _, b := range c.bytes("extra padding", c.left()) {
				if b != 0 {
					c.fail("extra padding", fmt.Errorf("byte %#02x: %w", b, ErrRule))
				}
			}
		case tag == extraPublicKey:
			c.bytes("extra public key", 32)
		case winner && tag == extraWinner:
			c.bytes("extra service node", 32)
		case tag == extraNonce:
			size := int(c.varint("extra nonce length", MaxReserve))
			found = span{at: c.pos, size: size}
			c.bytes("extra nonce", size)
			nonces++
		case tag == extraMergeMining || tag == extraMinergate:
			c.bytes("extra field", int(c.varint("extra field length", MaxExtra)))
		case tag == extraMoreKeys:
			c.bytes("extra keys", 32*int(c.varint("extra key count", MaxExtra/32)))
		default:
			c.fail("extra", fmt.Errorf("field of type %#02x: %w", tag, ErrRule))
		}
	}
	if nonces > 1 {
		c.fail("extra", fmt.Errorf("%d nonce fields: %w", nonces, ErrReserve))
	}
	if c.err != nil {
		outer.err = c.err
		return span{}
	}
	return found
}
