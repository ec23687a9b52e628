package e2e

import (
	"fmt"
	"testing"

	"github.com/assay-pool/assay/cluster/store/redistest"
	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// TestRedisForgetsWhose: a Redis that comes back empty is tied to its pool anew.
func TestRedisForgetsWhose(t *testing.T) {
	m := daemontest.Start(t, daemontest.Options{Difficulty: noBlocks})
	redis := redistest.Start(t)
	n := startNode(t, "--redis", redis.URL(), "--daemon", m.URL, "--listen", "127.0.0.1:0,diff=2")
	c := hire(t, rig{n.ports[0], walletA, "rig"})
	c.mine(n, 3)
	redis.CLI("FLUSHALL")
	c.mine(n, 3)
	n.wait("the pool's identity", func() error {
		if got := redis.CLI("EXISTS", "{default}:identity"); got != "1" {
			return fmt.Errorf("%q, keys %s", got, redis.CLI("KEYS", "*"))
		}
		return nil
	})
	who := c.rest()
	n.stop()
	openBooks(t, redis.URL(), "default").equal(who)
}
