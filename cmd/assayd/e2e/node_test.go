package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/bench/scrape"
)

const (
	// patience bounds every wait for something that must come; machines that
	// run these tests are slow and busy.
	patience = 90 * time.Second
	// stopWithin is what an operator is promised after SIGTERM.
	stopWithin = 10 * time.Second
)

// node is a running assayd.
type node struct {
	t     *testing.T
	dir   string   // --data-dir
	ports []string // addresses of the miners' ports, in order
	admin string   // http://…

	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when the process has ended
	err  error         // of Wait; set before done closes
}

// output is what a process has printed, for both of its streams.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// shortDir is a folder of the test whose path leaves room for a unix socket's
// 107 bytes; the test's own name in it would not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// base are the flags every node of these tests has; flags given later win.
func base(dir string) []string {
	return []string{
		"--data-dir", dir, "--admin-listen", "127.0.0.1:0", "--randomx-mode", "light", "--pin=false",
		"--coin", "monero-regtest", "--wallet", walletA, "--vardiff=false", "--vardiff-min", "1",
		"--daemon-poll", "200ms", "--daemon-health", "500ms",
	}
}

// startNode runs a node on free ports and waits until it is ready for miners.
func startNode(t *testing.T, flags ...string) *node {
	t.Helper()
	n := launchNode(t, shortDir(t), flags...)
	n.waitReady()
	return n
}

// beginNode runs a node and waits for nothing.
func beginNode(t *testing.T, dir string, flags ...string) *node {
	t.Helper()
	return beginProgram(t, assayd, nil, nil, dir, flags...)
}

// beginNodeOn runs a node with standard streams of the test's own; one that is
// nil goes to n.out.
func beginNodeOn(t *testing.T, stdout, stderr *os.File, dir string, flags ...string) *node {
	t.Helper()
	return beginProgram(t, assayd, stdout, stderr, dir, flags...)
}

// beginProgram is beginNodeOn of a program that becomes a node.
func beginProgram(t *testing.T, program string, stdout, stderr *os.File, dir string, flags ...string) *node {
	t.Helper()
	sources(t)
	n := &node{t: t, dir: dir, done: make(chan struct{})}
	n.cmd = exec.Command(program, append(base(dir), flags...)...)
	n.cmd.Stdout, n.cmd.Stderr = &n.out, &n.out
	if stdout != nil {
		n.cmd.Stdout = stdout
	}
	if stderr != nil {
		n.cmd.Stderr = stderr
	}
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() { // ends with the process, which kill ends
		// Pdeathsig follows the thread that forks: hold it until the end.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(n.done)
		err := n.cmd.Start()
		started <- err
		if err == nil {
			n.err = n.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.kill()
		if text := n.out.String(); t.Failed() {
			t.Logf("the node's output:\n%s", text[max(0, len(text)-24<<10):])
		}
	})
	return n
}

// launchNode runs a node and waits until its ports are open.
func launchNode(t *testing.T, dir string, flags ...string) *node {
	t.Helper()
	n := beginNode(t, dir, flags...)
	n.waitPorts()
	return n
}

// waitPorts waits until the node has printed where it listens.
func (n *node) waitPorts() {
	n.t.Helper()
	adminLine := regexp.MustCompile(`ADMIN +(http://[^ ]+)`)
	n.wait("its ports to open", func() error {
		if m := adminLine.FindStringSubmatch(n.out.String()); m != nil {
			n.admin = m[1]
			return nil
		}
		return fmt.Errorf("no line of the admin port yet")
	})
	for _, m := range regexp.MustCompile(`PORT +(\S+)`).FindAllStringSubmatch(n.out.String(), -1) {
		n.ports = append(n.ports, m[1])
	}
}

// wait polls until ok returns nil; its last error is the test's.
func (n *node) wait(what string, ok func() error) {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("waited %v for %s: %v", patience, what, err)
		}
		select {
		case <-tick.C:
		case <-n.done:
			if err := ok(); err != nil {
				n.t.Fatalf("the node ended (%v) while the test waited for %s: %v", n.err, what, err)
			}
			return
		}
	}
}

// get asks the admin port.
func (n *node) get(path string) (status int, body string, err error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(n.admin + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(text), err
}

func (n *node) waitReady() {
	n.t.Helper()
	n.wait("/readyz 200", func() error {
		status, body, err := n.get("/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
}

// check is one line of /readyz.
type check struct {
	Check  string
	OK     bool
	Reason string
}

// waitUnready waits until /readyz is 503 because of a check, for a reason with
// the words in it.
func (n *node) waitUnready(name, words string) {
	n.t.Helper()
	n.wait(fmt.Sprintf("/readyz 503, %s with %q", name, words), func() error {
		status, body, err := n.get("/readyz")
		if err != nil {
			return err
		}
		for line := range strings.Lines(body) {
			var c check
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				return fmt.Errorf("line %q of /readyz: %w", line, err)
			}
			if status == http.StatusServiceUnavailable && c.Check == name && !c.OK && strings.Contains(c.Reason, words) {
				return nil
			}
		}
		return fmt.Errorf("%d %s", status, body)
	})
}

// metrics reads the metrics page.
func (n *node) metrics() scrape.Sample {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := scrape.Get(ctx, n.admin+"/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

// metric is one sum of the metrics page.
func (n *node) metric(name, label, value string) float64 {
	n.t.Helper()
	return n.metrics().Sum(name, label, value)
}

// checkI1 waits until every share received has its verdict, which must come to
// pass once miners are at rest: received = accepted + rejected + shed.
func (n *node) checkI1() {
	n.t.Helper()
	n.wait("received = accepted + rejected + shed (I1)", func() error {
		s := n.metrics()
		received := s.Sum("assay_shares_received_total", "", "")
		accepted, rejected, shed := s.Sum("assay_shares_total", "class", "accepted"), s.Sum("assay_shares_total", "class", "rejected"), s.Sum("assay_shares_total", "class", "shed")
		if received == 0 || received != accepted+rejected+shed {
			return fmt.Errorf("%v received, %v accepted, %v rejected, %v shed", received, accepted, rejected, shed)
		}
		return nil
	})
	if panics := n.metric("assay_handler_panics_total", "", ""); panics != 0 {
		n.t.Errorf("%v panics on event loops", panics)
	}
}

// children are the processes the node has started.
func (n *node) children() (pids []int) {
	n.t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", n.cmd.Process.Pid))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				n.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// stop sends SIGTERM and holds the node to its promise: exit 0 in time, no
// process left, no data race and no panic on the way.
func (n *node) stop() {
	n.t.Helper()
	children := n.children()
	began := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatalf("SIGTERM: %v", err)
	}
	select {
	case <-n.done:
	case <-time.After(patience):
		n.t.Fatalf("the node did not end within %v of SIGTERM", patience)
	}
	if took := time.Since(began); took > stopWithin {
		n.t.Errorf("the node took %v to stop, promised are %v", took, stopWithin)
	}
	if n.err != nil {
		n.t.Errorf("the node's end after SIGTERM: %v", n.err)
	}
	for _, pid := range children {
		if syscall.Kill(pid, 0) == nil {
			n.t.Errorf("process %d of the node is left behind", pid)
		}
	}
	for _, bad := range []string{"DATA RACE", "panic on an event loop"} {
		if strings.Contains(n.out.String(), bad) {
			n.t.Errorf("the node's log has %q", bad)
		}
	}
}

// kill ends the process at once, if it still runs.
func (n *node) kill() {
	select {
	case <-n.done:
		return
	default:
	}
	_ = n.cmd.Process.Kill() // it may have ended in between
	<-n.done
}

// logs waits until the node has printed the words.
func (n *node) logs(words string) {
	n.t.Helper()
	n.wait("the log to say "+words, func() error {
		if !strings.Contains(n.out.String(), words) {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}
