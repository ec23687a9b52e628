package ledger

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one ledger, labelled with its pool.
type metrics struct {
	reg                                        prometheus.Registerer
	pending, oldest                            prometheus.GaugeFunc
	latency, batchEntries                      prometheus.Histogram
	calls, retries, duplicates, replayed, lost prometheus.Counter
	refused, unnamed, rounds, rejectedBlocks   prometheus.Counter
	lateBlocks                                 prometheus.Counter
}

// newMetrics registers them. What waits is asked of status when it is read: a
// number kept beside the queue would stand still while nothing is confirmed,
// which is when somebody looks at it.
func newMetrics(r prometheus.Registerer, pool string, status func() Status) (*metrics, error) {
	labels := prometheus.Labels{"pool": pool}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_ledger_" + name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		reg: r,
		pending: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "assay_ledger_pending_entries", ConstLabels: labels,
			Help: "Entries (distinct wallet, worker and minute) and finds that Redis has not confirmed."},
			func() float64 { return float64(status().Pending) }),
		oldest: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "assay_ledger_oldest_seconds", ConstLabels: labels,
			Help: "Age of the oldest entry that Redis has not confirmed; 0 = none waits."},
			func() float64 { return status().Age.Seconds() }),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "assay_ledger_flush_seconds", ConstLabels: labels,
			Help: "Duration of a confirmed script call.", Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12)}),
		batchEntries: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "assay_ledger_batch_entries", ConstLabels: labels,
			Help: "Entries of a batch.", Buckets: prometheus.ExponentialBuckets(1, 3, 8)}),
		calls:          counter("calls_total", "Script calls tried, repeats included."),
		retries:        counter("retries_total", "Script calls that failed or were refused and are tried again."),
		duplicates:     counter("duplicates_total", "Repeats of a call that had been applied although its answer was lost."),
		replayed:       counter("replayed_total", "Confirmed calls that were sent again because Redis had forgotten them."),
		lost:           counter("lost_total", "Confirmed calls that Redis forgot and that were no longer retained."),
		refused:        counter("refused_credits_total", "Credits refused because too many wait for Redis."),
		unnamed:        counter("unnamed_rejects_total", "Refused shares counted by reason only, not by wallet and worker, because too many entries wait for Redis."),
		rounds:         counter("rounds_closed_total", "Rounds closed by this node."),
		rejectedBlocks: counter("rejected_blocks_total", "Found blocks that no daemon accepted."),
		lateBlocks:     counter("late_blocks_total", "Found blocks that were not settled in time to close exactly their own round."),
	}
	if r == nil {
		return m, nil
	}
	for i, c := range m.all() {
		if err := r.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				r.Unregister(done)
			}
			return nil, fmt.Errorf("ledger: register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.pending, m.oldest, m.latency, m.batchEntries, m.calls, m.retries, m.duplicates,
		m.replayed, m.lost, m.refused, m.unnamed, m.rounds, m.rejectedBlocks, m.lateBlocks}
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all() {
		m.reg.Unregister(c)
	}
}
