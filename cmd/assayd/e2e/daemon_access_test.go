package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestDaemonAccess: a monerod as it is when its operator closes it (a login, TLS
// by the certificate it makes for itself), a login file from Windows, the wrong
// ZMQ port, and a second daemon that is not there. The node works, and its log,
// /readyz and metrics say what does not.
func TestDaemonAccess(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: noBlocks, Login: "pool:s3cret", TLS: true})
	login := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(login, []byte("\ufeffpool:s3cret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gone := "127.0.0.1:" + daemontest.FreePorts(t, 1)[0]
	start := func(options string) *node {
		return launchNode(t, shortDir(t), "--daemon", m.URL+options, "--daemon", "http://"+gone,
			"--daemon-login-file", login, "--listen", "127.0.0.1:0,diff=4")
	}

	n := start("")
	n.logs("certificate not trusted")
	_, pin, found := strings.Cut(n.out.String(), "add fingerprint=")
	if !found || len(pin) < 64 {
		t.Fatal("the log does not say what to add to --daemon")
	}
	n.waitUnready("default/daemons", "certificate not trusted")
	n.kill()

	for name, trust := range map[string]string{"ca": ",ca=" + filepath.Join(m.Dir, "rpc_ssl.crt"), "fingerprint": ",fingerprint=" + pin[:64]} {
		t.Run(name, func(t *testing.T) {
			n := start(trust + ",zmq=" + m.ZMQRPC)
			n.waitReady()
			for _, want := range []string{"no ZMQ notices from a coin daemon", "--zmq-pub", "a coin daemon cannot be used (--daemon)", gone} {
				n.logs(want)
			}
			n.wait("/readyz to be 200 and say what is wrong", func() error {
				status, body, err := n.get("/readyz")
				if err == nil && (status != http.StatusOK || !strings.Contains(body, `"note":"`) ||
					!strings.Contains(body, "no ZMQ notices") || !strings.Contains(body, gone)) {
					err = fmt.Errorf("%d %s", status, body)
				}
				return err
			})
			if up := n.metric("assay_daemon_zmq_up", "", ""); up != 0 {
				t.Errorf("assay_daemon_zmq_up is %v", up)
			}
			n.stop()
		})
	}
}
