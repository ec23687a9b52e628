package demo

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPrepareEmptiesOnlyItsOwnFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	d := &demo{cfg: Config{Dir: dir}}
	if err := d.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := (&demo{cfg: Config{Dir: dir}}).prepare(); err == nil || !strings.Contains(err.Error(), "another demo runs") {
		t.Errorf("the folder of a demo that runs: %v", err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "left-over")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the folder of an earlier demo was not emptied: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, marker)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.prepare(); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("somebody's folder: %v", err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("somebody's file is gone: %v", err)
	}
}

func TestRunRefusesAnUnknownChain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	err := Run(context.Background(), Config{Dir: dir, Algo: "cn/gpu", Out: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "--algo cn/gpu") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("a folder was made for a demo that cannot run")
	}
}

// TestRunEndsWhatItStarted: a part that cannot start takes the others down.
func TestRunEndsWhatItStarted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	var out bytes.Buffer
	err := Run(context.Background(), Config{Dir: dir, Bin: t.TempDir(), Algo: "rx/0", Listen: "127.0.0.1:0", Out: &out})
	if err == nil || !strings.Contains(err.Error(), "assayd") {
		t.Fatalf("without assayd: %v", err)
	}
	if log, err := os.ReadFile(filepath.Join(dir, "monerod.log")); err != nil || len(log) == 0 {
		t.Fatalf("monerod was not even started: %v", err)
	}
	if left := processesOf(t, dir); len(left) != 0 {
		t.Errorf("still running: %v", left)
	}
}

// TestProcessesOf: the search above finds what it looks for.
func TestProcessesOf(t *testing.T) {
	dir := t.TempDir()
	p, err := startProcess(dir, "sleeper", "sh", "-c", "sleep 600 # "+dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(processesOf(t, dir)) == 0 {
		t.Error("a running process was not found")
	}
	if err := p.stop(time.Minute); err != nil {
		t.Fatal(err)
	}
}

// processesOf lists the command lines that name a folder.
func processesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatalf("no processes to look at: %v", err)
	}
	for _, line := range lines {
		// A process that ended meanwhile has no command line.
		if text, err := os.ReadFile(line); err == nil && bytes.Contains(text, []byte(dir)) {
			found = append(found, string(text))
		}
	}
	return found
}

func TestProcessStop(t *testing.T) {
	dir := t.TempDir()
	polite, err := startProcess(dir, "polite", "sleep", "600")
	if err != nil {
		t.Fatal(err)
	}
	if err := polite.ended(); err != nil {
		t.Fatal(err)
	}
	if err := polite.stop(time.Minute); err != nil {
		t.Errorf("a process that ends when asked: %v", err)
	}
	if err := polite.stop(time.Minute); err != nil {
		t.Errorf("stopped twice: %v", err)
	}

	deaf, err := startProcess(dir, "deaf", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done")
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(tail(deaf.log), "deaf") {
		if time.Now().After(deadline) {
			t.Fatal("the shell has not set its trap")
		}
	}
	if err := deaf.stop(100 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("a process that ignores SIGTERM: %v", err)
	}

	short, err := startProcess(dir, "short", "sh", "-c", "echo last words; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	<-short.done
	if err := short.ended(); err == nil || !strings.Contains(err.Error(), "last words") {
		t.Errorf("a process that ended: %v", err)
	}
	if _, err := startProcess(dir, "none", "/nonexistent/program"); err == nil {
		t.Error("a program that is not there was started")
	}
}
