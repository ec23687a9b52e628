package node

import (
	"github.com/assay-pool/assay/cmd/assayd/config"
	"github.com/assay-pool/assay/native/cpu"
)

// pins gives each worker a CPU, none where it is better not to, and says which
// in words for the banner.
//
// A container with a CPU quota below its CPUs is one of several on the machine,
// and each sees all CPUs: pinned, the workers of all of them would crowd on the
// same last ones while the first are idle.
func pins(pin string, info *cpu.Info, workers int) (cpus []int, how string) {
	switch {
	case pin != config.PinAuto && pin != config.PinAlways:
		return nil, "not pinned"
	case pin == config.PinAuto && info.Quota.Below(len(info.CPUs)):
		return nil, "not pinned: the CPU quota is below the CPUs"
	case workers > len(info.CPUs):
		return nil, "not pinned: more than CPUs"
	}
	return pinned(info.CPUs, workers), "pinned"
}

// pinned takes the CPUs from the last one down: the first are where the
// system's interrupts and our event loops tend to run.
func pinned(cpus []int, workers int) []int {
	out := make([]int, workers)
	for i := range out {
		out[i] = cpus[len(cpus)-1-i]
	}
	return out
}
