package ledger

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one ledger, labelled with its pool.
type metrics struct {
	reg                                         prometheus.Registerer
	pending, oldest                             prometheus.GaugeFunc
	latency, batchEntries                       prometheus.Histogram
	calls, retries, duplicates, resyncs         prometheus.Counter
	gaps, lostHashes, lostShares                prometheus.Counter
	unnamed, rounds, orphaned, archived, unread prometheus.Counter
}

// newMetrics registers them. What waits is asked of status when it is read: a
// number kept beside the journal would stand still while nothing is confirmed,
// which is when somebody looks at it.
func newMetrics(r prometheus.Registerer, pool string, status func() Status) (*metrics, error) {
	labels := prometheus.Labels{"pool": pool}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "assay_ledger_" + name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		reg: r,
		pending: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "assay_ledger_pending_bytes", ConstLabels: labels,
			Help: "Bytes of the journal that Redis has not confirmed."},
			func() float64 { return float64(status().Pending) }),
		oldest: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "assay_ledger_oldest_seconds", ConstLabels: labels,
			Help: "Age of the oldest share that is being applied to Redis; 0 = none."},
			func() float64 { return status().Age.Seconds() }),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "assay_ledger_flush_seconds", ConstLabels: labels,
			Help: "Duration of a confirmed script call.", Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12)}),
		batchEntries: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "assay_ledger_batch_entries", ConstLabels: labels,
			Help: "Entries (distinct wallet, worker and minute) of a range.", Buckets: prometheus.ExponentialBuckets(1, 3, 8)}),
		calls:      counter("calls_total", "Script calls tried, repeats included."),
		retries:    counter("retries_total", "Script calls that failed or were refused and are tried again."),
		duplicates: counter("duplicates_total", "Ranges that had been applied although their answer was lost."),
		resyncs:    counter("resyncs_total", "Times the journal was read again from an earlier mark, because Redis had forgotten what it had confirmed."),
		gaps:       counter("gaps_total", "Parts of the journal that were gone before they were applied."),
		lostHashes: counter("lost_hashes_total", "Difficulty of the shares in those parts."),
		lostShares: counter("lost_shares_total", "Shares in those parts."),
		unnamed:    counter("unnamed_rejects_total", "Refused shares counted by reason only, not by wallet and worker, because too many wait for Redis."),
		rounds:     counter("rounds_closed_total", "Rounds closed by this node."),
		orphaned:   counter("rejected_blocks_total", "Found blocks that no daemon accepted."),
		archived:   counter("rounds_archived_total", "Rounds whose chunks were archived."),
		unread:     counter("archive_failures_total", "Attempts to archive rounds that failed."),
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
	return []prometheus.Collector{m.pending, m.oldest, m.latency, m.batchEntries, m.calls, m.retries, m.duplicates, m.resyncs,
		m.gaps, m.lostHashes, m.lostShares, m.unnamed, m.rounds, m.orphaned, m.archived, m.unread}
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all() {
		m.reg.Unregister(c)
	}
}
