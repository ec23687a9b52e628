package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestIdentity(t *testing.T) {
	cfg := testConfig(t.TempDir())
	j := mustOpen(t, cfg)
	mustClose(t, j)
	for _, other := range []Identity{{Coin: "zephyr", Wallet: us.Wallet}, {Coin: us.Coin, Wallet: "other"}, {}} {
		c := cfg
		c.Identity = other
		_, err := Open(c)
		if err == nil {
			t.Fatalf("%+v was taken", other)
		}
		for _, part := range []string{"--data-dir", "--coin", "--wallet", us.Coin, us.Wallet, cfg.Dir} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not name %q", err, part)
			}
		}
	}
	j = mustOpen(t, cfg) // the lock is free again
	mustClose(t, j)
}

// TestLock: the folder of a living process is refused, one of a dead process is not.
func TestLock(t *testing.T) {
	if dir := os.Getenv("ASSAY_JOURNAL_LOCK"); dir != "" {
		mustOpen(t, testConfig(dir))
		fmt.Println("open")
		select {} // until it is killed
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestLock$")
	child.Env = append(os.Environ(), "ASSAY_JOURNAL_LOCK="+dir)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "open\n" {
		t.Fatal(line, err)
	}
	if _, err := Open(testConfig(dir)); err == nil || !strings.Contains(err.Error(), "in use by another node; give each node its own --data-dir") {
		t.Errorf("opened beside another process: %v", err)
	}
	if j, err := OpenDir(dir); err != nil {
		t.Errorf("reading beside another process: %v", err)
	} else if err := j.Admit(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("it admits: %v", err)
	}
	child.Process.Kill()
	child.Wait()
	mustClose(t, mustOpen(t, testConfig(dir)))
}

// TestOpenDirWrites nothing and refuses to.
func TestOpenDirWrites(t *testing.T) {
	dir, all := threeSegments(t)
	before := bytesOnDisk(t, dir)
	j, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := newWaiter(t)
	j.Credit(share(0), w)
	if err := w.wait(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("credit: %v", err)
	}
	w = newWaiter(t)
	j.Settle(Settled{}, w)
	if err := w.wait(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("settle: %v", err)
	}
	if err := j.Skip(1 << 40); !errors.Is(err, ErrReadOnly) {
		t.Errorf("skip: %v", err)
	}
	if u := j.Unsettled(); len(u) != 1 {
		t.Errorf("%d unsettled", len(u))
	}
	r, err := j.NewReader("tool", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, r); !reflect.DeepEqual(got, all) {
		t.Errorf("%d records, want %d", len(got), len(all))
	}
	r.Release(j.End())
	r.Close()
	if err := j.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if bytesOnDisk(t, dir) != before {
		t.Error("the files have changed")
	}
	for _, dir := range []string{filepath.Join(dir, "none"), t.TempDir()} {
		if _, err := OpenDir(dir); err == nil {
			t.Errorf("%s was opened", dir)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	cfg := testConfig(t.TempDir())
	cfg.Registerer = reg
	j := mustOpen(t, cfg)
	for i := range 3 {
		credit(t, j, share(i))
	}
	found(t, j, Found{Block: block(0)})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]*dto.Metric)
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				switch l.GetName() {
				case "kind":
					name += " " + l.GetValue()
				case "pool":
					if l.GetValue() != "test" {
						t.Errorf("%s has the pool %q", name, l.GetValue())
					}
				}
			}
			got[name] = m
		}
	}
	for name, want := range map[string]float64{"assay_journal_records_total credit": 3, "assay_journal_records_total found": 1, "assay_journal_records_total vest": 0,
		"assay_journal_end": float64(j.End()), "assay_journal_unreleased_bytes": float64(j.End()), "assay_journal_bytes": float64(bytesOnDisk(t, cfg.Dir)),
		"assay_blocks_open": 1, "assay_blocks_unwritten_total": 0, "assay_journal_refused_total": 0, "assay_journal_failures_total": 0,
		"assay_journal_damaged_total": 0, "assay_journal_discarded_early_total": 0} {
		m := got[name]
		if m == nil {
			t.Errorf("no %s", name)
			continue
		}
		if v := m.GetCounter().GetValue() + m.GetGauge().GetValue(); v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for _, name := range []string{"assay_journal_commit_seconds", "assay_journal_batch_records"} {
		if m := got[name]; m == nil || m.Histogram.GetSampleCount() != 4 {
			t.Errorf("%s: %v", name, m)
		}
	}
	if _, err := Open(Config{Dir: t.TempDir(), Pool: "test", Registerer: reg}); err == nil {
		t.Error("two journals have the same metrics")
	}
	mustClose(t, j)
	cfg.Dir = t.TempDir()
	mustClose(t, mustOpen(t, cfg)) // they are free again
}
