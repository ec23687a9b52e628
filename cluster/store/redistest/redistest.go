// Package redistest gives a test its own real redis-server.
//
//	Start(t) ──▶ redis-server on a unix socket in a folder of its own
//	               Stop / Kill / Pause / Resume / Restart / Follow: the faults
//	NewRelay ──▶ an address in front of servers, as a virtual IP or a proxy is
//	               ended and removed with the test
package redistest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; a loaded machine needs more than Redis does.
const patience = 30 * time.Second

// Server is a redis-server of one test. Not safe for concurrent use.
type Server struct {
	t      testing.TB
	dir    string
	port   int // 0 = unix socket only
	args   []string
	cmd    *exec.Cmd
	exited chan struct{}
	paused bool
}

// durable is the configuration that loses nothing it has confirmed.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

// Start runs a server with appendfsync always and ends it with the test; args
// are more options, later ones win: "--requirepass", "x".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return newServer(t, 0, append(append([]string{}, durable...), args...))
}

// StartTCP is Start on a TCP port of the loopback interface beside the socket,
// which replication needs.
func StartTCP(t testing.TB, args ...string) *Server {
	t.Helper()
	return newServer(t, freePort(t), append(append([]string{"--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"}, durable...), args...))
}

// StartCluster runs a one-node Redis Cluster that serves all slots, on a TCP
// port of the loopback interface.
func StartCluster(t testing.TB) *Server {
	t.Helper()
	port, bus := freePort(t), freePort(t)
	s := newServer(t, port, []string{"--cluster-enabled", "yes", "--bind", "127.0.0.1",
		"--cluster-port", strconv.Itoa(bus), "--cluster-announce-ip", "127.0.0.1"})
	s.CLI("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	s.wait("cluster_state:ok", func() bool {
		return strings.Contains(s.CLI("CLUSTER", "INFO"), "cluster_state:ok")
	})
	return s
}

func newServer(t testing.TB, port int, args []string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server is needed for this test (apt-get install redis-server): %v", err)
	}
	// Not t.TempDir: the test's name would be in the path, and a socket's path
	// has 107 bytes.
	dir, err := os.MkdirTemp("", "assay-redis-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, port: port, args: args}
	t.Cleanup(func() {
		s.Kill()
		os.RemoveAll(dir)
	})
	s.Run()
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Socket is the path of the unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s") }

// Dir is the server's folder.
func (s *Server) Dir() string { return s.dir }

// URL is the address for store.Config.
func (s *Server) URL() string {
	if s.port != 0 {
		return fmt.Sprintf("redis://127.0.0.1:%d", s.port)
	}
	return "unix://" + s.Socket()
}

// RunLoading starts the server without waiting until it answers.
func (s *Server) RunLoading() {
	s.t.Helper()
	args := append([]string{"--port", strconv.Itoa(s.port), "--unixsocket", s.Socket(), "--dir", s.dir,
		"--save", "", "--logfile", filepath.Join(s.dir, "log"), "--daemonize", "no"}, s.args...)
	cmd := exec.Command("redis-server", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	exited := make(chan struct{})
	started := make(chan error)
	go func() {
		// Pdeathsig follows the thread that forks: hold it until the end.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.exited, s.paused = cmd, exited, false
}

// Run starts the server and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	s.RunLoading()
	s.wait("PONG", func() bool {
		out := s.try("PING")
		return strings.Contains(out, "PONG") || strings.Contains(out, "NOAUTH")
	})
}

// Stop ends the server in order.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(sig)
	s.Resume()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Errorf("redis-server did not end on %s", sig)
	}
	s.cmd = nil
}

// Restart kills the server and starts it again.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.Run()
}

// Pause makes the server hang: connections stay, answers do not come.
func (s *Server) Pause() {
	s.cmd.Process.Signal(syscall.SIGSTOP)
	s.paused = true
}

// Resume ends Pause.
func (s *Server) Resume() {
	if s.paused && s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGCONT)
	}
	s.paused = false
}

// Forget stops the server and empties its data: a Redis that lost everything.
func (s *Server) Forget() {
	s.t.Helper()
	s.Kill()
	if err := os.RemoveAll(filepath.Join(s.dir, "appendonlydir")); err != nil {
		s.t.Fatal(err)
	}
}

// Follow makes the server a replica of master and waits until it has all of its
// data; both were made by StartTCP.
func (s *Server) Follow(master *Server) {
	s.t.Helper()
	s.CLI("REPLICAOF", "127.0.0.1", strconv.Itoa(master.port))
	s.wait("master_link_status:up", func() bool {
		return strings.Contains(s.CLI("INFO", "replication"), "master_link_status:up")
	})
}

// Promote makes a replica a master.
func (s *Server) Promote() { s.CLI("REPLICAOF", "NO", "ONE") }

// CLI runs one command by redis-cli, raw output; the test fails if it does.
func (s *Server) CLI(args ...string) string {
	s.t.Helper()
	out, err := s.cli(args)
	if err != nil {
		s.t.Fatalf("redis-cli %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (s *Server) try(args ...string) string {
	out, _ := s.cli(args)
	return out
}

func (s *Server) cli(args []string) (string, error) {
	out, err := exec.Command("redis-cli", append([]string{"-s", s.Socket(), "--raw"}, args...)...).CombinedOutput()
	return string(bytes.TrimSpace(out)), err
}

func (s *Server) wait(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		select {
		case <-s.exited:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("redis-server ended while the test waited for %s:\n%s", what, log)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("redis-server: no %s within %s", what, patience)
		}
	}
}
