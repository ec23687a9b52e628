package stratum

import (
	"bytes"
	"math"
)

// Credentials are what a login says: who is paid, for which rig, and whether
// the miner wants a difficulty of its own.
type Credentials struct {
	Address    []byte // as it was sent, not checked; a view of the login
	Worker     string // safe, see workerName; never empty
	Difficulty uint64 // 0 = the pool chooses
}

// The faults ParseLogin finds.
const (
	ErrNoAddress  Fault = TextInvalidAddress
	ErrDifficulty Fault = "Invalid difficulty in login: a whole number from 1 must follow the +"
)

// ParseLogin splits a login of the form
//
//	ADDRESS[.worker][+difficulty]   or   ADDRESS[+difficulty][.worker]
//
// Neither sign can be part of a base58 address. The worker's name comes from
// the login, else from rigid, else from the password's part before a colon (an
// e-mail address often follows); "x" is what miners send who have none to give.
// A difficulty that is not a whole number from 1 to 2^64-1 is an error: a miner
// silently put on another difficulty would be a riddle to its owner.
func ParseLogin(login, pass, rigID []byte) (Credentials, error) {
	login = bytes.TrimSpace(login)
	end := bytes.IndexAny(login, ".+")
	if end < 0 {
		end = len(login)
	}
	c := Credentials{Address: login[:end]}
	if len(c.Address) == 0 {
		return c, ErrNoAddress
	}
	worker, difficulty, given := splitRest(login[end:])
	if given {
		n, ok := parseDifficulty(difficulty)
		if !ok {
			return c, ErrDifficulty
		}
		c.Difficulty = n
	}
	pass, _, _ = bytes.Cut(pass, []byte{':'})
	for _, name := range [][]byte{worker, rigID, pass} {
		if name = bytes.TrimSpace(name); len(name) > 0 && !bytes.EqualFold(name, []byte("x")) {
			c.Worker = workerName(name)
			return c, nil
		}
	}
	c.Worker = DefaultWorker
	return c, nil
}

// splitRest splits what follows the address; given tells an empty difficulty
// from none.
func splitRest(rest []byte) (worker, difficulty []byte, given bool) {
	if len(rest) == 0 {
		return nil, nil, false
	}
	first, rest := rest[0], rest[1:]
	if first == '+' {
		difficulty, worker, _ = bytes.Cut(rest, []byte{'.'})
		return worker, difficulty, true
	}
	if plus := bytes.LastIndexByte(rest, '+'); plus >= 0 {
		return rest[:plus], rest[plus+1:], true
	}
	return rest, nil, false
}

// parseDifficulty reads a positive decimal number; signs, fractions, exponents
// and what does not fit in 64 bits are refused.
func parseDifficulty(s []byte) (uint64, bool) {
	if len(s) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, n > 0
}
