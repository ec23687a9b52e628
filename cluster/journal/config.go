package journal

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Config.
const (
	// DefaultMaxBytes is a day of a pool of 5,000 shares a second without Redis.
	DefaultMaxBytes = 8 << 30
	// DefaultKeep is far longer than a Redis that is set up again from last night's
	// copy has forgotten.
	DefaultKeep = 24 * time.Hour
	// DefaultSegmentBytes: a start reads one segment, in a fraction of a second.
	DefaultSegmentBytes = 64 << 20
	// DefaultMaxWaiting is a second of 150,000 trusted shares, about 100 bytes each.
	DefaultMaxWaiting = 16 << 20
	// DefaultStall is how long a miner waits for a disk that hangs: XMRig closes
	// after 20 s, an honest disk is late by tens of milliseconds.
	DefaultStall = time.Second
	// DefaultMaxOpen bounds the found blocks that are not settled, of some KiB each.
	DefaultMaxOpen = 4096
)

const (
	// MaxName is the longest name of a wallet or worker, in bytes. Names come cut
	// and checked; this is what the format allows.
	MaxName = 1024
	// MaxBlock is the longest block in bytes: a daemon's answer with a template has
	// at most 4 MiB, and the block in it in hexadecimal digits.
	MaxBlock = 4 << 20

	// maxNames bounds what a writer and a reader remember of a segment: the pairs of
	// wallet and worker, and together their bytes. The segment ends then.
	maxNames     = 1 << 16
	maxNameBytes = 16 << 20
	// maxSeeds bounds the seeds a segment has a number for; there is a new one every
	// two days.
	maxSeeds = 256
	// repeatName: every so many credits of a name have the name itself, so that a
	// lost definition costs no more than the credits up to the next.
	repeatName = 256
	// maxOpenBytes bounds the bytes of unsettled blocks, which each segment carries; it
	// is an eighth of MaxBytes at most.
	maxOpenBytes = 64 << 20
	// maxEvents bounds the events that wait for a disk: blocks are minutes apart,
	// vesting is one record a wallet and window.
	maxEvents = 1 << 16
	// retryEvery is the pause between two attempts at a new segment on a failing disk.
	retryEvery = 250 * time.Millisecond
	// lookEvery is the pause between two looks whether the segment is still there.
	lookEvery = time.Second
	// calm is how long a disk must have worked until it is said to work again.
	calm = time.Second
	// keepEvery is the pause between two looks at what is old enough to go.
	keepEvery = 10 * time.Second
	// freeBytes is the room a new segment must find on a disk that was full, in bytes:
	// without it a few free blocks would pass for an end of the trouble.
	freeBytes = 256 << 10
	// parts of MaxBytes that a segment has at most: the last one cannot be deleted.
	parts = 8
)

// Config of a Journal; zero values stand for the defaults above.
type Config struct {
	Dir      string   // <data-dir>/journal/<pool>
	Pool     string   // for metrics and logs
	Identity Identity // a folder of another one is refused

	Sync Sync
	// MaxBytes is what all segments may have together. Beyond it segments that no
	// reader needs go before their time, and if there are none no credit is taken.
	MaxBytes int64
	// Keep is how long a segment is kept that no reader needs any more.
	Keep time.Duration
	// SegmentBytes is about how long a segment gets; at most an eighth of MaxBytes.
	SegmentBytes int64
	MaxWaiting   int // bytes of records that wait for the disk
	Stall        time.Duration
	MaxOpen      int

	FS         *FS // nil = the operating system's
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

func (c *Config) setDefaults() error {
	if c.Dir == "" {
		return errors.New("journal: no folder")
	}
	c.Sync = cmp.Or(c.Sync, DefaultSync)
	c.MaxBytes = cmp.Or(c.MaxBytes, DefaultMaxBytes)
	c.Keep = cmp.Or(c.Keep, DefaultKeep)
	c.SegmentBytes = min(cmp.Or(c.SegmentBytes, DefaultSegmentBytes), c.MaxBytes/parts)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, DefaultMaxWaiting)
	c.Stall = cmp.Or(c.Stall, DefaultStall)
	c.MaxOpen = cmp.Or(c.MaxOpen, DefaultMaxOpen)
	if c.FS == nil {
		c.FS = OS()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("pool", c.Pool)
	if len(c.Identity.Coin) > maxIdentity || len(c.Identity.Wallet) > maxIdentity {
		return fmt.Errorf("journal: the names of coin and wallet have more than %d bytes", maxIdentity)
	}
	return nil
}
