package pool

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/validator"
	"github.com/assay-pool/assay/validator/coin"
	"github.com/assay-pool/assay/validator/job"
)

type metrics struct {
	found, won, lost prometheus.Counter
	shed, unanswered prometheus.Counter
	known, left      prometheus.Counter
	leftovers        prometheus.Counter
	waiting, watched prometheus.Gauge
	foreign          prometheus.Counter
	tipsMissed       prometheus.Counter
	templates        prometheus.Counter
	dropped, unknown prometheus.Counter
	refusals         *prometheus.CounterVec
	credited         prometheus.Counter
	latency          prometheus.Histogram
	height           prometheus.Gauge
	difficulty       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, pool string, board *job.Board, addresses *coin.AddressCache) *metrics {
	labels := prometheus.Labels{"pool": pool}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		found:      counter("assay_blocks_found_total", "Proven hashes that met the network difficulty, submitted to the daemons."),
		won:        counter("assay_blocks_accepted_total", "Blocks a daemon accepted."),
		lost:       counter("assay_blocks_rejected_total", "Blocks no daemon accepted."),
		shed:       counter("assay_blocks_shed_total", "Found blocks given up because too many waited for the daemons; part of the rejected."),
		unanswered: counter("assay_blocks_unanswered_total", "Blocks no daemon gave a definite answer for; the chain was asked."),
		known:      counter("assay_blocks_known_total", "Proven blocks that had been found before and were not submitted again."),
		left:       counter("assay_blocks_unsettled_total", "Found blocks whose fate this process could not learn; the next start settles them."),
		leftovers:  counter("assay_blocks_leftover_total", "Blocks that earlier starts had left open; then part of the accepted, the rejected or the unsettled."),
		waiting:    gauge("assay_blocks_waiting", "Found blocks that wait to be submitted."),
		watched:    gauge("assay_blocks_watched", "Blocks of unknown fate the chain is being asked for."),
		foreign:    counter("assay_foreign_extra_nonce_total", "Blocks of the chain with an extra nonce of this pool that this node did not find: somebody hands out the same jobs. Alarm on any."),
		tipsMissed: counter("assay_tips_missed_total", "New blocks of the chain that were not looked at for an extra nonce of ours: the next came first, no daemon gave them, or they have another form."),
		templates:  counter("assay_templates_total", "Block templates published."),
		dropped:    counter("assay_templates_dropped_total", "Block templates dropped because a block on them was refused though their parent was still the tip. Each is money lost: look at the daemon."),
		unknown:    counter("assay_next_seeds_unconfirmed_total", "Templates whose next seed was not the chain's, or could not be asked for: it was not built."),
		credited:   counter("assay_credited_difficulty_total", "Difficulty of the accepted shares."),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assay_templates_refused_total", Help: "Block templates refused, by reason.", ConstLabels: labels,
		}, []string{"reason"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_share_seconds", Help: "Time from a share's arrival to its answer: the hash, and the journal.", ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		height:     gauge("assay_template_height", "Height of the newest template."),
		difficulty: gauge("assay_network_difficulty", "Network difficulty of the newest template."),
	}
	if reg == nil {
		return m
	}
	cache := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read)
	}
	reg.MustRegister(
		cache("assay_address_cache_hits_total", "Logins whose address was known.", func() float64 { hits, _ := addresses.Stats(); return float64(hits) }),
		cache("assay_address_cache_misses_total", "Logins whose address had to be parsed.", func() float64 { _, misses := addresses.Stats(); return float64(misses) }),
	)
	reg.MustRegister(m.found, m.won, m.lost, m.shed, m.unanswered, m.known, m.left, m.leftovers, m.waiting, m.watched, m.foreign, m.tipsMissed, m.templates, m.dropped, m.unknown, m.credited, m.refusals, m.latency, m.height, m.difficulty,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "assay_template_age_seconds", Help: "Time since the newest template came or was confirmed as still the best; -1 while there is none.", ConstLabels: labels,
		}, func() float64 {
			if age, any := board.Age(); any {
				return age.Seconds()
			}
			return -1
		}))
	return m
}

func (m *metrics) judged(s *Share) {
	m.latency.Observe(time.Since(s.Received).Seconds())
	if s.Verdict == validator.Accepted {
		m.credited.Add(float64(s.Difficulty))
	}
}

func (m *metrics) published(t *job.Template) {
	m.templates.Inc()
	m.height.Set(float64(t.Height))
	m.difficulty.Set(float64(t.Difficulty.Hi)*0x1p64 + float64(t.Difficulty.Lo))
}

func (m *metrics) refused(err error) {
	reason := "seed_wait"
	var r *job.Refusal
	if errors.As(err, &r) {
		reason = r.Reason
	}
	m.refusals.WithLabelValues(reason).Inc()
}
