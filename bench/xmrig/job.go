package xmrig

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/assay-pool/assay/native/algo"
)

// Sizes of a job as XMRig knows them.
const (
	// NonceOffset is where the nonce stands in a hashing blob, 4 bytes LE.
	NonceOffset = 39
	// MinBlobBytes is a blob that just holds its nonce.
	MinBlobBytes = NonceOffset + 4
	// MaxBlobBytes is the largest blob: XMRig's buffer has 408 and wants one free.
	MaxBlobBytes = 407
)

// Job is a job as XMRig understands it. Immutable.
type Job struct {
	ID        string
	Blob      []byte
	Algo      algo.ID
	Height    uint64
	Seed      [32]byte // zero unless Algo.NeedsSeed
	NextSeed  [32]byte // zero if none
	TargetHex string   // as sent
	Target    uint64   // as XMRig expands it: a hash meets it if its last 8 bytes, LE, are below
	NiceHash  bool     // only the lower 3 bytes of the nonce may change
}

// Meets reports whether XMRig would submit a hash for the job.
func (j *Job) Meets(hash []byte) bool {
	return binary.LittleEndian.Uint64(hash[24:32]) < j.Target
}

// Difficulty is what XMRig displays: floor((2^64-1) / target). It equals the
// pool's own number when the target has 16 digits, or 8 and is small enough.
func (j *Job) Difficulty() uint64 { return math.MaxUint64 / j.Target }

// Same reports whether XMRig takes two jobs of one session for one.
func (j *Job) Same(other *Job) bool {
	return j.ID == other.ID && j.Target == other.Target && bytes.Equal(j.Blob, other.Blob)
}

// ExpandTarget is XMRig's reading of a target: 8 hex digits t, little-endian,
// are (2^64-1) / ((2^32-1) / t), both divisions floored; 16 are taken as they
// are.
func ExpandTarget(digits string) (uint64, error) {
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return 0, broken(RuleTarget, "%q is not hex", digits)
	}
	switch len(raw) {
	case 4:
		if t := uint64(binary.LittleEndian.Uint32(raw)); t != 0 {
			return math.MaxUint64 / (math.MaxUint32 / t), nil
		}
	case 8:
		if t := binary.LittleEndian.Uint64(raw); t != 0 {
			return t, nil
		}
	default:
		return 0, broken(RuleTarget, "%q has %d digits, not 8 or 16", digits, len(digits))
	}
	return 0, broken(RuleTarget, "%q is zero", digits)
}

// ParseJob reads a job in XMRig's order of checks. algos are those the miner
// listed at login; nicehash tells that the pool offered the extension. The
// error is a [*Violation].
func ParseJob(raw json.RawMessage, algos []algo.ID, nicehash bool) (*Job, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil, broken(RuleJobObject, "%.60s", raw)
	}
	job := &Job{NiceHash: nicehash}
	var ok bool
	var err error
	if job.ID, ok = text(fields["job_id"]); !ok || job.ID == "" {
		return nil, broken(RuleJobID, "job_id %s", show(fields["job_id"]))
	}
	if err := job.setBlob(fields["blob"]); err != nil {
		return nil, err
	}
	if job.TargetHex, ok = text(fields["target"]); !ok {
		return nil, broken(RuleTarget, "target %s", show(fields["target"]))
	}
	if job.Target, err = ExpandTarget(job.TargetHex); err != nil {
		return nil, err
	}
	name, _ := text(fields["algo"])
	if job.Algo, err = algo.Parse(name); err != nil || !slices.Contains(algos, job.Algo) {
		return nil, broken(RuleAlgo, "algo %s was not listed at login", show(fields["algo"]))
	}
	if job.Height, err = strconv.ParseUint(string(fields["height"]), 10, 64); err != nil {
		return nil, broken(RuleHeight, "height %s", show(fields["height"]))
	}
	if job.Algo.NeedsSeed() && !seed(fields["seed_hash"], &job.Seed) {
		return nil, broken(RuleSeedHash, "seed_hash %s", show(fields["seed_hash"]))
	}
	if next, _ := text(fields["next_seed_hash"]); fields["next_seed_hash"] != nil && string(fields["next_seed_hash"]) != `""` &&
		!seed(fields["next_seed_hash"], &job.NextSeed) {
		return nil, broken(RuleNextSeed, "next_seed_hash %q", next)
	}
	return job, nil
}

// setBlob also finds the implicit NiceHash mode.
func (j *Job) setBlob(raw json.RawMessage) error {
	digits, ok := text(raw)
	if !ok {
		return broken(RuleBlob, "blob %s", show(raw))
	}
	blob, err := hex.DecodeString(digits)
	if err != nil {
		return broken(RuleBlob, "%d digits: %v", len(digits), err)
	}
	if len(blob) < MinBlobBytes || len(blob) > MaxBlobBytes {
		return broken(RuleBlob, "%d bytes, not %d to %d", len(blob), MinBlobBytes, MaxBlobBytes)
	}
	if nonce := binary.LittleEndian.Uint32(blob[NonceOffset:]); nonce != 0 && !j.NiceHash {
		return broken(RuleNiceHash, "nonce %08x in the blob, and no nicehash extension", nonce)
	}
	j.Blob = blob
	return nil
}

// text is a JSON string's content; anything else is not ok.
func text(raw json.RawMessage) (string, bool) {
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// seed fills dst from exactly 64 hex digits.
func seed(raw json.RawMessage, dst *[32]byte) bool {
	digits, ok := text(raw)
	if !ok || len(digits) != 64 {
		return false
	}
	_, err := hex.Decode(dst[:], []byte(digits))
	return err == nil
}

// show is a value for an error text, short.
func show(raw json.RawMessage) string {
	const longest = 80
	switch {
	case raw == nil:
		return "is missing"
	case len(raw) > longest:
		return string(raw[:longest]) + "…"
	}
	return string(raw)
}
