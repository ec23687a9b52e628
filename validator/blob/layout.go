package blob

import "fmt"

// layout is what sets one blob type apart from CryptoNote's: bytes in the
// header behind the nonce, another form of miner tx, another way to its id.
//
//	┌────────┬──────────┬──────────┬───────┬────────┬─────────┐
//	│ header │ behind   │ miner tx │ count │ tx ids │ [uncle] │  block
//	└────────┴──────────┴──────────┴───────┴────────┴─────────┘
//	┌────────┬──────────┬──────────┬─────────┬─────────┐
//	│ header │ behind   │ root     │ count+1 │ [uncle] │         hashing blob
//	└────────┴──────────┴──────────┴─────────┴─────────┘
//
// A layout is read for the block and tx versions of which there is a public
// block to hold the result against, and for no other: a coin that changes its
// format changes one of the two. Source of the formats: the serialisation in
// MoneroOcean's node-cryptoforknote-util (src/cryptonote_basic/
// cryptonote_basic.h), its tests the examples.
type layout struct {
	typ     Type
	name    string
	refused string // why it is not implemented; empty when it is

	majors   span64   // block versions
	versions span64   // of the miner tx
	behind   int      // bytes behind the nonce: price record, signature
	times    prelude  // what stands between version and unlock time
	noUnlock bool     // the unlock time stands in the outputs instead
	outputs  outputs  // form of an output
	winner   bool     // extra may name a service node
	trailing trailing // what stands behind extra, inside the hashed prefix
	id       txID
	domain   string // hashed before the prefix
	uncle    bool   // 32 bytes at the end of block and hashing blob
}

// span64 is a closed interval.
type span64 struct{ min, max uint64 }

func (s span64) has(v uint64) bool { return v >= s.min && v <= s.max }

func (s span64) String() string {
	if s.min == s.max {
		return fmt.Sprint(s.min)
	}
	return fmt.Sprintf("%d to %d", s.min, s.max)
}

// prelude is what follows the tx version of some layouts.
type prelude uint8

const (
	noPrelude   prelude = iota
	unlockTimes         // count, a varint for each output
	typeAndTimes
)

// outputs is the form of an output behind its amount.
type outputs uint8

const (
	plainOutputs  outputs = iota // 02 key, or 03 key tag
	havenOutputs                 // 07 key asset unlock flag flag tag
	zephyrOutputs                // 02 key asset tag
)

// trailing is what follows extra.
type trailing uint8

const (
	noTrailing   trailing = iota
	trailingType          // one varint, 0 for a miner tx
	priceFields           // three varints: price record height, burnt, minted
)

// txID is how the id of a miner tx comes about.
type txID uint8

const (
	idByVersion txID = iota // H(tx) for version 1, three parts from version 2
	idThreeParts
)

var anyVersion = span64{0, 255}

// layouts is every blob type that has a name. Immutable.
var layouts = [...]layout{
	{typ: CryptoNote, name: "cryptonote", majors: anyVersion, versions: span64{txV1, txV2}},
	{typ: Forknote1, name: "forknote1", majors: anyVersion, versions: span64{txV1, txV1}},
	{typ: forknote2, name: "forknote2", refused: "miners hash a parent block built around the template, and the id of the block is not the hash of what they hashed"},
	{typ: masariOld, name: "masari-old", refused: "Masari's format before uncles, of which there is no example to test against"},
	{typ: Ryo, name: "ryo", majors: span64{9, 9}, versions: span64{3, 3}, id: idThreeParts, domain: "ryo-currency"},
	{typ: Loki, name: "loki", majors: anyVersion, versions: span64{4, 4}, times: unlockTimes, winner: true, trailing: trailingType, id: idThreeParts},
	{typ: MasariUncle, name: "masari", majors: span64{8, 8}, versions: span64{txV1, txV1}, id: idThreeParts, uncle: true},
	{typ: aeonK12, name: "aeon", refused: "a nonce of eight bytes and KangarooTwelve"},
	{typ: moneroV, name: "monerov", refused: cuckaroo},
	{typ: xtendCash, name: "xtendcash", refused: cuckaroo},
	{typ: bitTube, name: "bittube", refused: cuckaroo},
	{typ: Haven, name: "haven", majors: span64{23, 23}, versions: span64{8, 8}, behind: 200, noUnlock: true,
		outputs: havenOutputs, trailing: priceFields, id: idThreeParts},
	{typ: italo, name: "italo", refused: cuckaroo},
	{typ: Zephyr, name: "zephyr", majors: span64{4, 5}, versions: span64{3, 3}, behind: 9*8 + 64,
		outputs: zephyrOutputs, trailing: priceFields, id: idThreeParts},
	{typ: Scala, name: "scala", majors: span64{13, 255}, versions: span64{txV2, txV2}, behind: 64},
	{typ: salvium, name: "salvium", refused: "a second miner tx and outputs of their own kind, whose newest form has no tested example"},
	{typ: Arqma, name: "arqma", majors: anyVersion, versions: span64{3, 3}, times: typeAndTimes, winner: true, id: idThreeParts},
	{typ: qrl, name: "qrl", refused: "76 bytes with a nonce in big endian and 8 reserved bytes, and jobs here need 12"},
	{typ: wowneroV2, name: "wownero", refused: "a block is signed with the miner's spend key, which a pool does not have"},
}

const cuckaroo = "proof of work by cycles in a graph, which is not hashed here"

func layoutOf(t Type) (*layout, bool) {
	for i := range layouts {
		if layouts[i].typ == t {
			return &layouts[i], true
		}
	}
	return nil, false
}

// unserved is the error of a layout that is not implemented, nil for the others.
func (l *layout) unserved() error {
	if l.refused == "" {
		return nil
	}
	return fmt.Errorf("blob type %q (%d) is %w: %s", l.name, l.typ, ErrNotImplemented, l.refused)
}

// threeParts reports whether the id of a tx of this version is the hash of
// three hashes, of which the signatures are the second.
func (l *layout) threeParts(version uint64) bool {
	return l.id == idThreeParts || version >= txV2
}
