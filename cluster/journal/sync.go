package journal

import (
	"fmt"
	"time"
)

// Sync is when a credit becomes durable: the time between two commits under load.
// The first credit after a pause is committed at once. Its text is a duration,
// "always" or "off".
type Sync time.Duration

const (
	// DefaultSync: a commit costs a disk about as much whatever it carries. 200 a
	// second are little for any disk, and 5 ms nothing to a miner.
	DefaultSync = Sync(5 * time.Millisecond)
	// SyncAlways commits as soon as something waits and the last commit is over.
	SyncAlways Sync = -1
	// SyncOff writes without waiting for the disk: a dead process loses nothing, a
	// dead machine some seconds.
	SyncOff Sync = -2

	// maxSync keeps an answer well within the 5 s a miner may wait.
	maxSync = Sync(time.Second)
)

// ParseSync reads a Sync's text. A duration is 0 (DefaultSync) to 1s.
func ParseSync(text string) (Sync, error) {
	switch text {
	case "always":
		return SyncAlways, nil
	case "off":
		return SyncOff, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || Sync(d) > maxSync {
		return 0, fmt.Errorf("%q is not a duration from 0 to %v, nor always, nor off", text, time.Duration(maxSync))
	}
	return Sync(d), nil
}

// String is the text that ParseSync reads.
func (s Sync) String() string {
	switch {
	case s == SyncAlways:
		return "always"
	case s < 0:
		return "off"
	}
	return time.Duration(s).String()
}

// Set is flag.Value's.
func (s *Sync) Set(text string) error {
	v, err := ParseSync(text)
	if err == nil {
		*s = v
	}
	return err
}

// UnmarshalText is encoding.TextUnmarshaler's.
func (s *Sync) UnmarshalText(text []byte) error { return s.Set(string(text)) }

// MarshalText is encoding.TextMarshaler's.
func (s Sync) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// pause is the time between the beginnings of two commits.
func (s Sync) pause() time.Duration { return max(0, time.Duration(s)) }
