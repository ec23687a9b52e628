package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// swarmChild makes the test binary a crowd of miners: "address count wallet".
const swarmChild = "ASSAY_TEST_SWARM"

// startSwarm starts n miners in a process of their own and returns once all are
// logged in. stop ends them.
func startSwarm(t testing.TB, r *rig, n int) (stop func()) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", swarmChild, r.server.Addrs()[0].Addr, n, r.recorded.Addresses[0].Address))
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			_ = in.Close()
			_, _ = io.Copy(io.Discard, out)
			_ = child.Wait()
		})
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("swarm: %q %v", line, err)
	}
	return stop
}

// runSwarm is the child: it logs n miners in, reads what they are sent, and
// ends when its standard input does.
func runSwarm(order string) int {
	fields := strings.Fields(order)
	if len(fields) != 3 {
		return 2
	}
	n, err := strconv.Atoi(fields[1])
	if err != nil {
		return 2
	}
	login := fmt.Sprintf(`{"id":1,"method":"login","params":{"login":"%s.rig","pass":"x"}}`+"\n", fields[2])
	const dialers = 32
	var wait sync.WaitGroup
	failed := make(chan error, n)
	for d := range dialers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := d; i < n; i += dialers {
				if err := oneMiner(fields[0], login); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	wait.Wait()
	select {
	case err := <-failed:
		fmt.Println(err)
		return 1
	default:
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// oneMiner logs in and leaves a goroutine that reads until the process ends.
func oneMiner(addr, login string) error {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, login); err != nil {
		return err
	}
	buf := make([]byte, 1024)
	if err := readLine(c, buf); err != nil {
		return err
	}
	_ = c.SetDeadline(time.Time{})
	go func() {
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}()
	return nil
}
