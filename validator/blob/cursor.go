package blob

import (
	"errors"
	"fmt"
)

// What is wrong with a template, beside a bad varint.
var (
	ErrTruncated = errors.New("cut off")
	ErrTrailing  = errors.New("bytes left over")
	ErrLimit     = errors.New("above the limit")
	ErrRule      = errors.New("against the rules of the format")
	ErrReserve   = errors.New("no usable extra nonce")
)

// cursor reads a template front to back. The first error stays; what is read
// after it is zero, so that a parser checks once where it must branch.
type cursor struct {
	buf []byte
	pos int
	err error
}

// fail keeps the first error, with the offset it stands at.
func (c *cursor) fail(what string, err error) {
	if c.err == nil {
		c.err = fmt.Errorf("%s at byte %d: %w", what, c.pos, err)
	}
}

func (c *cursor) left() int { return len(c.buf) - c.pos }

// varint reads a number that must not be above limit.
func (c *cursor) varint(what string, limit uint64) uint64 {
	if c.err != nil {
		return 0
	}
	v, size, err := ReadVarint(c.buf[c.pos:])
	switch {
	case err != nil:
		c.fail(what, err)
		return 0
	case v > limit:
		c.fail(what, fmt.Errorf("%d is %w of %d", v, ErrLimit, limit))
		return 0
	}
	c.pos += size
	return v
}

// bytes reads n bytes, which stay the template's own; nil after an error.
func (c *cursor) bytes(what string, n int) []byte {
	if c.err != nil {
		return nil
	}
	if n > c.left() {
		c.fail(what, fmt.Errorf("%w: %d bytes wanted, %d there", ErrTruncated, n, c.left()))
		return nil
	}
	b := c.buf[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return b
}

func (c *cursor) byte(what string) byte {
	if b := c.bytes(what, 1); b != nil {
		return b[0]
	}
	return 0
}
