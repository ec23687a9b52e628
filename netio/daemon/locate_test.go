package daemon_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/assay-pool/assay/netio/daemon"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// Where a block is comes from all daemons together: one main chain that has it
// suffices, and only a daemon that says how far its chain goes says that it is missing.
func TestLocate(t *testing.T) {
	id := [32]byte{1, 2, 3}
	orphan := orphanHeader(id)
	main := strings.Replace(orphan, `"orphan_status":true`, `"orphan_status":false`, 1)
	const absent = `{"jsonrpc":"2.0","id":"0","error":{"code":-5,"message":"Internal error: can't get block by hash."}}`
	const busy = `{"jsonrpc":"2.0","id":"0","result":{"status":"BUSY","untrusted":false}}`
	for name, c := range map[string]struct {
		replies  [2]string
		unsynced bool // the second daemon is
		from     int  // index of the daemon that has it, -1 = none
		missing  bool
		beside   bool
		tip      uint64
		least    uint64
	}{
		"beside, main":              {[2]string{orphan, main}, false, 1, false, false, 0, 0},
		"main, beside":              {[2]string{main, orphan}, false, 0, false, false, 0, 0},
		"busy, main":                {[2]string{busy, main}, false, 1, false, false, 0, 0},
		"beside twice":              {[2]string{orphan, orphan}, false, -1, true, true, 200, 100},
		"absent, beside":            {[2]string{absent, orphan}, false, -1, true, true, 200, 100},
		"absent twice":              {[2]string{absent, absent}, false, -1, true, false, 200, 100},
		"absent, busy":              {[2]string{absent, busy}, false, -1, true, false, 100, 100},
		"busy, absent but unsynced": {[2]string{busy, absent}, true, -1, false, false, 0, 0},
		"busy twice":                {[2]string{busy, busy}, false, -1, false, false, 0, 0},
	} {
		silent := strings.Contains(name, "busy") && c.from < 0
		t.Run(name, func(t *testing.T) {
			var fakes [2]*daemontest.Fake
			var eps []daemon.Endpoint
			for i := range fakes {
				fakes[i] = daemontest.NewFake(t, daemontest.FakeOptions{Height: uint64(100 * (i + 1))})
				fakes[i].SetReply("get_block_header_by_hash", c.replies[i])
				eps = append(eps, fakeEndpoint(fakes[i]))
			}
			fakes[1].SetSynced(!c.unsynced)
			client, err := daemon.New(fastConfig(fakes[0].Wallet, eps...))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close(context.Background())
			at := client.Locate(submitCx(t), id)
			want := ""
			if c.from >= 0 {
				want = host(fakes[c.from].URL)
			}
			if at.Daemon != want || at.Missing != c.missing || at.Beside != c.beside || at.Silent != silent || at.Tip != c.tip || at.Least != c.least || (at.Detail == "") != (want != "") {
				t.Errorf("located %+v", at)
			}
		})
	}
}

// A daemon that hangs does not keep another's answer back, nor the question open
// beyond its context.
func TestLocateBesideAHungDaemon(t *testing.T) {
	id := [32]byte{1, 2, 3}
	hung, well := daemontest.NewFake(t, daemontest.FakeOptions{}), daemontest.NewFake(t, daemontest.FakeOptions{})
	cfg := fastConfig(hung.Wallet, fakeEndpoint(hung), fakeEndpoint(well))
	cfg.RPCTimeout = time.Hour
	client, err := daemon.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	hung.Hold()
	defer hung.Release()
	well.SetReply("get_block_header_by_hash", strings.Replace(orphanHeader(id), `"orphan_status":true`, `"orphan_status":false`, 1))
	if at := client.Locate(submitCx(t), id); at.Daemon != host(well.URL) {
		t.Errorf("located %+v", at)
	}
	well.Hold()
	defer well.Release()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if at := client.Locate(ctx, id); at.Daemon != "" || at.Missing || at.Detail == "" {
		t.Errorf("located %+v by daemons that hang", at)
	}
}
