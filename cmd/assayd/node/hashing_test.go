package node

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/native/algo"
	"github.com/assay-pool/assay/native/cpu"
	"github.com/assay-pool/assay/native/cryptonight"
)

// hashing is a node that has got as far as its hash workers.
func hashing(t *testing.T, width int, workers int, expected ...algo.ID) (*Node, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	n := &Node{
		cfg: &config.Config{CryptoNight: cryptonight.Config{Width: width}}, log: slog.New(slog.NewTextHandler(log, nil)),
		registry: prometheus.NewRegistry(), expected: expected,
	}
	var err error
	n.cryptonight, err = cryptonight.New(cryptonight.Config{Width: width})
	if errors.Is(err, cryptonight.ErrNoCgo) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := n.startWorkers(workers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.verify.Close(t.Context()) })
	return n, log
}

// TestScratchpadsAtStart: the workers' memory is in the banner and the metrics.
func TestScratchpadsAtStart(t *testing.T) {
	n, _ := hashing(t, 8, 2, algo.CNUPX2, algo.CN0)
	line := n.cryptoNight()
	if want := "; cn/upx2 8 lanes, cn/0 8 lanes, 16 MiB a thread on "; !strings.Contains(line, want) {
		t.Errorf("banner %q lacks %q", line, want)
	}
	families, err := n.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	exported := 0
	for _, f := range families {
		if f.GetName() == "assay_cryptonight_scratchpad_bytes" {
			for _, m := range f.GetMetric() {
				exported += int(m.GetGauge().GetValue())
			}
		}
	}
	if want := 2 * n.cryptonight.ArenaBytes(algo.CN0); exported != want {
		t.Errorf("%d bytes are exported, want %d", exported, want)
	}
	bare, _ := hashing(t, 0, 1)
	if line := bare.cryptoNight(); strings.Contains(line, ";") {
		t.Errorf("banner %q of a node without CryptoNight", line)
	}
}

func TestScratchpads(t *testing.T) {
	for _, c := range []struct {
		bytes  int
		pages  []cpu.Pages
		text   string
		wanted int
	}{
		{16<<20 + 8*4288, []cpu.Pages{cpu.THP, cpu.THP}, "16 MiB a thread on THP", 18},
		{8<<20 + 4*4288, []cpu.Pages{cpu.THP}, "8 MiB a thread on THP", 5},
		{256 << 20, []cpu.Pages{cpu.Huge}, "256 MiB a thread on 2 MiB pages", 0},
		{512 << 10, []cpu.Pages{cpu.Plain}, "0.5 MiB a thread on 4 KiB pages", 1},
		{4 << 20, []cpu.Pages{cpu.THP, cpu.Huge, cpu.THP}, "4 MiB a thread, 1 on 2 MiB pages, 2 on THP", 4},
	} {
		s := newScratchpads(c.bytes, c.pages)
		if s.String() != c.text || s.wanted() != c.wanted {
			t.Errorf("%q, %d pages wanted; want %q, %d", s, s.wanted(), c.text, c.wanted)
		}
		r := prometheus.NewRegistry()
		s.register(r)
		kinds := slices.Compact(slices.Sorted(slices.Values(c.pages)))
		if n, err := testutil.GatherAndCount(r); err != nil || n != len(kinds) {
			t.Errorf("%v: %d metrics, %v", c.pages, n, err)
		}
	}
}

// TestSlowBatch: a forced width is measured, and warned of by the flag's name.
func TestSlowBatch(t *testing.T) {
	n, log := hashing(t, 4, 1, algo.CNUPX2)
	w, err := n.engines().NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	times, err := timeBatches(w, n.expected)
	if err != nil || len(times) != 1 || times[0] <= 0 {
		t.Fatalf("measured %v, %v", times, err)
	}
	log.Reset()
	second := [][]time.Duration{nil, {2 * time.Second}, {time.Second}}
	n.warnSlow(second, 2*time.Second)
	if log.Len() > 0 {
		t.Errorf("at the limit: %s", log)
	}
	n.warnSlow(second, slowBatch)
	for _, want := range []string{"level=WARN", "--cryptonight-width", "cryptonight-width=4", "algo=cn/upx2", "batch=2s"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("warning lacks %q: %s", want, log)
		}
	}
}
