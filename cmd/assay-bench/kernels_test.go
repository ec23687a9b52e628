package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/assay-pool/assay/bench/kernels"
	"github.com/assay-pool/assay/native/cpu"
)

func TestKernelsCommandLine(t *testing.T) {
	for name, tc := range map[string]struct {
		args   []string
		stderr string
	}{
		"algorithm":      {[]string{"--algo=cn/0,cn/9"}, `--algo: unknown algorithm "cn/9"`},
		"kernel":         {[]string{"--kernel=neon"}, "unknown CryptoNight kernel"},
		"lacking kernel": {[]string{"--kernel=all,vaes512", "--cpu-disable=avx512"}, "without avx512 lacks it; there is portable"},
		"width":          {[]string{"--width=1,65"}, `--width: "65" is not a number between 1 and 64`},
		"all widths":     {[]string{"--width=all"}, `--width: "all" is not a number`},
		"no width":       {[]string{"--width=,"}, "--width is empty"},
		"threads":        {[]string{"--threads=0"}, `--threads: "0" is not a number`},
		"mode":           {[]string{"--randomx-mode=auto"}, "is not one of light, full"},
		"time":           {[]string{"--time=0"}, "is not between 1ms"},
		"feature":        {[]string{"--cpu-disable=mmx9"}, "can be disabled"},
		"no kernel":      {[]string{"--kernel=,"}, "--kernel is empty"},
		"RandomX 2":      {[]string{"--algo=cn/0,rx/2"}, "--algo: rx/2 needs RandomX v2"},
		"parts of rx":    {[]string{"--parts", "--algo=cn/0,rx/0"}, "--algo with --parts: rx/0 has no scratchpad"},
		"parts, speed":   {[]string{"--parts", "--min-speedup=4"}, "--parts makes no hashes, so --min-speedup 4 has none to compare: leave one"},
		"speed to none":  {[]string{"--min-speedup=4", "--width=4,8"}, "--width must have 1 and a wider one, it is 4,8"},
		"speed of none":  {[]string{"--min-speedup=4", "--width=1"}, "--width must have 1 and a wider one, it is 1"},
		"speed of rx":    {[]string{"--min-speedup=4", "--algo=rx/0"}, "--min-speedup 4 is for CryptoNight: --algo has none, it is rx/0"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t.Context(), nil, append([]string{"kernels"}, tc.args...)...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

// The flags' words become lists in order, without doubles.
func TestKernelsConfig(t *testing.T) {
	info, err := cpu.Detect(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := kernelsFlags{kernels: []string{"best", "portable,all"}, widths: []string{"8,1", "8"}, threads: []string{"all", "1"}, rounds: 1}
	cfg, err := f.config()
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Kernels) != len(supportedKernels(t)) || len(cfg.Algos) != 24 || len(cfg.Widths) != 2 || cfg.Widths[0] != 1 ||
		cfg.Threads[0] != 1 || cfg.Threads[len(cfg.Threads)-1] != info.Cores {
		t.Errorf("%+v", cfg)
	}
	f.parts = true
	if cfg, err = f.config(); err != nil || len(cfg.Algos) != 23 {
		t.Errorf("parts of %v, %v", cfg.Algos, err)
	}
	f.algos, f.quick, f.parts = []string{"rx/0", "cn-pico cn-trtl"}, true, false
	if cfg, err = f.config(); err != nil || len(cfg.Algos) != 2 || len(cfg.Threads) != 1 || cfg.Rounds != 1 || cfg.Time == 0 {
		t.Errorf("%+v, %v", cfg, err)
	}
}

func TestKernels(t *testing.T) {
	needsCgo(t)
	best := supportedKernels(t)[len(supportedKernels(t))-1].String()
	t.Run("JSON", func(t *testing.T) {
		code, stdout, stderr := call(t.Context(), nil, "kernels", "--quick", "--json", "--algo=cn-pico,cn/upx2")
		var r kernelsReport
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
			t.Fatalf("exit %d, %v: %s\n%s", code, err, stdout, stderr)
		}
		if !r.OK || len(r.Results) != 4 || r.Results[0].Kernel != best || r.Host.Cores < 1 || r.Host.Date == "" || r.Rounds != 1 || r.Seconds <= 0 {
			t.Errorf("%+v", r)
		}
		if a, b := r.Results[0], r.Results[1]; a.Checksum != b.Checksum || len(a.Checksum) != 16 {
			t.Errorf("checksums %q and %q", a.Checksum, b.Checksum)
		}
	})
	t.Run("table", func(t *testing.T) {
		// No batch is sixteen times as fast as one lane with eight.
		code, stdout, stderr := call(t.Context(), nil, "kernels", "--quick", "--algo=cn-pico", "--min-speedup=16")
		if code != exitFailed || !strings.Contains(stderr, "cn-pico "+best) || !strings.Contains(stderr, "times one lane") {
			t.Errorf("exit %d: %s", code, stderr)
		}
		for _, want := range []string{" * CPU ", " * CACHE ", "×LANE", "2 paths in ", "every hash is right"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("no %q in\n%s", want, stdout)
			}
		}
	})
	t.Run("parts", func(t *testing.T) {
		code, stdout, stderr := call(t.Context(), nil, "kernels", "--parts", "--rounds=1", "--width=1,8", "--algo=cn-pico")
		if strings.Contains(stdout, "cut short") || strings.Contains(stdout, "hash is right") {
			t.Errorf("%s", stdout)
		}
		for _, want := range []string{"EXPLODE", "×IN L2", "cn-pico", "2 paths in ", "RANDOM READ  before 1 MiB ", "RANDOM READ  after 1 MiB "} {
			if code != exitOK || !strings.Contains(stdout, want) {
				t.Errorf("exit %d, no %q in\n%s%s", code, want, stdout, stderr)
			}
		}
		var r kernelsReport
		code, stdout, _ = call(t.Context(), nil, "kernels", "--parts", "--quick", "--json", "--algo=cn/upx2")
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK || !r.OK || len(r.Parts) != 2 || len(r.Before) == 0 || len(r.After) == 0 {
			t.Errorf("exit %d, %v: %s", code, err, stdout)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, tc := range []struct{ flag, head, last string }{
			{"--parts=false", "×LANE", ", cut short: every hash shown is right\n"}, {"--parts", "EXPLODE", ", cut short\n"},
		} {
			code, stdout, _ := call(ctx, nil, "kernels", "--quick", "--algo=cn-pico", tc.flag)
			if code != exitFailed || !strings.Contains(stdout, tc.head) || !strings.Contains(stdout, "\n0 paths in ") || !strings.HasSuffix(stdout, tc.last) {
				t.Errorf("exit %d: %s", code, stdout)
			}
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, flag := range []string{"--parts=false", "--parts"} {
			code, stdout, stderr := call(ctx, nil, "kernels", "--quick", "--algo=cn-pico", "--json", flag)
			var r kernelsReport
			if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.OK || code != exitFailed || !strings.Contains(stderr, "context canceled") {
				t.Errorf("%s: exit %d, %v: %s%s", flag, code, err, stdout, stderr)
			}
		}
	})
}

func TestMismatchIsShown(t *testing.T) {
	var out strings.Builder
	r := kernelsReport{Results: []kernels.Result{{Algo: "cn/1", Kernel: "k", Checksum: "0123456789abcdef", Wrong: 1}}}
	if !strings.Contains(r.lastLine(), "cut short: NOT EVERY") {
		t.Errorf("cut short, and wrong: %s", r.lastLine())
	}
	if err := r.write(&out, false); err != nil || !strings.Contains(out.String(), "MISMATCH") || !strings.Contains(out.String(), "NOT EVERY HASH IS RIGHT") {
		t.Errorf("%v: %s", err, &out)
	}
}
