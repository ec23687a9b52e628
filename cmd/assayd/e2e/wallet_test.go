package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// wallet is a running monero-wallet-rpc (of the same package as monerod) with a
// wallet of its own, for tests that need real transactions.
type wallet struct {
	t       *testing.T
	url     string
	address string
}

// newWallet opens a wallet on a daemon's chain and mines until it can pay: the
// first transaction needs 75 blocks, for want of ring members before.
func newWallet(t *testing.T, m *daemontest.Monerod) *wallet {
	t.Helper()
	dir := t.TempDir()
	port := daemontest.FreePorts(t, 1)[0]
	cmd := exec.Command("monero-wallet-rpc", "--wallet-dir", dir, "--rpc-bind-ip", "127.0.0.1", "--rpc-bind-port", port,
		"--disable-rpc-login", "--trusted-daemon", "--daemon-address", strings.TrimPrefix(m.URL, "http://"), "--no-dns",
		"--shared-ringdb-dir", filepath.Join(dir, "rings"), "--log-file", filepath.Join(dir, "log"))
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error, 1), make(chan struct{})
	go func() { // ends with the process, which the cleanup kills
		runtime.LockOSThread() // Pdeathsig follows the thread that forks
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("monero-wallet-rpc, of the package that has monerod: %v", err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); <-done })
	w := &wallet{t: t, url: "http://127.0.0.1:" + port + "/json_rpc"}
	w.until("the wallet to open", func() error {
		return w.call("create_wallet", map[string]any{"filename": "w", "password": "", "language": "English"}, nil)
	})
	var r struct{ Address string }
	if err := w.call("get_address", map[string]any{"account_index": 0}, &r); err != nil {
		t.Fatal(err)
	}
	w.address = r.Address
	mature := map[string]any{"amount_of_blocks": 20, "wallet_address": w.address, "starting_nonce": 0}
	for range 4 {
		if err := m.RPC("generateblocks", mature, nil); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// until repeats what fails for as long as a program starts or catches up.
func (w *wallet) until(what string, try func() error) {
	w.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("waited %v for %s: %v", patience, what, err)
		}
	}
}

// pay makes a transaction and leaves it in the daemon's pool.
func (w *wallet) pay() {
	w.t.Helper()
	w.until("a transaction", func() error {
		if err := w.call("refresh", map[string]any{}, nil); err != nil {
			return err
		}
		to := []map[string]any{{"amount": 1_000_000_000, "address": w.address}}
		return w.call("transfer", map[string]any{"destinations": to}, nil)
	})
}

func (w *wallet) call(method string, params, result any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
	if err != nil {
		return err
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(w.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	var a struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if a.Error != nil {
		return fmt.Errorf("%s: %s", method, a.Error.Message)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(a.Result, result)
}
