package randomx

import (
	"errors"
	"strings"
	"testing"

	"github.com/assay-pool/assay/internal/logtest"
)

// TestLogsOutsideTheLock: hash workers take the manager's lock for each batch,
// so a log that hangs must not be able to hold it. newFake checks each line of
// every test; this one makes sure that all kinds are among them.
func TestLogsOutsideTheLock(t *testing.T) {
	log := logtest.New(t)
	m := newFake(t, Config{Mode: ModeFull, MaxCaches: 2, MaxDatasets: 1}, &fakeLibrary{log: log})
	m.Announce("pool", seedOf(1), Seed{})
	eventually(t, "seed 1 full", func() bool { return stateOf(m, seedOf(1)) == Full })
	m.Announce("pool", seedOf(2), seedOf(3)) // with 1 for late shares, no room for 3
	eventually(t, "seed 2 full", func() bool { return stateOf(m, seedOf(2)) == Full })
	e, err := m.Acquire(seedOf(2))
	if err != nil {
		t.Fatal(err)
	}
	e.Release()
	e.Release()
	for i := range maxOwners {
		m.Announce(strings.Repeat("x", i+1), seedOf(2), Seed{})
	}
	none := newFake(t, Config{Mode: ModeLight}, &fakeLibrary{log: log, failCache: errors.New("no")})
	none.Announce("pool", seedOf(1), Seed{})
	light := newFake(t, Config{Mode: ModeFull}, &fakeLibrary{log: log, failDataset: errors.New("no")})
	light.Announce("pool", seedOf(1), Seed{})
	for _, text := range []string{
		"RandomX cache ready",
		"RandomX dataset ready",
		"RandomX dataset memory goes to a newer seed",
		"no RandomX cache left for a seed; raise the number of caches",
		"RandomX epoch released more often than acquired",
		"too many owners announce RandomX seeds",
		"RandomX cache could not be built",
		"RandomX dataset could not be built; this seed stays in light mode",
	} {
		eventually(t, text, func() bool { return log.Checked(text) })
	}
}
