package kernels

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
)

func TestRunParts(t *testing.T) {
	info, err := cpu.Detect(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{CPU: info, Algos: []algo.ID{algo.CNUPX2, algo.CNR}, Kernels: []cryptonight.Kernel{cryptonight.Portable},
		Widths: []int{1, 3}, Threads: []int{1}, Rounds: 3}
	turns := 0
	cfg.Progress = func(p Progress) {
		if strings.Contains(p.What, "parts") {
			turns++
		}
		if strings.Contains(p.What, "reference") {
			t.Errorf("%q: nothing is compared", p.What)
		}
	}
	list, err := RunParts(t.Context(), cfg)
	if errors.Is(err, cryptonight.ErrNoCgo) {
		t.Skip(err)
	}
	if err != nil || len(list) != 4 || turns != 12 {
		t.Fatalf("%v, %v, %d turns", list, err, turns)
	}
	for i, p := range list {
		if p.Algo != cfg.Algos[i/2].String() || p.Width != cfg.Widths[i%2] || p.Explode <= 0 || p.Loop <= 0 || p.Implode <= 0 ||
			p.Confined <= 0 || p.Fill <= 0 || p.Fill >= 1 || p.Misses <= 0 || p.Reach < 4096 || p.Algo == "cn/upx2" && p.Reach > 128<<10 {
			t.Errorf("%+v", p)
		}
	}
	cfg.Algos = []algo.ID{algo.RX0}
	if _, err := RunParts(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "rx/0 has no scratchpad") {
		t.Errorf("RandomX: %v", err)
	}
	if _, err := RunParts(t.Context(), Config{}); err == nil {
		t.Error("nothing to measure was measured")
	}
}

func TestPartsResult(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	c := partsCell{algo: algo.CN1, kernel: cryptonight.AVX2, width: 2, reach: 65536,
		whole: []cryptonight.Profile{{Explode: ms(2), Loop: ms(40), Implode: ms(8)}, {Explode: ms(4), Loop: ms(92), Implode: ms(4)}, {Explode: ms(1), Loop: ms(50), Implode: ms(9)}},
		near:  []cryptonight.Profile{{Loop: ms(20)}, {Loop: ms(23)}, {Loop: ms(50)}}}
	p := c.result()
	want := Parts{Algo: "cn/1", Kernel: "avx2", Width: 2, Explode: 1, Loop: 25, Implode: 4, Fill: 1. / 6, Confined: 11.5, Reach: 65536, Misses: 2}
	if p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
	var b strings.Builder
	if err := WriteParts(&b, []Parts{p, {Algo: "cn/2"}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 5 || lines[2] != "" || strings.Join(strings.Fields(lines[1]), " ") != "cn/1 avx2 2 1.000 25.000 4.000 16.7% 11.500 64 2.00" {
		t.Errorf("table:\n%s", b.String())
	}
}

func TestReach(t *testing.T) {
	const pad = 2<<20 + 1024 // no power of two: pads stand a little apart
	for _, c := range []struct{ l2, width, pad, want int }{
		{1 << 20, 1, pad, 512 << 10}, {1 << 20, 8, pad, 64 << 10}, {1 << 20, 3, pad, 128 << 10}, {1 << 20, 64, pad, 8 << 10},
		{256 << 10, 64, pad, 4096}, {0, 1, pad, 512 << 10}, {16 << 20, 1, pad, 2 << 20}, {1 << 20, 1, 128 << 10, 128 << 10},
	} {
		if got := reach(c.l2, c.width, c.pad); got != c.want {
			t.Errorf("L2 of %d, %d lanes of %d: %d, want %d", c.l2, c.width, c.pad, got, c.want)
		}
	}
}

// TestChain: one cycle through all lines.
func TestChain(t *testing.T) {
	for _, lines := range []int{1, 2, 3, 1000} {
		b := make([]byte, lines*lineBytes)
		chain(b)
		seen, at := map[uint32]bool{}, uint32(0)
		for range lines {
			if at%lineBytes != 0 || seen[at] {
				t.Fatalf("%d lines: %d again", lines, at)
			}
			seen[at] = true
			at = binary.LittleEndian.Uint32(b[at:])
		}
		if at != 0 || walk(b, 0) != 0 {
			t.Errorf("%d lines: the chain is not closed", lines)
		}
	}
}

// TestLatencies: up to twice the L3 of one group of cores.
func TestLatencies(t *testing.T) {
	list, err := Latencies(t.Context(), &cpu.Info{L3: 16 << 20, L3Groups: 4}, 0)
	if runtime.GOOS != "linux" {
		t.Skip("no thread clock here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 4 || list[0].Bytes != 1<<20 || list[3].Bytes != 8<<20 {
		t.Fatalf("%+v", list)
	}
	for _, l := range list {
		if l.NS < 0.1 || l.NS > 1e5 {
			t.Errorf("%+v", l)
		}
	}
	if list, err := Latencies(t.Context(), &cpu.Info{L3: 480 << 20, L3Groups: 1}, 2<<20); err != nil || len(list) != 2 {
		t.Errorf("the L3 of a whole socket, at most 2 MiB asked for: %+v, %v", list, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if list, err := Latencies(ended, &cpu.Info{}, 0); len(list) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %+v, %v", list, err)
	}
	if got := LatencyLine([]Latency{{1 << 20, 12.4}, {2 << 20, 18}}); got != "1 MiB 12, 2 MiB 18 ns" {
		t.Error(got)
	}
}
