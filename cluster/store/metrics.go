package store

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one Store. Two stores of one process need registerers that tell
// them apart (prometheus.WrapRegistererWith).
type metrics struct {
	up       prometheus.Gauge
	commands prometheus.Counter
	errors   prometheus.Counter
	noScript prometheus.Counter
	cuts     prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{Name: "assay_redis_up",
			Help: "1 while Redis answers and takes writes, 0 while it does not: no answer, or one like READONLY, LOADING, MISCONF or OOM."}),
		commands: prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_redis_commands_total",
			Help: "Commands and script calls sent to Redis."}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_redis_errors_total",
			Help: "Calls to Redis that failed or were refused."}),
		noScript: prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_redis_script_loads_total",
			Help: "Scripts sent in full because the server did not know their digest."}),
	}
	m.cuts = prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_redis_cuts_total",
		Help: "Times the connections were cut because the server is not the master any more."})
	if r == nil {
		return m, nil
	}
	for i, c := range m.all() {
		if err := r.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				r.Unregister(done)
			}
			return nil, fmt.Errorf("register redis metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.up, m.commands, m.errors, m.noScript, m.cuts}
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}
