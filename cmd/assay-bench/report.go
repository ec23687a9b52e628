package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assay-pool/assay/bench/miner"
	"github.com/assay-pool/assay/native/cpu"
)

// mineResult is what mine prints: the run's facts, then what happened.
type mineResult struct {
	Version  string   `json:"version"`
	CPU      string   `json:"cpu"`
	Disabled []string `json:"cpu_disabled,omitempty"`
	Pool     string   `json:"pool"`
	Mode     string   `json:"randomx_mode"`
	Threads  int      `json:"threads"`
	Batch    int      `json:"batch"`
	Seconds  float64  `json:"seconds"`

	Hashes     uint64  `json:"hashes"`
	HashRate   float64 `json:"hashes_per_second"`
	HashErrors uint64  `json:"hash_errors"`
	Connects   uint64  `json:"connects"`
	Failures   uint64  `json:"connection_failures"`
	LastError  string  `json:"last_error,omitempty"`
	Jobs       uint64  `json:"jobs"`
	Submitted  uint64  `json:"submitted"`
	Accepted   uint64  `json:"accepted"`
	Rejected   uint64  `json:"rejected"`
	Unanswered uint64  `json:"unanswered"`
	Unsent     uint64  `json:"unsent"`
	HeldBack   uint64  `json:"held_back"`

	// Difficulty sums the accepted shares by XMRig's reading of their targets.
	Difficulty uint64            `json:"accepted_difficulty"`
	ByTarget   map[string]uint64 `json:"accepted_by_target"` // 16 hex digits, most significant first
	Errors     map[string]uint64 `json:"rejected_by_text"`
}

func report(f *mineFlags, s miner.Stats, info *cpu.Info, elapsed time.Duration) mineResult {
	r := mineResult{
		Version: shownVersion(), CPU: info.Model, Disabled: info.Disabled, Pool: f.pool, Mode: f.mode,
		Threads: f.threads, Batch: f.batch, Seconds: elapsed.Seconds(),
		Hashes: s.Hashes, HashErrors: s.HashErrors, Connects: s.Connects, Failures: s.Failures, LastError: s.LastError,
		Jobs: s.Jobs, Submitted: s.Submitted, Accepted: s.Accepted, Rejected: s.Rejected, Unanswered: s.Unanswered,
		Unsent: s.Unsent, HeldBack: s.HeldBack, Difficulty: s.Difficulty, Errors: s.ErrorTexts, ByTarget: map[string]uint64{},
	}
	if r.Seconds > 0 {
		r.HashRate = float64(r.Hashes) / r.Seconds
	}
	for target, n := range s.AcceptedBy {
		r.ByTarget[fmt.Sprintf("%016x", target)] = n
	}
	return r
}

func (r mineResult) write(w io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "assay-bench mine  %s\n", r.Version)
	fmt.Fprintf(&b, "  cpu         %s\n", r.CPU)
	if len(r.Disabled) > 0 {
		fmt.Fprintf(&b, "  disabled    %s\n", strings.Join(r.Disabled, " "))
	}
	fmt.Fprintf(&b, "  run         %s, rx/0 %s, %d threads, batch %d, %.1f s\n", r.Pool, r.Mode, r.Threads, r.Batch, r.Seconds)
	fmt.Fprintf(&b, "  hashes      %d (%.1f H/s), %d errors\n", r.Hashes, r.HashRate, r.HashErrors)
	fmt.Fprintf(&b, "  connection  %d logins, %d failures, %d jobs\n", r.Connects, r.Failures, r.Jobs)
	fmt.Fprintf(&b, "  shares      %d submitted: %d accepted, %d rejected, %d unanswered; %d not sent, %d held back\n",
		r.Submitted, r.Accepted, r.Rejected, r.Unanswered, r.Unsent, r.HeldBack)
	fmt.Fprintf(&b, "  difficulty  %d accepted in all\n", r.Difficulty)
	for _, text := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "  rejected    %d × %s\n", r.Errors[text], text)
	}
	if r.LastError != "" {
		fmt.Fprintf(&b, "  last error  %s\n", r.LastError)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
