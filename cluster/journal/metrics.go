package journal

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one journal, labelled with its pool.
type metrics struct {
	reg                                          prometheus.Registerer
	all                                          []prometheus.Collector
	seconds, records                             prometheus.Histogram
	kinds                                        [KindLost]prometheus.Counter
	refused, failures, damaged, early, unwritten prometheus.Counter
}

func newMetrics(r prometheus.Registerer, pool string, status func() Status) (*metrics, error) {
	m := &metrics{reg: r}
	labels := prometheus.Labels{"pool": pool}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_" + name, Help: help, ConstLabels: labels})
		m.all = append(m.all, c)
		return c
	}
	gauge := func(name, help string, value func(Status) float64) {
		m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "assay_" + name, Help: help, ConstLabels: labels},
			func() float64 { return value(status()) }))
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "assay_" + name, Help: help, ConstLabels: labels, Buckets: buckets})
		m.all = append(m.all, h)
		return h
	}
	gauge("journal_bytes", "Bytes of all segments on disk.", func(s Status) float64 { return float64(s.Bytes) })
	gauge("journal_end", "Position of the durable end.", func(s Status) float64 { return float64(s.End) })
	gauge("journal_up", "1 while shares are taken, 0 while they are refused because the disk fails or the journal is full.", func(s Status) float64 {
		if s.Err == nil {
			return 1
		}
		return 0
	})
	gauge("journal_unreleased_bytes", "Bytes of records that a reader still needs.", func(s Status) float64 { return float64(s.Unreleased) })
	gauge("blocks_open", "Found blocks whose fate is not in the journal yet.", func(s Status) float64 { return float64(s.Open) })
	m.seconds = histogram("journal_commit_seconds", "Duration of a commit: write and sync.", prometheus.ExponentialBuckets(0.0001, 2, 15))
	m.records = histogram("journal_batch_records", "Records of a commit.", prometheus.ExponentialBuckets(1, 4, 10))
	records := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "assay_journal_records_total", ConstLabels: labels,
		Help: "Records that became durable, by kind."}, []string{"kind"})
	m.all = append(m.all, records)
	for k := KindCredit; k < KindLost; k++ {
		m.kinds[k] = records.WithLabelValues(k.String())
	}
	m.refused = counter("journal_refused_total", "Shares refused because they could not be written down.")
	m.failures = counter("journal_failures_total", "Segments given up because the disk failed or did not answer in time.")
	m.damaged = counter("journal_damaged_total", "Reports of parts that cannot be read, by each reader and at each start.")
	m.early = counter("journal_discarded_early_total", "Segments deleted before --journal-keep was over, because of --journal-max.")
	m.unwritten = counter("blocks_unwritten_total", "Found blocks without a record on disk; a crash before they are settled would lose them from the books.")
	return m, m.register()
}

func (m *metrics) register() error {
	if m.reg == nil {
		return nil
	}
	for i, c := range m.all {
		if err := m.reg.Register(c); err != nil {
			for _, done := range m.all[:i] {
				m.reg.Unregister(done)
			}
			return fmt.Errorf("journal: register metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}

// commit counts a durable batch.
func (m *metrics) commit(b *batch, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	records := 0
	for k, n := range b.counts {
		if n > 0 {
			m.kinds[k].Add(float64(n))
			records += n
		}
	}
	m.records.Observe(float64(records))
}
