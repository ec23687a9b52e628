package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
)

// vector is one public hash of testdata/vectors.json.
type vector struct {
	Algo   string
	Input  string `json:"input_hex"`
	Hash   string `json:"hash_hex"`
	Seed   string `json:"seed_hex"`
	Height *uint64
	Source string
}

// line is the vector as an operator would write it.
func (v vector) line() string {
	line := v.Algo + " " + v.Input
	if v.Input == "" {
		line = v.Algo + " -"
	}
	if v.Height != nil {
		line += fmt.Sprintf(" height=%d", *v.Height)
	}
	if v.Seed != "" {
		line += " seed=" + v.Seed
	}
	return line
}

// loadVectors gives the vectors of one family, by the beginning of its names.
func loadVectors(t *testing.T, prefix string) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all, list []vector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Source == "" {
			t.Errorf("a vector of %s has no source", v.Algo)
		}
		if strings.HasPrefix(v.Algo, prefix) {
			list = append(list, v)
		}
	}
	return list
}

// checkHashes runs the vectors through hash and compares line by line.
func checkHashes(t *testing.T, list []vector, args ...string) {
	t.Helper()
	var stdin strings.Builder
	for _, v := range list {
		stdin.WriteString(v.line() + "\n")
	}
	code, stdout, stderr := callWith(t.Context(), nil, stdin.String(), append([]string{"hash"}, args...)...)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	got := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(got) != len(list) {
		t.Fatalf("%d hashes for %d lines", len(got), len(list))
	}
	for i, v := range list {
		if got[i] != v.Hash {
			t.Errorf("line %d, %s: %s, want %s (%s)", i+1, v.Algo, got[i], v.Hash, v.Source)
		}
	}
}

// supportedKernels are the paths this CPU has.
func supportedKernels(t *testing.T) []cryptonight.Kernel {
	t.Helper()
	info, err := cpu.Detect(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cryptonight.Supported(info)
}

// Every CryptoNight vector by every kernel of this CPU, one lane and eight.
func TestHashVectors(t *testing.T) {
	needsCgo(t)
	list := loadVectors(t, "cn")
	if len(list) < 190 {
		t.Fatalf("only %d vectors", len(list))
	}
	for _, kernel := range supportedKernels(t) {
		for _, width := range []string{"1", "8"} {
			t.Run(kernel.String()+"/x"+width, func(t *testing.T) {
				t.Parallel()
				checkHashes(t, list, "--kernel", kernel.String(), "--width", width)
			})
		}
	}
}

// The paths nobody forces: the defaults, interpreted programs, a lesser CPU.
func TestHashDefaults(t *testing.T) {
	needsCgo(t)
	var list []vector
	for _, v := range loadVectors(t, "cn") {
		if v.Algo == "cn/r" || v.Algo == "cn/wow" || v.Algo == "cn-pico" || v.Input == "" {
			list = append(list, v)
		}
	}
	for name, args := range map[string][]string{"best": nil, "no JIT": {"--no-jit"}, "no AVX": {"--cpu-disable=avx2", "--width=3"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkHashes(t, list, args...)
		})
	}
}

func TestHashRandomX(t *testing.T) {
	needsCgo(t)
	list := loadVectors(t, "rx/0")
	if len(list) != 10 {
		t.Fatalf("%d vectors, want 10", len(list))
	}
	checkHashes(t, list)
}

// What cannot be hashed ends with exit 1 after the hashes of the lines before.
func TestHashBadLine(t *testing.T) {
	needsCgo(t)
	good := loadVectors(t, "cn/upx2")[:2]
	lines := "# a dispute\n" + good[0].line() + "\n\n" + good[1].line() + "\r\n"
	code, stdout, stderr := callWith(t.Context(), nil, lines+"cn/1 00ff\n"+good[0].line()+"\n", "hash")
	if code != exitFailed || stdout != good[0].Hash+"\n"+good[1].Hash+"\n" || !strings.Contains(stderr, "line 5: cn/1 needs an input of at least 43 bytes") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestHashCommandLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args   []string
		stderr string
	}{
		"kernel":         {[]string{"--kernel=neon"}, "unknown CryptoNight kernel"},
		"lacking kernel": {[]string{"--kernel=vaes256", "--cpu-disable=ssse3"}, "lacks it; there is portable\n"},
		"width":          {[]string{"--width=65"}, "65 is not between 0 and 64"},
		"feature":        {[]string{"--cpu-disable=mmx9"}, "can be disabled"},
		"operand":        {[]string{"lines.txt"}, "lines.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := callWith(t.Context(), nil, "", append([]string{"hash"}, tc.args...)...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

// A program on the other end of a pipe gets each answer before its next line,
// and the end of the context ends the wait for more.
func TestHashPipe(t *testing.T) {
	needsCgo(t)
	stdin, lines, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer lines.Close()
	answers, stdout := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan int, 1)
	var stderr strings.Builder
	go func() {
		code := run(ctx, []string{"hash"}, streams{nil, stdin, stdout, &stderr})
		stdout.Close()
		done <- code
	}()
	for _, v := range loadVectors(t, "cn/upx2") {
		fmt.Fprintln(lines, v.line())
		answer := make([]byte, len(v.Hash)+1)
		if _, err := io.ReadFull(answers, answer); err != nil || string(answer) != v.Hash+"\n" {
			t.Fatalf("%q, %v; want %s", answer, err, v.Hash)
		}
	}
	cancel()
	if code := <-done; code != exitFailed || !strings.Contains(stderr.String(), "context canceled") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
