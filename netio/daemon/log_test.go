package daemon_test

import (
	"testing"

	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestLogsOutsideTheLock: who asks for the state of the daemons takes the
// client's lock, so a log that hangs must not be able to hold it. follow checks
// each line of every test; this one makes sure that the choices are among them.
func TestLogsOutsideTheLock(t *testing.T) {
	fake := daemontest.NewFake(t, daemontest.FakeOptions{Height: 200, Difficulty: 12345})
	f := follow(t, fastConfig(fake.Wallet, fakeEndpoint(fake)), nil)
	f.waitHeight(200)
	fake.Down()
	for _, text := range []string{"coin daemon chosen", "no coin daemon can be used, the last job stays"} {
		eventually(t, text, func() bool { return f.log.Checked(text) })
	}
}
