package store

import (
	"crypto/sha1"
	"encoding/hex"
)

// Script is a Lua script and the digest Redis knows it by.
type Script struct{ name, src, sha string }

// NewScript names a script's source; the name is for errors.
func NewScript(name, src string) *Script {
	sum := sha1.Sum([]byte(src)) // Redis identifies scripts by SHA-1; nothing secret depends on it
	return &Script{name: name, src: src, sha: hex.EncodeToString(sum[:])}
}

// Name is the script's name.
func (s *Script) Name() string { return s.name }
