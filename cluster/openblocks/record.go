package openblocks

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Record is all that is needed to settle a block later, and to submit it again.
type Record struct {
	ID             [32]byte
	Height         uint64
	Difficulty     string // of the network, decimal
	Reward         uint64 // atomic units
	Wallet, Worker string // the finder
	Time           time.Time
	Block          []byte // as a daemon takes it
}

// line is a Record in a file.
type line struct {
	ID         string    `json:"id"`
	Height     uint64    `json:"height"`
	Difficulty string    `json:"difficulty"`
	Reward     uint64    `json:"reward"`
	Wallet     string    `json:"wallet"`
	Worker     string    `json:"worker"`
	Time       time.Time `json:"time"`
	Block      string    `json:"block"`
}

// envelope is a file: the record's bytes and their checksum, because a flipped
// bit in a wallet or a height still is good JSON.
type envelope struct {
	CRC    uint32          `json:"crc32c"`
	Record json.RawMessage `json:"record"`
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func encode(r *Record) ([]byte, error) {
	raw, err := json.Marshal(line{
		ID: hex.EncodeToString(r.ID[:]), Height: r.Height, Difficulty: r.Difficulty, Reward: r.Reward,
		Wallet: r.Wallet, Worker: r.Worker, Time: r.Time, Block: hex.EncodeToString(r.Block),
	})
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(envelope{CRC: checksum(raw), Record: raw})
	return append(data, '\n'), err
}

// decode reads a file's content. Every error means that it is damaged.
func decode(data []byte) (Record, error) {
	var e envelope
	var l line
	var r Record
	if err := json.Unmarshal(data, &e); err != nil {
		return r, err
	}
	if sum := checksum(e.Record); sum != e.CRC {
		return r, fmt.Errorf("its checksum is %d, the file says %d", sum, e.CRC)
	}
	if err := json.Unmarshal(e.Record, &l); err != nil {
		return r, err
	}
	id, err := hex.DecodeString(l.ID)
	if err != nil || len(id) != len(r.ID) {
		return r, fmt.Errorf("its id is %q, not 64 hex digits", l.ID)
	}
	block, err := hex.DecodeString(l.Block)
	if err != nil {
		return r, fmt.Errorf("its block: %w", err)
	}
	if len(block) == 0 {
		return r, errors.New("it has no block")
	}
	return Record{
		ID: [32]byte(id), Height: l.Height, Difficulty: l.Difficulty, Reward: l.Reward,
		Wallet: l.Wallet, Worker: l.Worker, Time: l.Time, Block: block,
	}, nil
}
