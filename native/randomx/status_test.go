package randomx

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-pool/assay/native/cpu"
)

func TestStatusAndBanner(t *testing.T) {
	m := newFake(t, Config{Mode: ModeFull, MaxDatasets: 1}, &fakeLibrary{})
	m.Announce("pool", seedOf(1), seedOf(2))
	waitReady(t, m, seedOf(2))
	eventually(t, "full", func() bool { return stateOf(m, seedOf(1)) == Full })
	s := m.Status()
	if len(s.Epochs) != 2 || s.Epochs[0].Seed != seedOf(1) || s.Epochs[0].Progress != 1 || s.Epochs[1].State != Light {
		t.Errorf("epochs: %+v", s.Epochs)
	}
	if s.PageBytes[cpu.Plain] != 2*cacheBytes || s.PageBytes[cpu.Huge] != datasetBytes {
		t.Errorf("page bytes: %v", s.PageBytes)
	}
	if got, want := m.PagesNeeded(3), 3*128+1040+3*DefaultVMsPerWorker; got != want {
		t.Errorf("PagesNeeded(3) = %d, want %d", got, want)
	}
	// What others lack comes on top of what is still to come.
	const lacking = 1 << 20
	more := m.PagesNeeded(3) - int(s.PageBytes[cpu.Huge]/hugePageBytes) + lacking
	if hint := strings.Join(m.Banner(3, lacking), "\n"); !strings.Contains(hint, fmt.Sprintf("%d huge pages", more)) {
		t.Errorf("banner does not ask for %d pages:\n%s", more, hint)
	}
	none := newFake(t, Config{Mode: ModeFull, MaxDatasets: 1, NoHugePages: true}, &fakeLibrary{})
	if banner := strings.Join(none.Banner(3, lacking), "\n"); strings.Contains(banner, "huge pages") {
		t.Errorf("the banner asks for pages that are not to be taken:\n%s", banner)
	}
	banner := strings.Join(m.Banner(3, 0), "\n")
	for _, want := range []string{" * RANDOMX      fake", " * MEMORY       full: 1 dataset(s)"} {
		if !strings.Contains(banner, want) {
			t.Errorf("banner lacks %q:\n%s", want, banner)
		}
	}
}
