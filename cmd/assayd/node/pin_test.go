package node

import (
	"slices"
	"testing"

	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/native/cpu"
)

// TestPins: two containers with a quota on one machine do not share the same
// last CPUs unless told to; everybody else has a CPU of its own.
func TestPins(t *testing.T) {
	cpus := []int{0, 1, 2, 3, 8, 9}
	for _, tt := range []struct {
		pin     string
		quota   float64
		workers int
		want    []int
		how     string
	}{
		{config.PinAuto, 0, 2, []int{9, 8}, "pinned"},
		{config.PinAuto, 2.5, 2, nil, "not pinned: the CPU quota is below the CPUs"},
		{config.PinAuto, 6, 3, []int{9, 8, 3}, "pinned"},
		{config.PinAuto, 12, 3, []int{9, 8, 3}, "pinned"},
		{config.PinAuto, 0, 7, nil, "not pinned: more than CPUs"},
		{config.PinAlways, 2.5, 2, []int{9, 8}, "pinned"},
		{config.PinNever, 0, 2, nil, "not pinned"},
	} {
		info := &cpu.Info{CPUs: cpus, Quota: cpu.Quota{CPUs: tt.quota}}
		if got, how := pins(tt.pin, info, tt.workers); !slices.Equal(got, tt.want) || how != tt.how {
			t.Errorf("--pin %s, quota %v, %d workers: %v, %q; want %v, %q", tt.pin, tt.quota, tt.workers, got, how, tt.want, tt.how)
		}
	}
}
