package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A record on disk:
//
//	0        4        8                            8+n
//	┌────────┬────────┬────────────────────────────┐
//	│ n ⊕ m  │ CRC32C │ payload, n ≤ shortRecord   │
//	└────────┴────────┴────────────────────────────┘
//	0        4        8        12                      12+n
//	┌────────┬────────┬────────┬────────────────────────┐
//	│ n ⊕ m  │ CRC32C │ check  │ payload, n > shortRecord│
//	└────────┴────────┴────────┴────────────────────────┘
//
// The mask m and what the CRC begins with are made of the segment's random salt
// and the record's position. So bytes that were a record elsewhere are none here,
// and a miner who puts a record into a name cannot know what one looks like here.
//
// To find the next record behind damage, every byte is tried as the first of one.
// The mask makes the length there a random number: one in 2^20 is short enough to
// be worth a checksum, and a long one must agree with its own check first, which
// is one in 2^42. So the search is linear work whatever the bytes are.
const (
	frameHead     = 8
	longFrameHead = 12
	// shortRecord is the longest payload without a check of its length: more than
	// any credit has.
	shortRecord = 4096
	// maxRecord is the longest payload: a block and all that is said of it.
	maxRecord = MaxBlock + 16*MaxName
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mixed are the mask and the beginning of the CRC, 32 bits each, of a record at a
// position: the finalizer of splitmix64 (Steele, Lea, Flood, "Fast splittable
// pseudorandom number generators", 2014), a bijection for each salt.
func mixed(salt uint64, at Position) uint64 {
	z := salt + uint64(at)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// headOf is the length of the head of a frame with n bytes of payload.
func headOf(n uint32) int {
	if n > shortRecord {
		return longFrameHead
	}
	return frameHead
}

// lengthAt is what the first four bytes of a frame say.
func lengthAt(mix uint64, b []byte) uint32 { return binary.LittleEndian.Uint32(b) ^ uint32(mix) }

// sumBegin is the CRC before the payload's first byte.
func sumBegin(mix uint64, n uint32) uint32 { return uint32(mix>>32) ^ n }

// lengthCheck is a long frame's check.
func lengthCheck(mix uint64, n uint32) uint32 { return uint32(mixed(mix, Position(n))) }

// beginFrame makes room for a frame's head; endFrame writes it.
func beginFrame(dst []byte) (_ []byte, start int) {
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0), len(dst)
}

// endFrame completes the frame that begins at start and is at a position. The
// payload is all that was appended since; a long one is moved by four bytes.
func endFrame(dst []byte, start int, salt uint64, at Position) []byte {
	n := uint32(len(dst) - start - frameHead)
	mix := mixed(salt, at)
	if n > shortRecord {
		dst = append(dst, 0, 0, 0, 0)
		copy(dst[start+longFrameHead:], dst[start+frameHead:])
		binary.LittleEndian.PutUint32(dst[start+frameHead:], lengthCheck(mix, n))
	}
	binary.LittleEndian.PutUint32(dst[start:], n^uint32(mix))
	sum := crc32.Update(sumBegin(mix, n), castagnoli, dst[start+headOf(n):])
	binary.LittleEndian.PutUint32(dst[start+4:], sum)
	return dst
}
