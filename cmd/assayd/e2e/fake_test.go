package e2e

import (
	"encoding/hex"
	"testing"

	"github.com/assay-pool/assay/netio/daemon/daemontest"
)

// genesis is the id of regtest's first block, the seed of its first epoch. The
// scripted daemons use it too, so that all tests share one RandomX cache.
const genesis = "418015bb9ae982a1975da7d79277c2705727a56894ba0fb246adaabb1f4632e3"

func seedOf(t testing.TB, digits string) [32]byte {
	t.Helper()
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 32 {
		t.Fatalf("seed %q: %v", digits, err)
	}
	return [32]byte(raw)
}

// newFake is a scripted daemon at height 100 of a chain that begins with
// regtest's genesis.
func newFake(t testing.TB, difficulty uint64) *daemontest.Fake {
	t.Helper()
	seed := seedOf(t, genesis)
	f := daemontest.NewFake(t, daemontest.FakeOptions{Height: 1, Difficulty: difficulty, Seed: seed})
	f.SetTip(seed) // the block at height 0
	f.SetHeight(100)
	return f
}
