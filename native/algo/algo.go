// Package algo names the proof-of-work algorithms Assay knows.
//
//	coin profile ──ID──▶ job ──"algo" on the wire──▶ miner
//	                      └──ID──▶ verify batch ──▶ native/randomx or native/cryptonight
//
// The names are XMRig's, because they travel in every job; its aliases are
// understood wherever an operator writes a name.
package algo

import (
	"fmt"
	"strings"
)

// ID is a proof-of-work algorithm. The zero value is no algorithm.
type ID uint8

// The algorithms, in the order of the CryptoNight and RandomX specifications.
const (
	Unknown ID = iota
	CN0
	CN1
	CNXTL
	CNRTO
	CNFast
	CNXAO
	CN2
	CNHalf
	CNZLS
	CNDouble
	CNRWZ
	CNR
	CNWOW
	CNCCX
	CNGPU
	CNLite0
	CNLite1
	CNHeavy0
	CNHeavyXHV
	CNHeavyTube
	CNPico
	CNPicoTLO
	CNUPX2
	RX0
	RX2
	count
)

// Family is the code an algorithm runs on.
type Family uint8

// The families.
const (
	NoFamily Family = iota
	CryptoNight
	RandomX
)

// names are the canonical names: what a job's "algo" field carries.
var names = [count]string{
	Unknown: "unknown",
	CN0:     "cn/0", CN1: "cn/1", CNXTL: "cn/xtl", CNRTO: "cn/rto", CNFast: "cn/fast", CNXAO: "cn/xao",
	CN2: "cn/2", CNHalf: "cn/half", CNZLS: "cn/zls", CNDouble: "cn/double", CNRWZ: "cn/rwz",
	CNR: "cn/r", CNWOW: "cn/wow", CNCCX: "cn/ccx", CNGPU: "cn/gpu",
	CNLite0: "cn-lite/0", CNLite1: "cn-lite/1",
	CNHeavy0: "cn-heavy/0", CNHeavyXHV: "cn-heavy/xhv", CNHeavyTube: "cn-heavy/tube",
	CNPico: "cn-pico", CNPicoTLO: "cn-pico/tlo", CNUPX2: "cn/upx2",
	RX0: "rx/0", RX2: "rx/2",
}

// aliases are the other names XMRig and older pools use for the same thing.
var aliases = map[string]ID{
	"cn": CN0, "cryptonight": CN0, "cryptonight/0": CN0,
	"cryptonight/1": CN1, "cryptonight_v7": CN1, "cryptonight-monerov7": CN1,
	"cryptonight/2": CN2, "cryptonight_v8": CN2, "cryptonight-monerov8": CN2,
	"cryptonight/r": CNR, "cryptonight_r": CNR,
	"cryptonight/xtl": CNXTL, "cryptonight/rto": CNRTO,
	"cn/msr": CNFast, "cryptonight/msr": CNFast, "cryptonight/fast": CNFast,
	"cryptonight_alloy": CNXAO, "cryptonight/xao": CNXAO,
	"cryptonight/half": CNHalf, "cryptonight/zls": CNZLS, "cryptonight/double": CNDouble, "cryptonight/rwz": CNRWZ,
	"cryptonight/wow": CNWOW, "cn/conceal": CNCCX, "cryptonight/ccx": CNCCX, "cryptonight/gpu": CNGPU,
	"cn-lite": CNLite0, "cn-light": CNLite0, "cryptonight-lite": CNLite0, "cryptonight_lite": CNLite0,
	"cryptonight_lite_v7": CNLite1, "cryptonight-aeonv7": CNLite1,
	"cn-heavy": CNHeavy0, "cryptonight-heavy": CNHeavy0, "cryptonight_heavy": CNHeavy0,
	"cryptonight_haven": CNHeavyXHV, "cryptonight-bittube2": CNHeavyTube,
	"cn-trtl": CNPico, "cn-pico/trtl": CNPico, "cn_turtle": CNPico, "cryptonight-turtle": CNPico,
	"cryptonight_turtle": CNPico, "cn-ultralite": CNPico,
	"cn-talleo": CNPicoTLO, "cn/ultra": CNPicoTLO,
	"cn-extremelite/upx2": CNUPX2,
	"rx":                  RX0, "randomx": RX0, "randomx/0": RX0, "rx/test": RX0,
	"rx/v2": RX2, "randomx/v2": RX2,
}

// Parse finds an algorithm by its canonical name or an alias, in any case.
func Parse(name string) (ID, error) {
	if id, ok := Lookup(name); ok {
		return id, nil
	}
	return Unknown, fmt.Errorf("unknown algorithm %q; known are %s", name, strings.Join(names[1:], ", "))
}

// Lookup is [Parse] for names that may well be unknown, like those a miner
// lists: it makes no error text.
func Lookup(name string) (ID, bool) {
	lower := strings.ToLower(strings.TrimSpace(name))
	for id := Unknown + 1; id < count; id++ {
		if names[id] == lower {
			return id, true
		}
	}
	id, ok := aliases[lower]
	return id, ok
}

// All lists every algorithm in its canonical order.
func All() []ID {
	ids := make([]ID, 0, count-1)
	for id := Unknown + 1; id < count; id++ {
		ids = append(ids, id)
	}
	return ids
}

// String is the canonical name, as a job's "algo" field carries it.
func (id ID) String() string {
	if id < count {
		return names[id]
	}
	return names[Unknown]
}

// Family tells which native package hashes the algorithm.
func (id ID) Family() Family {
	switch {
	case id == RX0 || id == RX2:
		return RandomX
	case id > Unknown && id < RX0:
		return CryptoNight
	default:
		return NoFamily
	}
}

// NeedsSeed reports whether a hash depends on a 32-byte seed (RandomX's key).
func (id ID) NeedsSeed() bool { return id.Family() == RandomX }

// NeedsHeight reports whether a hash depends on the block height (CN/R's program).
func (id ID) NeedsHeight() bool { return id == CNR || id == CNWOW }
