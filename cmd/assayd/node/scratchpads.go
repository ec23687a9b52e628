package node

import (
	"fmt"
	"math"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/native/cpu"
)

// scratchpads are the CryptoNight arenas of the hash workers, one each.
type scratchpads struct {
	bytes   int // of one; 0: no algorithm was expected
	workers map[cpu.Pages]int
}

func newScratchpads(bytes int, pages []cpu.Pages) scratchpads {
	s := scratchpads{bytes, map[cpu.Pages]int{}}
	for _, p := range pages {
		s.workers[p]++
	}
	return s
}

// wanted is the reserved huge pages that would hold what lies elsewhere.
func (s scratchpads) wanted() int {
	const page = 2 << 20
	return (s.bytes + page - 1) / page * (s.workers[cpu.Plain] + s.workers[cpu.THP])
}

// String tells the memory of a thread and its kind, for the banner.
func (s scratchpads) String() string {
	var kinds []string
	for _, p := range []cpu.Pages{cpu.Huge, cpu.THP, cpu.Plain} {
		name := p.String()
		if p != cpu.THP {
			name += " pages"
		}
		switch s.workers[p] {
		case 0:
		case s.workers[cpu.Huge] + s.workers[cpu.THP] + s.workers[cpu.Plain]:
			kinds = append(kinds, " on "+name)
		default:
			kinds = append(kinds, fmt.Sprintf(", %d on %s", s.workers[p], name))
		}
	}
	// From 0.5 MiB of the smallest variants to 256 MiB; the lanes' few KiB of
	// stagger are rounded off.
	mib := math.Round(float64(s.bytes)/(1<<20)*10) / 10
	return fmt.Sprintf("%.3g MiB a thread%s", mib, strings.Join(kinds, ""))
}

// register exports the bytes by the kind of page, for kinds that occur.
func (s scratchpads) register(r prometheus.Registerer) {
	if s.bytes == 0 {
		return
	}
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "assay_cryptonight_scratchpad_bytes",
		Help: "Bytes of the hash workers' scratchpads for the pools' algorithms, by kind of page."}, []string{"pages"})
	for p, workers := range s.workers {
		gauge.WithLabelValues(p.String()).Set(float64(workers * s.bytes))
	}
	r.MustRegister(gauge)
}
