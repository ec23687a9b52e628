package coin

import (
	"testing"

	"github.com/assay-pool/assay/native/algo"
)

func TestLatest(t *testing.T) {
	for name, want := range map[string]algo.ID{"monero": algo.RX0, "ryo": algo.CNGPU, "sumokoin": algo.CNR, "conceal": algo.CNGPU, "masari": algo.CNHalf, "aeon": algo.Unknown} {
		p, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Latest()
		if got != want || (err != nil) != (want == algo.Unknown) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
		if forced, err := p.WithAlgo(algo.CNPico).Latest(); forced != algo.CNPico || err != nil {
			t.Errorf("%s with cn-pico forced: %v, %v", name, forced, err)
		}
	}
}
