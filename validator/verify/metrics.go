package verify

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/validator"
)

// metrics are the collectors of one verify pool. Shares are counted where they
// are judged, so that received = accepted + rejected + shed holds over the
// pipeline and the sessions before it (I1).
type metrics struct {
	wait    prometheus.Histogram
	hash    prometheus.Histogram
	batch   prometheus.Histogram
	judged  [validator.Verdicts]prometheus.Counter
	hashes  prometheus.Counter
	blocks  prometheus.Counter
	busy    prometheus.Counter
	workers prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, q *queue, rules []Rule) *metrics {
	m := &metrics{
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_verify_wait_seconds", Help: "Time a share waited in the verify queue.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		hash: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_verify_hash_seconds", Help: "Time of one hash, a batch's time divided by its shares.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 12),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_verify_batch_shares", Help: "Shares hashed in one native call.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
		hashes:  prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_verify_hashes_total", Help: "Hashes computed."}),
		blocks:  prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_verify_blocks_total", Help: "Proven hashes that met the difficulty of a network."}),
		busy:    prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_verify_busy_seconds_total", Help: "Time the hash workers spent hashing, summed over workers."}),
		workers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "assay_verify_workers", Help: "Hash workers."}),
	}
	judged := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "assay_verify_judged_total", Help: "Shares that left the verify pipeline, by verdict.",
	}, []string{"verdict"})
	for v := validator.Accepted; v < validator.Verdicts; v++ {
		m.judged[v] = judged.WithLabelValues(v.String())
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.wait, m.hash, m.batch, m.hashes, m.blocks, m.busy, m.workers, judged)
	for i, rule := range rules {
		c, labels := Class(i), prometheus.Labels{"class": rule.Name}
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "assay_verify_queue_shares", Help: "Shares waiting, by class.",
			ConstLabels: labels,
		}, func() float64 { shares, _ := q.depth(c); return float64(shares) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "assay_verify_queue_hosts", Help: "Hosts (IP addresses; IPv6: /64) whose shares wait, by class; service goes round by them.",
				ConstLabels: labels,
			}, func() float64 { _, hosts := q.depth(c); return float64(hosts) }))
	}
	return m
}
