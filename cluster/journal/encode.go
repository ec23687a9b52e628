package journal

import (
	"encoding/binary"
	"time"
)

// A credit's payload, with u for an unsigned varint and z for a zigzag one:
//
//	1   kind, and the flags below
//	u   number of the pair, but not with flagAlone
//	u,n u,n  wallet and worker, with flagName or flagAlone
//	u   difficulty
//	z   time, in milliseconds since the segment's header
//	…   work, with flagWork (work.go)
//
// All others begin with their kind; strings and bytes have their length before
// them, a time is z seconds and u nanoseconds.
const (
	kindMask  = 0x07
	flagName  = 0x08 // the credit defines its pair's number
	flagAlone = 0x10 // the credit has its pair and no number
	flagWork  = 0x20 // the credit was not verified
)

// appendCredit appends a credit's payload. began is the segment's time.
func appendCredit(dst []byte, c *Credit, began int64, pairs *book[pair], seeds *book[[32]byte]) []byte {
	head := byte(KindCredit)
	name := pair{wallet: c.Wallet, worker: c.Worker}
	id, define, numbered := pairs.number(name, name.bytes(), ownPair)
	switch {
	case !numbered:
		head |= flagAlone
	case define:
		head |= flagName
	}
	if c.Work != nil {
		head |= flagWork
	}
	dst = append(dst, head)
	if numbered {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	if define {
		dst = appendString(dst, c.Wallet)
		dst = appendString(dst, c.Worker)
	}
	dst = binary.AppendUvarint(dst, c.Difficulty)
	dst = binary.AppendVarint(dst, c.Time.UnixMilli()-began)
	if c.Work != nil {
		dst = appendWork(dst, c.Work, seeds)
	}
	return dst
}

func appendString[S string | []byte](dst []byte, s S) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendName is appendString of a text that is cut at MaxName: an event is never
// refused for what a daemon has said.
func appendName(dst []byte, s string) []byte { return appendString(dst, s[:min(len(s), MaxName)]) }

func appendTime(dst []byte, t time.Time) []byte {
	dst = binary.AppendVarint(dst, t.Unix())
	return binary.AppendUvarint(dst, uint64(t.Nanosecond()))
}

func appendBlock(dst []byte, b *Block) []byte {
	dst = append(dst, b.ID[:]...)
	dst = binary.AppendUvarint(dst, b.Height)
	dst = appendName(dst, b.Difficulty)
	dst = binary.AppendUvarint(dst, b.Reward)
	dst = appendName(dst, b.Wallet)
	dst = appendName(dst, b.Worker)
	dst = appendName(dst, b.Node)
	return appendTime(dst, b.Time)
}

func appendFound(dst []byte, f *Found) []byte {
	dst = append(dst, byte(KindFound))
	dst = appendBlock(dst, &f.Block)
	return appendString(dst, f.Bytes)
}

func appendSettled(dst []byte, s *Settled) []byte {
	dst = append(dst, byte(KindSettled))
	dst = appendBlock(dst, &s.Block)
	var accepted byte
	if s.Accepted {
		accepted = 1
	}
	dst = append(dst, accepted)
	dst = appendName(dst, s.Daemon)
	dst = appendName(dst, s.Reason)
	return appendTime(dst, s.At)
}

func appendClawBack(dst []byte, c *ClawBack) []byte {
	dst = append(dst, byte(KindClawBack))
	dst = appendName(dst, c.Wallet)
	dst = appendName(dst, c.Reason)
	return appendTime(dst, c.At)
}

func appendVest(dst []byte, v *Vest) []byte {
	dst = append(dst, byte(KindVest))
	dst = appendName(dst, v.Wallet)
	dst = binary.AppendUvarint(dst, v.Hashes)
	dst = binary.AppendUvarint(dst, uint64(v.Until))
	return appendTime(dst, v.At)
}
