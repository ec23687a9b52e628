package daemon

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one client. All carry the pool as a constant label, so that the clients of several
// pools share one registry.
type metrics struct {
	up, active, nodeHeight *prometheus.GaugeVec
	feedUp                 *prometheus.GaugeVec
	polls, notices, errors *prometheus.CounterVec
	missed                 *prometheus.CounterVec
	submits                *prometheus.CounterVec
	seconds                *prometheus.HistogramVec

	height                                  prometheus.Gauge
	announced, unchanged, notWorth, refused prometheus.Counter
	sameAgain                               prometheus.Counter
	postponed                               prometheus.Counter
	failovers, submitShed, lingerShed       prometheus.Counter
}

// nodeMetrics are one daemon's, label values resolved once.
type nodeMetrics struct {
	up, active, height, feedUp                  prometheus.Gauge
	polls, notices, missed                      prometheus.Counter
	errors                                      [kindCount]prometheus.Counter
	accepted, rejected, unreachable             prometheus.Counter
	infoSeconds, templateSeconds, submitSeconds prometheus.Observer
}

func (m *nodeMetrics) setUp(up bool) {
	if up {
		m.up.Set(1)
	} else {
		m.up.Set(0)
	}
}

func newMetrics(cfg *Config) (*metrics, error) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		up:         gauge("assay_daemon_up", "1 while the coin daemon answers and is not held against anything.", "daemon"),
		active:     gauge("assay_daemon_active", "1 for the coin daemon templates come from.", "daemon"),
		nodeHeight: gauge("assay_daemon_height", "Height of the block to be found, as the daemon says.", "daemon"),
		feedUp:     gauge("assay_daemon_zmq_up", "1 while the ZMQ subscription at the coin daemon stands and has announced the blocks that polls saw. Absent without zmq=.", "daemon"),
		missed:     counter("assay_daemon_notices_missed_total", "Blocks learnt by a poll that no ZMQ notice announced although the subscription stood.", "daemon"),
		polls:      counter("assay_daemon_polls_total", "Polls of the coin daemon.", "daemon"),
		notices:    counter("assay_daemon_notices_total", "ZMQ notices received from the coin daemon.", "daemon"),
		errors:     counter("assay_daemon_errors_total", "Failed calls and refused templates by kind.", "daemon", "kind"),
		submits:    counter("assay_daemon_submits_total", "Final answers to submitted blocks.", "daemon", "result"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "assay_daemon_call_seconds", Help: "Duration of calls to the coin daemon.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"daemon", "method"}),
	}
	templates := counter("assay_daemon_templates_total", "Templates fetched, by what became of them.", "result")
	m.announced = templates.WithLabelValues("announced")
	m.unchanged = templates.WithLabelValues("unchanged")
	m.notWorth = templates.WithLabelValues("not_worth")
	m.refused = templates.WithLabelValues("refused")
	m.sameAgain = templates.WithLabelValues("refused_block")
	m.postponed = templates.WithLabelValues("postponed")
	m.height = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "assay_daemon_template_height", Help: "Height of the current template."})
	m.failovers = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "assay_daemon_failovers_total", Help: "Times another coin daemon was chosen, or none."})
	m.submitShed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "assay_daemon_submit_shed_total", Help: "Blocks not submitted because too many were being submitted."})
	m.lingerShed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "assay_daemon_linger_shed_total", Help: "Accepted blocks whose delivery to further daemons was given up for newer ones."})
	if cfg.Registerer == nil {
		return m, nil
	}
	reg := prometheus.WrapRegistererWith(prometheus.Labels{"pool": cfg.Pool}, cfg.Registerer)
	for _, col := range []prometheus.Collector{m.up, m.active, m.nodeHeight, m.feedUp, m.polls, m.notices, m.missed, m.errors, m.submits,
		m.seconds, templates, m.height, m.failovers, m.submitShed, m.lingerShed} {
		if err := reg.Register(col); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) node(name string, zmq bool) nodeMetrics {
	nm := nodeMetrics{
		up: m.up.WithLabelValues(name), active: m.active.WithLabelValues(name), height: m.nodeHeight.WithLabelValues(name),
		polls: m.polls.WithLabelValues(name), notices: m.notices.WithLabelValues(name),
		accepted:        m.submits.WithLabelValues(name, "accepted"),
		rejected:        m.submits.WithLabelValues(name, "rejected"),
		unreachable:     m.submits.WithLabelValues(name, "unreachable"),
		infoSeconds:     m.seconds.WithLabelValues(name, "get_info"),
		templateSeconds: m.seconds.WithLabelValues(name, "get_block_template"),
		submitSeconds:   m.seconds.WithLabelValues(name, "submit_block"),
	}
	if zmq {
		nm.feedUp, nm.missed = m.feedUp.WithLabelValues(name), m.missed.WithLabelValues(name)
	}
	for k := range kindCount {
		nm.errors[k] = m.errors.WithLabelValues(name, k.String())
	}
	return nm
}
