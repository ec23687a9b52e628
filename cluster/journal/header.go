package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	magic   = "ASSAYJNL"
	version = 1
	// maxIdentity is the longest name of a coin or of its wallet, in bytes.
	maxIdentity = 512
	// maxHeader is read of a file to find its header, in bytes.
	maxHeader = 4096

	suffix = ".journal"
	// tempSuffix is a segment's until it is whole.
	tempSuffix = ".journal.new"
)

// header is the first bytes of a segment's file. Numbers are little-endian.
//
//	8  magic            8  base: position of the first record
//	4  version          8  prev: position of the end of the segment before
//	4  length           8  salt
//	16 id               8  time, in milliseconds
//	8  carried bytes    16 sums: hashes, shares of all credits before base
//	4  carried finds    1  flags
//	2+n coin   2+n wallet   4 CRC32C of all before
//
// base above prev is a hole that was intended (see Skip). The segment before may
// have bytes behind prev: they were never durable, and are not records.
type header struct {
	id           [16]byte
	identity     Identity
	base, prev   Position
	salt         uint64
	time         time.Time
	sums         Sums
	uncertain    bool  // sums lack credits that were lost when nobody could say how many
	carry        int   // found blocks behind the header
	carryBytes   int64 // and their bytes
	headerLength int64
}

// data is where the first record is, in bytes from the file's beginning.
func (h *header) data() int64 { return h.headerLength + h.carryBytes }

// delta turns an offset in the file into a position, modulo 2^64.
func (h *header) delta() uint64 { return uint64(h.base) - uint64(h.data()) }

const flagUncertain = 1

// appendHeader is the header's bytes; it sets headerLength.
func appendHeader(dst []byte, h *header) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = append(dst, magic...)
	dst = le.AppendUint32(dst, version)
	dst = le.AppendUint32(dst, 0)
	dst = append(dst, h.id[:]...)
	dst = le.AppendUint64(dst, uint64(h.carryBytes))
	dst = le.AppendUint32(dst, uint32(h.carry))
	for _, v := range [...]uint64{uint64(h.base), uint64(h.prev), h.salt, uint64(h.time.UnixMilli()), h.sums.Hashes, h.sums.Shares} {
		dst = le.AppendUint64(dst, v)
	}
	var flags byte
	if h.uncertain {
		flags |= flagUncertain
	}
	dst = append(dst, flags)
	for _, s := range [...]string{h.identity.Coin, h.identity.Wallet} {
		dst = le.AppendUint16(dst, uint16(len(s)))
		dst = append(dst, s...)
	}
	h.headerLength = int64(len(dst) - start + 4)
	le.PutUint32(dst[start+12:], uint32(h.headerLength))
	return le.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// headerFixed is the bytes of a header without its names and its CRC.
const headerFixed = 8 + 4 + 4 + 16 + 8 + 4 + 6*8 + 1

var errNoHeader = errors.New("it does not begin with the header of a journal segment")

// parseHeader reads the header at the beginning of b. Every error means that the
// file is no segment, or a damaged one, or one of another version.
func parseHeader(b []byte) (header, error) {
	var h header
	le := binary.LittleEndian
	if len(b) < headerFixed+8 || string(b[:8]) != magic {
		return h, errNoHeader
	}
	if v := le.Uint32(b[8:]); v != version {
		return h, fmt.Errorf("it has version %d of the format; this program reads version %d", v, version)
	}
	n := int64(le.Uint32(b[12:]))
	if n < headerFixed+8 || n > int64(len(b)) {
		return h, errors.New("its header is damaged")
	}
	b = b[:n]
	if crc32.Checksum(b[:n-4], castagnoli) != le.Uint32(b[n-4:]) {
		return h, errors.New("its header is damaged")
	}
	h.headerLength = n
	copy(h.id[:], b[16:])
	h.carryBytes = int64(le.Uint64(b[32:]))
	h.carry = int(le.Uint32(b[40:]))
	v := func(i int) uint64 { return le.Uint64(b[44+8*i:]) }
	h.base, h.prev, h.salt = Position(v(0)), Position(v(1)), v(2)
	h.time = time.UnixMilli(int64(v(3))).UTC()
	h.sums = Sums{Hashes: v(4), Shares: v(5)}
	h.uncertain = b[92]&flagUncertain != 0
	rest := b[headerFixed : n-4]
	for _, s := range [...]*string{&h.identity.Coin, &h.identity.Wallet} {
		if len(rest) < 2 || len(rest)-2 < int(le.Uint16(rest)) {
			return h, errors.New("its header is damaged")
		}
		*s = string(rest[2 : 2+le.Uint16(rest)])
		rest = rest[2+le.Uint16(rest):]
	}
	if len(rest) > 0 || h.prev > h.base || h.carryBytes < 0 || h.carryBytes > 1<<40 {
		return h, errors.New("its header is damaged")
	}
	return h, nil
}

// fileName is a segment's name in the journal's folder.
func fileName(base Position) string { return fmt.Sprintf("%020d", uint64(base)) + suffix }

// baseOf reads a segment's name.
func baseOf(name string) (Position, bool) {
	digits, ok := strings.CutSuffix(filepath.Base(name), suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return Position(n), err == nil
}
