package store

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shortDir is a folder whose socket path fits; t.TempDir has the test's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "assay-m-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func startManaged(t testing.TB, dir string) *Managed {
	t.Helper()
	m, err := StartManaged(testCtx(t), ManagedConfig{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	return m
}

func kill(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no server to signal: pid %d", pid)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

func TestManagedIsRestartedAndLosesNothing(t *testing.T) {
	dir := filepath.Join(shortDir(t), "redis")
	m := startManaged(t, dir)
	st, err := open(t, Config{URL: m.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if si := st.Server(); len(si.Warnings) != 0 || si.Persistence != "aof everysec" {
		t.Errorf("our own server is not good enough for us: %+v", si)
	}
	for i := range 3 {
		waitFor(t, "a write", func() bool { // a connection may still be the dead server's
			return st.Do(context.Background(), "SET", "k", strconv.Itoa(i+1)).Error() == nil
		})
		old := m.PID()
		kill(t, old, syscall.SIGKILL)
		waitFor(t, "a new server", func() bool {
			pid := m.PID()
			return pid != 0 && pid != old && st.Ping(context.Background()) == nil
		})
		var got string
		var err error
		waitFor(t, "an answer on every connection", func() bool {
			got, err = st.Do(context.Background(), "GET", "k").ToString()
			return err == nil
		})
		if got != strconv.Itoa(i+1) {
			t.Errorf("after death %d: %q", i+1, got)
		}
	}
	if m.Restarts() != 3 || m.Err() != nil {
		t.Errorf("%d restarts, %v", m.Restarts(), m.Err())
	}
	info, err := os.Stat(filepath.Join(dir, "redis.conf"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("configuration %v, %v", info, err)
	}
	if info, err = os.Stat(m.socket()); err != nil || info.Mode()&fs.ModeSocket == 0 || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("socket %v, %v", info, err)
	}
	if port, err := st.Do(testCtx(t), "CONFIG", "", "GET", "port").AsStrMap(); err != nil || port["port"] != "0" {
		t.Errorf("it listens on TCP: %v, %v", port, err)
	}
	pid := m.PID()
	m.Stop()
	m.Stop()
	if isOurServer(pid, dir) || m.PID() != 0 {
		t.Error("it still runs after Stop")
	}
	m2 := startManaged(t, dir)
	st2, err := open(t, Config{URL: m2.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := st2.Do(testCtx(t), "GET", "k").ToString(); err != nil || got != "3" {
		t.Errorf("after a restart of the node: %q, %v", got, err)
	}
}

func TestManagedRefusesASecondNode(t *testing.T) {
	dir := shortDir(t)
	startManaged(t, dir)
	if _, err := StartManaged(testCtx(t), ManagedConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another node") {
		t.Errorf("got %v", err)
	}
}

// A hung server is killed in the end; Stop returns.
func TestManagedStopsAHungServer(t *testing.T) {
	m := startManaged(t, shortDir(t))
	kill(t, m.PID(), syscall.SIGSTOP)
	m.Stop()
}

// A server that a killed node left behind, running or hung, is ended before
// ours starts, and its data is kept.
func TestManagedEndsALeftover(t *testing.T) {
	for _, hung := range []bool{false, true} {
		t.Run(map[bool]string{false: "running", true: "hung"}[hung], func(t *testing.T) {
			dir := shortDir(t)
			m := startManaged(t, dir)
			m.Stop()
			cmd := exec.Command(m.binary, m.confFile())
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { cmd.Wait(); close(ended) }()
			t.Cleanup(func() { cmd.Process.Kill(); <-ended })
			waitFor(t, "the leftover", func() bool { return ping(m.socket(), probeTimeout) })
			if hung {
				kill(t, cmd.Process.Pid, syscall.SIGSTOP)
			}
			m2 := startManaged(t, dir)
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("the leftover still runs")
			}
			if m2.PID() == cmd.Process.Pid {
				t.Error("pid of the leftover")
			}
		})
	}
}

func TestManagedAppendOnlyFile(t *testing.T) {
	dir := shortDir(t)
	m := startManaged(t, dir)
	st, err := open(t, Config{URL: m.URL()})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := st.Do(testCtx(t), "INCR", "k").Error(); err != nil {
			t.Fatal(err)
		}
	}
	st.Close()
	m.Stop()
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("append-only files %v, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}

	t.Run("truncated tail", func(t *testing.T) {
		if err := os.WriteFile(files[0], whole[:len(whole)-5], 0o600); err != nil {
			t.Fatal(err)
		}
		m := startManaged(t, dir)
		st, err := open(t, Config{URL: m.URL()})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := st.Do(testCtx(t), "GET", "k").ToString(); err != nil || got != "99" {
			t.Errorf("all but the torn write must be there: %q, %v", got, err)
		}
		st.Close()
		m.Stop()
	})
	t.Run("broken", func(t *testing.T) {
		broken := append([]byte("*9\r\nbroken"), whole...)
		if err := os.WriteFile(files[0], broken, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := StartManaged(testCtx(t), ManagedConfig{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "redis-check-aof --fix") {
			t.Errorf("got %v", err)
		}
	})
}

func TestManagedErrorsNameTheRemedy(t *testing.T) {
	long := filepath.Join(shortDir(t), strings.Repeat("d", 120))
	plain := filepath.Join(shortDir(t), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	notRedis := filepath.Join(shortDir(t), "r")
	if err := os.WriteFile(notRedis, []byte("#!/bin/sh\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cfg  ManagedConfig
		want string
	}{
		{ManagedConfig{Dir: long}, "choose a shorter --data-dir"},
		{ManagedConfig{Dir: plain}, "--data-dir"},
		{ManagedConfig{Dir: shortDir(t), Binary: "/nonexistent/redis"}, "--redis-server /nonexistent/redis"},
		{ManagedConfig{Dir: shortDir(t), Binary: notRedis}, "exit status 3"},
	} {
		_, err := StartManaged(testCtx(t), c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := StartManaged(testCtx(t), ManagedConfig{Dir: shortDir(t)}); err == nil ||
		!strings.Contains(err.Error(), "apt-get install redis-server") || !strings.Contains(err.Error(), "--redis URL") {
		t.Errorf("not installed: %v", err)
	}
}

// The server dies with the node, even one that is killed.
func TestManagedDiesWithTheNode(t *testing.T) {
	if dir := os.Getenv("ASSAY_TEST_NODE"); dir != "" {
		m, err := StartManaged(context.Background(), ManagedConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, "ready"), []byte(strconv.Itoa(m.PID())), 0o600)
		select {} // until killed
	}
	dir := shortDir(t)
	node := exec.Command(os.Args[0], "-test.run=^TestManagedDiesWithTheNode$")
	node.Env = append(os.Environ(), "ASSAY_TEST_NODE="+dir)
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	waitFor(t, "the node's server", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "ready"))
		if err == nil {
			pid, _ = strconv.Atoi(string(b))
		}
		return pid > 1
	})
	node.Process.Kill()
	node.Wait()
	waitFor(t, "the end of the server", func() bool { return !isOurServer(pid, dir) })
}
