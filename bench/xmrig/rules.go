package xmrig

import (
	"fmt"
	"strings"
)

// Rule is what a pool must keep for XMRig to go on mining.
type Rule string

// The rules, with what XMRig does when one is broken.
const (
	// RuleLine: a line is one JSON object, 32 bytes to 64 KiB, beginning with
	// "{". XMRig logs "JSON decode failed" and the message is lost.
	RuleLine Rule = "line"
	// RuleAnswer: every request is answered in time (20 s). XMRig closes. It
	// counts from the last line received; we count from the request.
	RuleAnswer Rule = "response timeout"
	// RuleID: an answer carries the request's id with its own JSON type. XMRig
	// ignores an answer whose id is not the integer it sent.
	RuleID Rule = "id echoed with type"
	// RuleLoginID: the login result has a string "id". Login error code 1.
	RuleLoginID Rule = "login result id"
	// RuleStatus: results say "status":"OK". XMRig does not look; xmr-stak and
	// this project's contract do.
	RuleStatus Rule = "status OK"
	// RuleLoginRefused: the login was answered by an error.
	RuleLoginRefused Rule = "login refused"
	// RuleJobObject: a job is an object. Code 2, closes.
	RuleJobObject Rule = "job object"
	// RuleJobID: a job has a non-empty string "job_id". Code 3, closes.
	RuleJobID Rule = "job_id"
	// RuleBlob: "blob" is hex of an even number of digits, 43 bytes at least
	// (the nonce ends there) and less than 408. Code 4, closes.
	RuleBlob Rule = "blob"
	// RuleTarget: "target" is 8 or 16 hex digits and not zero. Code 5, closes;
	// a zero of 8 digits divides by zero.
	RuleTarget Rule = "target"
	// RuleAlgo: "algo" is one the miner listed at login. Code 6, closes.
	RuleAlgo Rule = "algo"
	// RuleHeight: a job has its height as a number. XMRig takes 0, and then
	// hashes CN/R wrongly; ours is the stricter rule.
	RuleHeight Rule = "height"
	// RuleSeedHash: "seed_hash" is 64 hex digits for rx/*. Code 7, closes.
	RuleSeedHash Rule = "seed_hash"
	// RuleNextSeed: "next_seed_hash", if there, is empty or 64 hex digits. XMRig
	// does not look; xmrig-proxy hands it on.
	RuleNextSeed Rule = "next_seed_hash"
	// RuleNiceHash: a nonce that is not zero in a blob switches XMRig to NiceHash
	// mode, which fixes the nonce's top byte. Broken only when the login did not
	// offer the extension, for then nobody meant it.
	RuleNiceHash Rule = "unintended NiceHash mode"
	// RuleDuplicateJob: a pushed job differs from the one before in job_id, blob
	// or target. "duplicate job received, reconnect".
	RuleDuplicateJob Rule = "duplicate job"
	// RuleErrorMessage: an error has a string "message". XMRig reads it unchecked.
	RuleErrorMessage Rule = "error message"
	// RuleCritical: an error text begins with one of the prefixes that make
	// XMRig disconnect. Right only when the pool means just that.
	RuleCritical Rule = "critical error"
	// RuleReconnect: a pool never sends client.reconnect: over plain TCP anyone
	// on the way could send a miner elsewhere. XMRig obeys.
	RuleReconnect Rule = "client.reconnect"
	// RuleNotification: a pushed message has a method, no id and no error. XMRig
	// takes one with an integer id for an answer, and drops one with an error.
	RuleNotification Rule = "notification"
	// RuleOpen: the pool keeps the connection open.
	RuleOpen Rule = "connection closed"
)

// Violation is a rule that a pool broke.
type Violation struct {
	Rule   Rule
	Detail string
}

func (v *Violation) Error() string {
	return fmt.Sprintf("xmrig would stop here: rule %q: %s", string(v.Rule), v.Detail)
}

func broken(rule Rule, format string, args ...any) *Violation {
	return &Violation{rule, fmt.Sprintf(format, args...)}
}

// Refusal is an error the pool answered with and the connection survives.
type Refusal struct {
	Code    int64
	Message string
}

func (r *Refusal) Error() string { return fmt.Sprintf("pool: %s (%d)", r.Message, r.Code) }

// criticalPrefixes make XMRig disconnect, in any case of letters.
func criticalPrefixes() []string {
	return []string{"unauthenticated", "your ip is banned", "ip address currently banned", "invalid job id"}
}

// Critical reports whether XMRig disconnects on an error text.
func Critical(message string) bool {
	lower := strings.ToLower(message)
	for _, prefix := range criticalPrefixes() {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}
