package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"github.com/assay-pool/assay/validator/coin"
	"github.com/assay-pool/assay/validator/pool"
)

// floodChild makes the test binary a node with few descriptors: "loops".
const floodChild = "ASSAY_TEST_FLOOD"

const (
	floodConns = 32   // connections the child takes
	floodSize  = 2000 // connects: well above its descriptors, below the backlog
)

// TestFlood: while the loops of a node are busy, more connections arrive than
// it has descriptors for. It must take what it may and refuse the rest.
func TestFlood(t *testing.T) {
	for _, loops := range []string{"1", "3"} {
		t.Run(loops+" loops", func(t *testing.T) { floodNode(t, loops) })
	}
}

func floodNode(t *testing.T, loops string) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), floodChild+"="+loops)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = child.Wait() })
	out := bufio.NewReader(stdout)
	line := func() string {
		text, err := out.ReadString('\n')
		if err != nil {
			t.Fatalf("child: %q %v", text, err)
		}
		return strings.TrimSpace(text)
	}
	addr := line()

	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range floodSize {
		c, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	_, _ = io.WriteString(in, "go\n")
	if got, want := line(), fmt.Sprintf("refused %d", floodSize-floodConns); got != want {
		t.Fatalf("the node says %q, want %q", got, want)
	}
	// It is there for the next one.
	for _, c := range conns {
		_ = c.Close()
	}
	deadline := time.Now().Add(patience)
	for !healthy(addr) {
		if time.Now().After(deadline) {
			t.Fatal("the node serves nobody after the flood")
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = in.Close()
	if got := line(); got != "done" {
		t.Fatalf("the node says %q", got)
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
}

// healthy asks a port for the text that it has for browsers.
func healthy(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	text, _ := io.ReadAll(c)
	return strings.Contains(string(text), healthText)
}

// serveFlood is the child. It holds every loop until told to go on, so that the
// flood waits in the backlog; then it tells how many it has refused.
func serveFlood() int {
	if err := serveFloodErr(os.Getenv(floodChild)); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("done")
	return 0
}

func serveFloodErr(loops string) error {
	cfg := Config{LoginTimeout: time.Hour, Ports: make([]Port, 1)}
	if _, err := fmt.Sscan(loops, &cfg.Loops); err != nil {
		return err
	}
	room := uint64(cfg.reserve() + floodConns)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: room, Max: room}); err != nil {
		return err
	}
	cfg.Ports = nil
	s, err := startAlone(cfg)
	if err != nil {
		return err
	}
	defer s.Stop()
	addr := s.Addrs()[0].Addr.String()
	// Loops are known once a connection was theirs.
	deadline := time.Now().Add(patience)
	for len(s.allLoops()) < cfg.Loops {
		if !healthy(addr) || time.Now().After(deadline) {
			return fmt.Errorf("%d loops", len(s.allLoops()))
		}
	}
	hold := make(chan struct{})
	for _, l := range s.allLoops() {
		held := make(chan struct{})
		if err := l.engine.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			close(held)
			<-hold
			return nil
		})); err != nil {
			return err
		}
		<-held
	}
	if testutil.ToFloat64(s.metrics.connections) != 0 {
		return errors.New("a connection is still open")
	}
	fmt.Println(addr)
	stdin := bufio.NewReader(os.Stdin)
	if _, err := stdin.ReadString('\n'); err != nil {
		return err
	}
	close(hold)
	kept := func() int { return int(testutil.ToFloat64(s.metrics.connections)) }
	served := func() int { return int(testutil.ToFloat64(s.metrics.refused[refusedLimit])) + kept() }
	deadline = time.Now().Add(patience)
	for served() < floodSize {
		select {
		case <-s.Done():
			return fmt.Errorf("the node has ended: %w", s.Err())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of the flood were served", served())
		}
	}
	fmt.Printf("refused %d\n", floodSize-kept())
	_, _ = io.Copy(io.Discard, stdin)
	return s.Err()
}

// startAlone starts a server with a pool that has no work, outside of a test.
func startAlone(cfg Config) (*Server, error) {
	profile, err := coin.Lookup("monero")
	if err != nil {
		return nil, err
	}
	p, err := pool.New(pool.Config{
		Name: "test", Coin: profile, Books: newBooks(), Blocks: blocks{}, Verifier: &verifier{}, Addresses: 16,
	})
	if err != nil {
		return nil, err
	}
	cfg.Ports = []Port{{Addr: "127.0.0.1:0", Pool: p}}
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	return s, s.Start()
}
