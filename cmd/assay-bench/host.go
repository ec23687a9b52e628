package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/assay-pool/assay/cmd/internal/options"
	"github.com/assay-pool/assay/native/cpu"
)

// hostFacts are the run's surroundings: without them a figure says nothing.
type hostFacts struct {
	Version   string   `json:"version"`
	Build     string   `json:"build"` // commit, Go version, system
	Date      string   `json:"date"`  // RFC 3339, UTC
	Args      []string `json:"args"`
	CPU       string   `json:"cpu"`
	VM        bool     `json:"vm"`
	Features  []string `json:"features"` // in use
	Disabled  []string `json:"cpu_disabled,omitempty"`
	Cores     int      `json:"cores"`
	L1D       int      `json:"l1d_bytes"` // per core
	L2        int      `json:"l2_bytes"`  // per core
	L3        int      `json:"l3_bytes"`  // all together
	L3Groups  int      `json:"l3_groups"`
	HugePages string   `json:"huge_pages"`
	Load      string   `json:"load_average,omitempty"` // at the start: others on the machine
	banner    []string
}

func host(info *cpu.Info, args []string) hostFacts {
	h := hostFacts{
		Version: shownVersion(), Build: options.BuildVersion(), Date: time.Now().UTC().Format(time.RFC3339), Args: args,
		CPU: info.Model, VM: info.VM, Disabled: info.Disabled, Cores: info.Cores,
		L1D: info.L1D, L2: info.L2, L3: info.L3, L3Groups: info.L3Groups,
		HugePages: cpu.HugePages().String(), banner: info.Banner(),
	}
	for _, f := range []struct {
		name string
		have bool
	}{
		{"aes", info.AES}, {"ssse3", info.SSSE3}, {"sse4.1", info.SSE41}, {"bmi2", info.BMI2},
		{"avx2", info.AVX2}, {"avx512", info.AVX512}, {"vaes", info.VAES},
	} {
		if f.have {
			h.Features = append(h.Features, f.name)
		}
	}
	// Where there is no such file the load is unknown, and left out.
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(raw)); len(fields) >= 3 {
			h.Load = strings.Join(fields[:3], " ")
		}
	}
	return h
}

// lines are the facts above a table.
func (h hostFacts) lines(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "assay-bench %s %s  %s\n", command, strings.Join(h.Args, " "), h.Date)
	version := h.Version
	if h.Build != version {
		version += "  " + h.Build
	}
	fmt.Fprintf(&b, " * %-12s %s\n", "VERSION", version)
	for _, line := range h.banner {
		fmt.Fprintln(&b, line)
	}
	if h.Load != "" {
		fmt.Fprintf(&b, " * %-12s %s at the start\n", "LOAD", h.Load)
	}
	return b.String()
}
