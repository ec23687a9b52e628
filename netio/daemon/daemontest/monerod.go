package daemontest

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
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

// Addresses that monerod accepts in get_block_template. Regtest carries mainnet's prefix. One key
// pair in three networks' clothes, published with the node-cryptoforknote tests.
const (
	WalletMainnet  = "45pyCXYn2UBVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJW4hqS1"
	WalletTestnet  = "9wNWgnD3JqHVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJYcLLjF"
	WalletStagenet = "5631HNTjg5HVUmCFjgKr7LF8hCTeGwucWJ2xni7qrbj6GgAZBFY6tANarozZx9DaQqHyuR1AL8HJbRmqwLhUaDpKJVzdvfb"
	WalletRegtest  = WalletMainnet
)

// readyWithin is generous: the machine may be busy with other tests.
const (
	readyWithin = 90 * time.Second
	stopWithin  = 30 * time.Second
)

// Options for Start. The zero value is a regtest chain of difficulty 1 without login.
type Options struct {
	Network    string // "regtest" (default) or "testnet"
	Difficulty uint64 // --fixed-difficulty, default 1
	Login      string // user:password for --rpc-login
	TLS        bool   // --rpc-ssl enabled: no plain HTTP, with the certificate it makes for itself
	Dir        string // data directory, default tb.TempDir()
	Binary     string // default "monerod" from PATH
}

// Monerod is a running daemon. It is ended when the test ends.
type Monerod struct {
	URL    string // http://127.0.0.1:port, https with Options.TLS
	ZMQ    string // tcp://127.0.0.1:port, its --zmq-pub
	ZMQRPC string // tcp://127.0.0.1:port of its other ZMQ service, which publishes nothing
	Wallet string // an address of its network
	Dir    string

	tb   testing.TB
	opt  Options
	args []string
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
	http *http.Client
}

// Start runs monerod offline on free loopback ports and waits until it gives templates.
func Start(tb testing.TB, opt Options) *Monerod {
	tb.Helper()
	if opt.Network == "" {
		opt.Network = "regtest"
	}
	if opt.Difficulty == 0 {
		opt.Difficulty = 1
	}
	if opt.Dir == "" {
		opt.Dir = tb.TempDir()
	}
	if opt.Binary == "" {
		opt.Binary = "monerod"
	}
	wallet, ok := map[string]string{"regtest": WalletRegtest, "testnet": WalletTestnet}[opt.Network]
	if !ok {
		tb.Fatalf("monerod: no network %q", opt.Network)
	}
	m := &Monerod{
		Wallet: wallet, Dir: opt.Dir, tb: tb, opt: opt,
		http: &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true,
			// This client only asks whether the daemon is there.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	// A port that was free may be anybody's by the time monerod binds it, which it
	// does seconds after its start.
	for try := 1; ; try++ {
		m.takePorts()
		m.launch()
		if try == 1 {
			tb.Cleanup(m.Kill)
		}
		err := m.ready()
		switch {
		case err == nil:
			return m
		case try == portTries || !strings.Contains(err.Error(), "ddress already in use"):
			tb.Fatal(err)
		}
		m.Kill()
		if err := os.Remove(filepath.Join(opt.Dir, outName)); err != nil {
			tb.Fatal(err)
		}
	}
}

const (
	// portTries is how many sets of free ports are tried.
	portTries = 5
	// outName is the file of what the daemon prints.
	outName = "monerod.out"
)

// takePorts chooses free ports and writes the command line for them.
func (m *Monerod) takePorts() {
	m.tb.Helper()
	ports := FreePorts(m.tb, 4)
	m.URL, m.ZMQ = "http://127.0.0.1:"+ports[0], "tcp://127.0.0.1:"+ports[1]
	m.ZMQRPC = "tcp://127.0.0.1:" + ports[2]
	m.args = []string{
		"--" + m.opt.Network, "--offline", "--fixed-difficulty", strconv.FormatUint(m.opt.Difficulty, 10),
		"--data-dir", m.Dir, "--log-file", filepath.Join(m.Dir, "monerod.log"), "--non-interactive",
		"--rpc-bind-ip", "127.0.0.1", "--rpc-bind-port", ports[0],
		"--zmq-pub", "tcp://127.0.0.1:" + ports[1],
		"--zmq-rpc-bind-ip", "127.0.0.1", "--zmq-rpc-bind-port", ports[2],
		"--p2p-bind-ip", "127.0.0.1", "--p2p-bind-port", ports[3],
		"--max-concurrency", "1", "--disable-dns-checkpoints", "--check-updates", "disabled",
	}
	if m.opt.TLS {
		m.URL = "https://127.0.0.1:" + ports[0]
		m.args = append(m.args, "--rpc-ssl", "enabled")
	}
	if m.opt.Login != "" {
		m.args = append(m.args, "--rpc-login", m.opt.Login)
	}
}

func (m *Monerod) launch() {
	m.tb.Helper()
	out, err := os.OpenFile(filepath.Join(m.Dir, outName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.tb.Fatalf("monerod output: %v", err)
	}
	defer out.Close()
	cmd := exec.Command(m.opt.Binary, m.args...)
	cmd.Stdout, cmd.Stderr = out, out
	// The daemon goes with the test process even if that is killed. The signal comes when the
	// thread that started it ends, so that thread is kept until the daemon has ended.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error, 1), make(chan struct{})
	go func() { // Stop and Kill wait for done
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		m.tb.Fatalf("start monerod: %v", err)
	}
	m.cmd, m.done = cmd, done
}

func (m *Monerod) waitReady() {
	m.tb.Helper()
	if err := m.ready(); err != nil {
		m.tb.Fatal(err)
	}
}

// ready waits until the daemon gives templates.
func (m *Monerod) ready() error {
	deadline := time.Now().Add(readyWithin)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for time.Now().Before(deadline) {
		select {
		case <-m.done:
			return fmt.Errorf("monerod ended while starting:\n%s", m.Output())
		case <-tick.C:
		}
		if m.opt.Login != "" { // an answer that asks for the login is an answer
			var resp *http.Response
			if resp, last = m.http.Post(m.URL+"/json_rpc", "application/json", strings.NewReader("{}")); last == nil {
				resp.Body.Close()
				return nil
			}
			continue
		}
		last = m.RPC("get_block_template", map[string]any{"wallet_address": m.Wallet, "reserve_size": 8}, nil)
		if last == nil {
			return nil
		}
	}
	return fmt.Errorf("monerod not ready within %s: %v\n%s", readyWithin, last, m.Output())
}

// Output is what the daemon printed, at most its last 4 KiB.
func (m *Monerod) Output() string {
	b, _ := os.ReadFile(filepath.Join(m.Dir, outName))
	return string(b[max(0, len(b)-4096):])
}

// Stop asks the daemon to end and waits; it is killed if it takes too long.
func (m *Monerod) Stop() { m.end(syscall.SIGTERM) }

// Kill ends the daemon at once, as a crash does. A daemon that has ended is left alone.
func (m *Monerod) Kill() { m.end(syscall.SIGKILL) }

func (m *Monerod) end(sig syscall.Signal) {
	select {
	case <-m.done:
		return
	default:
	}
	m.cmd.Process.Signal(sig)
	select {
	case <-m.done:
	case <-time.After(stopWithin):
		m.cmd.Process.Kill()
		<-m.done
	}
}

// Pause stops the process where it stands (SIGSTOP): connections stay open and nothing answers. It
// returns once every thread stands, since a signal takes its time and a thread answers meanwhile.
func (m *Monerod) Pause() {
	m.cmd.Process.Signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(stopWithin); !m.standing(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			m.tb.Errorf("monerod goes on %s after SIGSTOP", stopWithin)
			return
		}
	}
}

// standing tells whether all threads of the process are stopped.
func (m *Monerod) standing() bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", m.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return false
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		// "PID (name) STATE …", and the name may hold anything.
		if _, after, ok := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " "); !ok || !strings.HasPrefix(after, "T") {
			return false
		}
	}
	return true
}

// Resume lets a paused process go on.
func (m *Monerod) Resume() { m.cmd.Process.Signal(syscall.SIGCONT) }

// Restart starts an ended (or ends and starts a running) daemon again on the same ports and chain.
func (m *Monerod) Restart() {
	m.tb.Helper()
	m.Stop()
	m.launch()
	m.waitReady()
}

// RPC makes a plain JSON-RPC call; result may be nil. It fails on a status other than OK. Not for
// daemons with a login.
func (m *Monerod) RPC(method string, params, result any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
	if err != nil {
		return err
	}
	resp, err := m.http.Post(m.URL+"/json_rpc", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return err
	}
	var e struct {
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("%s: %w: %.200s", method, err, b)
	}
	if e.Error != nil {
		return fmt.Errorf("%s: %s (code %d)", method, e.Error.Message, e.Error.Code)
	}
	var st struct{ Status string }
	if err := json.Unmarshal(e.Result, &st); err != nil || st.Status != "OK" {
		return fmt.Errorf("%s: status %q", method, st.Status)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(e.Result, result)
}

// Generate mines n blocks (about 24 a second at difficulty 1; regtest only).
func (m *Monerod) Generate(n int) {
	m.tb.Helper()
	// In slices, so that one call stays well below the HTTP deadline on a busy machine.
	for n > 0 {
		k := min(n, 100)
		if err := m.RPC("generateblocks", map[string]any{"amount_of_blocks": k, "wallet_address": m.Wallet, "starting_nonce": 0}, nil); err != nil {
			m.tb.Fatal(err)
		}
		n -= k
	}
}

// Height is the number of blocks in the chain: the height of the next block.
func (m *Monerod) Height() uint64 {
	m.tb.Helper()
	var r struct{ Height uint64 }
	if err := m.RPC("get_info", nil, &r); err != nil {
		m.tb.Fatal(err)
	}
	return r.Height
}

// BlockIDAt is the id of the main chain's block at a height.
func (m *Monerod) BlockIDAt(height uint64) [32]byte {
	m.tb.Helper()
	var r struct {
		Header struct{ Hash string } `json:"block_header"`
	}
	if err := m.RPC("get_block_header_by_height", map[string]any{"height": height}, &r); err != nil {
		m.tb.Fatal(err)
	}
	b, err := hex.DecodeString(r.Header.Hash)
	if err != nil || len(b) != 32 {
		m.tb.Fatalf("block id %q", r.Header.Hash)
	}
	return [32]byte(b)
}

// FreePorts gives n different loopback TCP ports that were free a moment ago.
func FreePorts(tb testing.TB, n int) []string {
	tb.Helper()
	ports := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		defer l.Close() // all stay taken until all are known
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}
