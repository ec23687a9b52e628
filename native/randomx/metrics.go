package randomx

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/native/cpu"
)

// metrics are the collectors of one manager. They work unregistered too.
type metrics struct {
	light, full                 prometheus.Counter
	refused                     prometheus.Counter
	cacheFailed, datasetFailed  prometheus.Counter
	cacheSeconds, dataSeconds   prometheus.Observer
	cachesAborted, dataPrempted prometheus.Counter

	all []prometheus.Collector
	reg prometheus.Registerer
}

func newMetrics(m *Manager) (*metrics, error) {
	hashes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "assay_randomx_hashes_total",
		Help: "Hashes computed, by memory mode."}, []string{"mode"})
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "assay_randomx_build_failures_total",
		Help: "Caches and datasets that could not be built."}, []string{"kind"})
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "assay_randomx_builds_dropped_total",
		Help: "Builds whose result nobody wanted any more."}, []string{"kind"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "assay_randomx_build_seconds",
		Help:    "Wall time of finished builds.",
		Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 25, 60, 150, 600}}, []string{"kind"})
	x := &metrics{
		light: hashes.WithLabelValues("light"), full: hashes.WithLabelValues("full"),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_randomx_refused_seeds_total",
			Help: "Announced seeds for which no cache was left."}),
		cacheFailed: failures.WithLabelValues("cache"), datasetFailed: failures.WithLabelValues("dataset"),
		cacheSeconds: seconds.WithLabelValues("cache"), dataSeconds: seconds.WithLabelValues("dataset"),
		cachesAborted: dropped.WithLabelValues("cache"), dataPrempted: dropped.WithLabelValues("dataset"),
		reg: m.cfg.Registerer,
	}
	gauge := func(name, help string, f func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return f(m.Status()) })
	}
	x.all = []prometheus.Collector{hashes, failures, dropped, seconds, x.refused,
		gauge("assay_randomx_caches", "Caches allocated, 256 MiB each.", func(s Status) float64 { return float64(s.Caches) }),
		gauge("assay_randomx_datasets", "Datasets allocated, 2080 MiB each.", func(s Status) float64 { return float64(s.Datasets) }),
		gauge("assay_randomx_epochs_full", "Seeds verified with a complete dataset.", func(s Status) float64 { return float64(s.count(Full)) }),
		gauge("assay_randomx_epochs_waiting", "Seeds without a usable cache.", func(s Status) float64 {
			return float64(s.count(Queued) + s.count(BuildingCache) + s.count(Failed))
		}),
		gauge("assay_randomx_huge_page_bytes", "Bytes of caches and datasets on reserved huge pages.", func(s Status) float64 { return float64(s.PageBytes[cpu.Huge]) }),
		gauge("assay_randomx_bytes", "Bytes of caches and datasets.", func(s Status) float64 {
			return float64(s.PageBytes[cpu.Plain] + s.PageBytes[cpu.THP] + s.PageBytes[cpu.Huge])
		}),
	}
	if x.reg == nil {
		return x, nil
	}
	for i, c := range x.all {
		if err := x.reg.Register(c); err != nil {
			x.all = x.all[:i]
			x.unregister()
			return nil, fmt.Errorf("randomx metrics: %w", err)
		}
	}
	return x, nil
}

// unregister lets a later manager use the same registry.
func (x *metrics) unregister() {
	if x.reg == nil {
		return
	}
	for _, c := range x.all {
		x.reg.Unregister(c)
	}
}
