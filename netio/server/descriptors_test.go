package server

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestConnsWithin(t *testing.T) {
	const headroom = 200
	tests := []struct {
		name        string
		asked       int
		descriptors uint64
		want        int
		err         string
	}{
		{"chosen", 0, 20000, 20000 - headroom, ""},
		{"chosen of millions", 0, 1 << 30, maxConnsCap, ""},
		{"fits", 18000, 20000, 18000, ""},
		{"fits exactly", 20000 - headroom, 20000, 20000 - headroom, ""},
		{"one too many", 20000 - headroom + 1, 20000, 0, "--max-conns"},
		{"hopeless", 0, headroom, 0, "ulimit -n"},
		{"negative", -1, 20000, 0, "--max-conns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := connsWithin(tt.asked, headroom, tt.descriptors)
			if tt.err == "" {
				if err != nil || got != tt.want {
					t.Fatalf("%d, %v; want %d", got, err, tt.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want one naming %s", err, tt.err)
			}
		})
	}
}

// TestReserve: loops, ports and the rest of the process come off the limit.
func TestReserve(t *testing.T) {
	small := Config{Loops: 1, Ports: make([]Port, 1)}
	large := Config{Loops: 3, Ports: make([]Port, 2), Reserve: 100}
	if got, want := large.reserve()-small.reserve(), 100+2*pollerDescriptors+(4*2-2*1); got != want {
		t.Errorf("%d descriptors more, want %d", got, want)
	}
}

// exhaustChild makes the test binary a node that runs out of descriptors.
const exhaustChild = "ASSAY_TEST_EXHAUST"

// TestDescriptorsRunOut: gnet ends its engine without an error when accept has
// no descriptor. The server must call that fatal and name the remedy.
func TestDescriptorsRunOut(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), exhaustChild+"=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	for _, want := range []string{"stopped by itself", "--max-conns", "ulimit -n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("error does not name %q:\n%s", want, out)
		}
	}
}

// exhaustDescriptors is the child; it prints the server's error.
func exhaustDescriptors() int {
	s, err := startAlone(Config{})
	if err != nil {
		fmt.Println(err)
		return 2
	}
	// The loops run once the first connection is served.
	first, err := net.Dial("tcp", s.Addrs()[0].Addr.String())
	if err != nil {
		fmt.Println(err)
		return 2
	}
	if _, err := fmt.Fprint(first, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		fmt.Println(err)
		return 2
	}
	if _, err := io.ReadAll(first); err != nil {
		fmt.Println(err)
		return 2
	}
	_ = first.Close()
	// Somebody else takes the descriptors away while the node runs.
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
		return 2
	}
	var conns []net.Conn
	for range 64 {
		c, err := net.DialTimeout("tcp", s.Addrs()[0].Addr.String(), time.Second)
		if err != nil {
			break // ours have run out first: the server's next accept has none either
		}
		conns = append(conns, c)
	}
	// The last connections may wait in the backlog until a descriptor is free.
	if len(conns) > 0 {
		_ = conns[0].Close()
	}
	select {
	case <-s.Done():
	case <-time.After(patience):
		fmt.Println("the engine still runs")
		return 3
	}
	if s.Err() == nil {
		fmt.Println("no error")
		return 4
	}
	fmt.Println(s.Err())
	return 0
}
