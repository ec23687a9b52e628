package e2e

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/cluster/store/redistest"
)

// fullPipe is a pipe in which not one more byte finds room, as a log collector
// that hangs leaves it.
func fullPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	for chunk := 4096; chunk >= 1; {
		if _, err := syscall.Write(fds[1], []byte(strings.Repeat(".", chunk-1)+"\n")); err != nil {
			if !errors.Is(err, syscall.EAGAIN) {
				t.Fatal(err)
			}
			chunk /= 2
		}
	}
	// A process gets its standard streams blocking.
	if err := syscall.SetNonblock(fds[1], false); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// freeAddr is an address nobody listens on at the moment.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestLogPipeNobodyReads: a node whose streams lead into full pipes starts,
// answers miners, finds blocks, writes its books and stops in time. Its metrics
// tell what was dropped, and so does the log once it is read.
func TestLogPipeNobodyReads(t *testing.T) {
	fake := newFake(t, 1) // every share is a block
	redis := redistest.Start(t)
	_, outW := fullPipe(t)
	errR, errW := fullPipe(t)
	port, admin := freeAddr(t), freeAddr(t)
	n := beginNodeOn(t, outW, errW, shortDir(t), "--redis", redis.URL(), "--daemon", fake.URL,
		"--listen", port+",diff=1", "--admin-listen", admin, "--log-level", "debug", "--log-buffer", "4KiB")
	n.ports, n.admin = []string{port}, "http://"+admin
	n.waitReady()
	c, job := login(t, port, walletA+".one")
	var accepted uint64
	mine := func() {
		job = c.newest(job)
		nonce, result := c.find(job, true)
		if text := c.submit(job, nonce, result); text == "" {
			accepted++
		}
	}
	const enough = 5
	n.wait("the log to overflow", func() error {
		mine()
		if accepted < enough || n.metric("assay_log_lines_dropped_total", "stream", "log") == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	var log output
	go io.Copy(&log, errR) // ends when errR is closed
	n.wait("the log to tell of what it dropped", func() error {
		mine()
		if !strings.Contains(log.String(), "log lines dropped: who reads the log was too slow or away (--log-buffer)") {
			return errors.New("not yet")
		}
		return nil
	})
	n.stop() // with the banner's pipe still full
	b := openBooks(t, redis.URL(), "default")
	if got := b.sum()[""].shares; got != accepted {
		t.Errorf("Redis has %d shares, the miner was told of %d", got, accepted)
	}
}

// TestLogPipeStaysFull: the end, too, waits for no reader.
func TestLogPipeStaysFull(t *testing.T) {
	redis := redistest.Start(t)
	_, outW := fullPipe(t)
	_, errW := fullPipe(t)
	port, admin := freeAddr(t), freeAddr(t)
	n := beginNodeOn(t, outW, errW, shortDir(t), "--redis", redis.URL(), "--daemon", newFake(t, noBlocks).URL,
		"--listen", port+",diff=1", "--admin-listen", admin, "--flush-interval", "10s")
	n.ports, n.admin = []string{port}, "http://"+admin
	n.waitReady()
	c, job := login(t, port, walletA+".one")
	c.share(job)
	n.stop()
	if got := openBooks(t, redis.URL(), "default").sum()[""].shares; got != 1 {
		t.Errorf("Redis has %d shares, the miner was told of 1", got)
	}
}

// TestLogReaderGoesAway: closed pipes on both standard streams are no reason to
// die; the lines are counted.
func TestLogReaderGoesAway(t *testing.T) {
	fake := newFake(t, 1)
	redis := redistest.Start(t)
	outR, outW := fullPipe(t)
	errR, errW := fullPipe(t)
	outR.Close()
	errR.Close()
	port, admin := freeAddr(t), freeAddr(t)
	n := beginNodeOn(t, outW, errW, shortDir(t), "--redis", redis.URL(), "--daemon", fake.URL,
		"--listen", port+",diff=1", "--admin-listen", admin)
	n.ports, n.admin = []string{port}, "http://"+admin
	n.waitReady()
	before := n.metric("assay_log_lines_dropped_total", "stream", "log")
	c, job := login(t, port, walletA+".one")
	c.share(job)
	n.wait("more lines to be counted as dropped", func() error {
		if n.metric("assay_log_lines_dropped_total", "stream", "log") <= before {
			return errors.New("not yet")
		}
		return nil
	})
	if n.metric("assay_log_lines_dropped_total", "stream", "banner") == 0 {
		t.Error("the banner went nowhere and is not counted")
	}
	n.stop()
	if got := openBooks(t, redis.URL(), "default").sum()[""].shares; got != 1 {
		t.Errorf("Redis has %d shares, the miner was told of 1", got)
	}
}

// TestSignals: SIGHUP does not end a node, SIGQUIT ends it in order, and the
// books have what the miner was told in both cases.
func TestSignals(t *testing.T) {
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", newFake(t, noBlocks).URL, "--listen", "127.0.0.1:0,diff=1",
		"--flush-interval", "10s")
	c, job := login(t, n.ports[0], walletA+".one")
	send := func(s syscall.Signal) {
		t.Helper()
		if err := n.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	c.share(job)
	send(syscall.SIGHUP)
	n.logs("SIGHUP has no effect")
	c.share(job)
	began := time.Now()
	send(syscall.SIGQUIT)
	select {
	case <-n.done:
	case <-time.After(patience):
		t.Fatal("SIGQUIT does not end the node")
	}
	if took := time.Since(began); took > stopWithin {
		t.Errorf("the node took %v to stop", took)
	}
	if n.err != nil {
		t.Errorf("the node's end after SIGQUIT: %v", n.err)
	}
	for _, words := range []string{"goroutine ", "watchSignals", "SIGQUIT: stopping as by SIGTERM"} {
		if !strings.Contains(n.out.String(), words) {
			t.Errorf("the log lacks %q", words)
		}
	}
	if got := openBooks(t, redis.URL(), "default").sum()[""].shares; got != 2 {
		t.Errorf("Redis has %d shares, the miner was told of 2", got)
	}
}

// TestErrorReachesTheLog: the reason why a node does not start is written out
// before it ends.
func TestErrorReachesTheLog(t *testing.T) {
	code, _, stderr := runOnce(t, nil, append(base(shortDir(t)), "--daemon", "http://127.0.0.1:1", "--listen", "127.0.0.1:0",
		"--redis-server", "/bin/false")...)
	if code != 1 || !strings.Contains(stderr, "assayd: private redis-server: ") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}
