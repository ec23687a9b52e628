package store

import (
	"crypto/sha1"
	"encoding/hex"
)

// Script is a Lua script and the digest Redis knows it by.
type Script struct {
	name, src, sha string
	writes         bool // a run without an error has written
}

// NewScript names a script's source; the name is for errors.
func NewScript(name, src string) *Script {
	sum := sha1.Sum([]byte(src)) // Redis identifies scripts by SHA-1; nothing secret depends on it
	return &Script{name: name, src: src, sha: hex.EncodeToString(sum[:])}
}

// NewWriteScript is NewScript for one that writes whenever it has no error to
// report, so that its success shows that Redis takes writes.
func NewWriteScript(name, src string) *Script {
	s := NewScript(name, src)
	s.writes = true
	return s
}

// Name is the script's name.
func (s *Script) Name() string { return s.name }
