package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pidName = "redis.pid"
	// logMax is when redis.log is put aside at start, in bytes; one old log is
	// kept.
	logMax = 16 << 20
	// logTail is how much of the log's end is looked at after a death, in bytes.
	logTail = 4096
	// logHead is how much is looked at of what a server logged at its start, in bytes.
	logHead = 8192
)

// serverConfig is the private server's configuration.
//
// appendfsync everysec: what a dead redis-server had answered is in the page
// cache and survives it; only a dead machine loses up to about two seconds. The
// ledger retains longer than that and sends it again, should the node outlive
// its Redis. "always" would cost one disk flush per call for no gain.
func serverConfig(dir string) string {
	q := func(name string) string { return strconv.Quote(filepath.Join(dir, name)) }
	return strings.Join([]string{
		"# Written by assayd at every start; changes are lost.",
		"port 0",
		"unixsocket " + q("redis.sock"),
		"unixsocketperm 700",
		"dir " + strconv.Quote(dir),
		"logfile " + q("redis.log"),
		"loglevel notice",
		"daemonize no",
		"supervised no",
		"databases 1",
		"save \"\"",
		"appendonly yes",
		"appendfsync everysec",
		"aof-load-truncated yes",
		"aof-use-rdb-preamble yes",
		"auto-aof-rewrite-percentage 100",
		"auto-aof-rewrite-min-size 64mb",
		"maxmemory 0",
		"maxmemory-policy noeviction",
		"",
	}, "\n")
}

func findServer(binary string) (string, error) {
	if binary == "" {
		binary = DefaultBinary
	}
	path, err := exec.LookPath(binary)
	if err == nil {
		return filepath.Abs(path)
	}
	if binary != DefaultBinary {
		return "", fmt.Errorf("--redis-server %s: %w", binary, err)
	}
	return "", fmt.Errorf("redis-server is not installed: install it (apt-get install redis-server), name its path by --redis-server, or use a Redis of your own by --redis URL: %w", err)
}

func writePID(dir string, pid int) error {
	return os.WriteFile(filepath.Join(dir, pidName), []byte(strconv.Itoa(pid)+"\n"), 0o600)
}

// endLeftover stops a redis-server that still uses the folder although its node
// is gone (we hold the lock). Two servers on one append-only file would ruin it.
// It is found by the socket's peer credentials or by the pid file.
func endLeftover(ctx context.Context, dir, socket string, patience time.Duration, log *slog.Logger) error {
	var pids []int
	if pid := listenerPID(socket); pid > 0 {
		pids = append(pids, pid)
	}
	if b, err := os.ReadFile(filepath.Join(dir, pidName)); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	for _, pid := range pids {
		if !isOurServer(pid, dir) {
			continue
		}
		log.Warn("ending the redis-server that an earlier node left behind", "pid", pid)
		unix.Kill(pid, unix.SIGTERM)
		unix.Kill(pid, unix.SIGCONT)
		if waitGone(ctx, pid, dir, patience) {
			continue
		}
		unix.Kill(pid, unix.SIGKILL)
		if !waitGone(ctx, pid, dir, patience) {
			return fmt.Errorf("--data-dir: a redis-server (pid %d) still uses %s and does not end; end it by hand", pid, dir)
		}
	}
	if pid := listenerPID(socket); pid > 0 {
		return fmt.Errorf("--data-dir: process %d listens on %s and is not our redis-server; end it or choose another --data-dir", pid, socket)
	}
	return nil
}

// listenerPID is the process that listens on a unix socket, 0 when none does.
func listenerPID(socket string) int {
	c, err := net.DialTimeout("unix", socket, probeTimeout)
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// isOurServer tells whether the process is a Redis whose working folder is dir
// (redis changes to it); a pid used again by something else is not.
func isOurServer(pid int, dir string) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || !(bytes.HasPrefix(comm, []byte("redis")) || bytes.HasPrefix(comm, []byte("valkey"))) {
		return false
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false // a zombie has none
	}
	real, err := filepath.EvalSymlinks(dir)
	return err == nil && cwd == real
}

func waitGone(ctx context.Context, pid int, dir string, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for isOurServer(pid, dir) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		time.Sleep(probeEvery)
	}
	return true
}

// ping asks a server on a unix socket for PONG; LOADING is not one.
func ping(socket string, timeout time.Duration) bool {
	c, err := net.DialTimeout("unix", socket, timeout)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(timeout))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	var b [7]byte
	_, err = io.ReadFull(c, b[:])
	return err == nil && string(b[:]) == "+PONG\r\n"
}

func rotateLog(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && st.Size() < logMax {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Rename(path, path+".1")
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// logFrom is the beginning of what was logged after the first from bytes.
func logFrom(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.NewSectionReader(f, from, logHead))
	return string(b)
}

// tail is the end of what was logged after the first from bytes.
func tail(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	size := fileSize(path)
	b := make([]byte, max(0, min(size-from, logTail)))
	n, _ := f.ReadAt(b, size-int64(len(b)))
	return string(b[:n])
}

// explainExit adds what the log says and, where there is one, the remedy.
func explainExit(dir, logFile string, logged int64, err error) error {
	text := tail(logFile, logged)
	signal := endSignal(err)
	// A damaged RDB base may end the server by a signal of its own, with pages of dump.
	if head := logFrom(logFile, logged); signal != syscall.SIGKILL && signal != syscall.SIGTERM && unreadable(head) {
		return fmt.Errorf("private redis-server cannot read its append-only file (%s): %s (log: %s; it says: %s): %w",
			unreadableFile(dir, head), waysOut(dir), logFile, warning(head), err)
	}
	if strings.Contains(text, "No space left on device") {
		return fmt.Errorf("private redis-server: the disk of --data-dir is full (log: %s): %w", logFile, err)
	}
	if signal != 0 {
		return fmt.Errorf("private redis-server was ended by signal %s: %w", signal, err)
	}
	return fmt.Errorf("private redis-server (log: %s; last line: %s): %w", logFile, lastLine(text), err)
}

// unreadable tells from the log of a start whether its data was the reason of
// its end.
func unreadable(head string) bool {
	for _, s := range []string{"reading the append only file", "AOF MANIFEST FILE ERROR", "Invalid AOF manifest",
		"the truncated file is not the last file", "Unable to obtain the AOF file"} {
		if strings.Contains(head, s) {
			return true
		}
	}
	return strings.Contains(head, "Reading RDB base file on AOF loading") && !strings.Contains(head, "Done loading RDB")
}

// unreadableFile is the file that the log of a start names last, the base if it
// names none: then it is the RDB reader that complains. It is their folder if
// the manifest cannot be read.
func unreadableFile(dir, head string) string {
	folder := filepath.Join(dir, aofDirName)
	files, _ := readManifest(folder)
	path, named := folder, -1
	for _, f := range files {
		if at := strings.LastIndex(head, f.name); at > named || named < 0 && f.kind == "b" {
			path, named = filepath.Join(folder, f.name), at
		}
	}
	return path
}

// warning is the last of the log's warnings before the server's dump, if it
// left one.
func warning(head string) string {
	head, _, _ = strings.Cut(head, "=== REDIS BUG REPORT START")
	found := ""
	for line := range strings.Lines(head) {
		if strings.Contains(line, " # ") {
			found = line
		}
	}
	return strings.TrimSpace(found)
}

// endSignal is the signal that ended the server, 0 if none did.
func endSignal(err error) syscall.Signal {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return ws.Signal()
		}
	}
	return 0
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// escapePath makes a path safe inside a URL.
func escapePath(p string) string { return (&url.URL{Path: p}).EscapedPath() }
