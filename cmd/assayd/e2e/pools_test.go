package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestPools runs two pools in one process: each has its chain, its ports and
// its books, and neither learns of the other's.
func TestPools(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: 24})
	fake := newFake(t, noBlocks)
	redis := redistest.Start(t)
	file := filepath.Join(t.TempDir(), "assay.conf")
	text := `# two pools of one process
stale-grace = 30s

[pool real]
daemon = ` + m.URL + `,zmq=` + m.ZMQ + `
listen = 127.0.0.1:0,diff=4
listen = 127.0.0.1:0,diff=6

[pool quiet]
daemon = ` + fake.URL + `
listen = 127.0.0.1:0,diff=8
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, "--config", file, "--redis", redis.URL())
	if len(n.ports) != 3 {
		t.Fatalf("the banner names the ports %v", n.ports)
	}
	before := m.Height()
	c := hire(t, rig{n.ports[0], walletA, "a"}, rig{n.ports[1], walletB, "b"}, rig{n.ports[2], walletA, "c"})
	n.wait("blocks of the one pool, shares of the other", func() error {
		s := n.metrics()
		if s.Sum("assay_blocks_accepted_total", "pool", "real") < 2 || s.Sum("assay_credited_difficulty_total", "pool", "quiet") < 24 {
			return os.ErrNotExist
		}
		return nil
	})
	who := c.rest()
	n.checkI1()
	// One pool's daemon away makes the node unready for that pool by name.
	fake.Down()
	n.waitUnready("quiet/daemons", "no daemon is usable")
	if _, body, err := n.get("/readyz"); err != nil || !strings.Contains(body, `{"check":"real/daemons","ok":true}`) {
		t.Errorf("/readyz says of the other pool: %s %v", body, err)
	}
	n.stop()
	real, quiet := openBooks(t, redis.URL(), "real"), openBooks(t, redis.URL(), "quiet")
	real.equal(who[:2])
	quiet.equal(who[2:])
	checkChain(t, real, m, before)
	if blocks := quiet.blocks(); len(blocks) != 0 {
		t.Errorf("the quiet pool has blocks: %v", blocks)
	}
}
