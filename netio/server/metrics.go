package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator"
)

// closeReason is why a connection ended; its text is a metric label.
type closeReason uint8

const (
	closedByPeer closeReason = iota // also: the network failed
	closedLoginTimeout
	closedFirstShareTimeout
	closedIdle
	closedSlowReader
	closedLineTooLong
	closedProtocol // too many faults, or noise
	closedUnknownJobs
	closedWrongHashes
	closedNoWork
	closedHTTP
	closedTLS
	closedPanic
	closedShutdown
	closeReasons
)

var closeLabels = [closeReasons]string{
	"peer", "login_timeout", "first_share_timeout", "idle", "slow_reader", "line_too_long",
	"protocol", "unknown_jobs", "wrong_hashes", "no_work", "http", "tls", "panic", "shutdown",
}

// loginResult is how a login went; its text is a metric label.
type loginResult uint8

const (
	loginOK loginResult = iota
	loginAddress
	loginDifficulty
	loginAlgo
	loginNoWork
	loginRepeated
	loginDraining
	loginResults
)

var loginLabels = [loginResults]string{"ok", "bad_address", "bad_difficulty", "algo", "no_work", "repeated", "draining"}

// connRefusal is why a connection was closed as soon as it was accepted.
type connRefusal uint8

const (
	refusedLimit connRefusal = iota
	refusedDraining
	refusedAddress // its own end could not be read: it closed at once
	refusedOptions // the kernel refused its socket options
	refusals
)

var refusalLabels = [refusals]string{"limit", "draining", "address", "options"}

// metrics are the server's collectors, labels resolved once.
type metrics struct {
	received *prometheus.CounterVec // by port
	verdicts *prometheus.CounterVec // by port, class, verdict
	sessions *prometheus.GaugeVec   // by port: logged in

	connections prometheus.Gauge
	accepted    prometheus.Counter
	refused     [refusals]prometheus.Counter
	closes      [closeReasons]prometheus.Counter
	logins      [loginResults]prometheus.Counter
	requests    [stratum.Methods]prometheus.Counter
	faults      prometheus.Counter
	panics      prometheus.Counter
	bytesIn     prometheus.Counter
	bytesOut    prometheus.Counter

	jobs      prometheus.Counter
	deferred  prometheus.Counter
	coalesced prometheus.Counter
	fanout    prometheus.Histogram
	up, down  prometheus.Counter
}

// portMetrics are the collectors of one port.
type portMetrics struct {
	received prometheus.Counter
	verdicts [validator.Verdicts]prometheus.Counter
	sessions prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		all = append(all, c)
		return c
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		all = append(all, v)
		return v
	}
	m := &metrics{
		received:    vec("assay_shares_received_total", "Shares submitted by miners, by port.", "port"),
		verdicts:    vec("assay_shares_total", "Shares answered, by port, class (accepted, rejected, shed) and verdict.", "port", "class", "verdict"),
		sessions:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "assay_sessions", Help: "Sessions logged in, by port."}, []string{"port"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "assay_connections", Help: "Connections open, logged in or not."}),
		accepted:    counter("assay_connections_accepted_total", "Connections accepted and kept."),
		faults:      counter("assay_protocol_errors_total", "Requests that were no valid stratum."),
		panics:      counter("assay_handler_panics_total", "Panics caught on an event loop; each is a bug."),
		bytesIn:     counter("assay_received_bytes_total", "Bytes read from miners."),
		bytesOut:    counter("assay_sent_bytes_total", "Bytes written to miners."),
		jobs:        counter("assay_jobs_sent_total", "Jobs sent, pushed or asked for."),
		deferred:    counter("assay_jobs_deferred_total", "Jobs not pushed because earlier answers are still unread."),
		coalesced:   counter("assay_fanouts_coalesced_total", "Templates that arrived while an earlier one was being fanned out."),
		fanout: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "assay_fanout_seconds", Help: "Time from a template to the last miner's job being written.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
	}
	retargets := vec("assay_retargets_total", "Changes of a session's difficulty by vardiff, by direction.", "direction")
	m.up, m.down = retargets.WithLabelValues("up"), retargets.WithLabelValues("down")
	resolve(m.refused[:], refusalLabels[:], vec("assay_connections_refused_total", "Connections closed as they opened, by reason.", "reason"))
	resolve(m.closes[:], closeLabels[:], vec("assay_connections_closed_total", "Connections ended, by reason.", "reason"))
	resolve(m.logins[:], loginLabels[:], vec("assay_logins_total", "Logins, by result.", "result"))
	requests := vec("assay_requests_total", "Requests that could be read, by method.", "method")
	for method := range stratum.Methods {
		m.requests[method] = requests.WithLabelValues(method.String())
	}
	if reg != nil {
		reg.MustRegister(append(all, m.sessions, m.connections, m.fanout)...)
	}
	return m
}

func resolve(to []prometheus.Counter, labels []string, vec *prometheus.CounterVec) {
	for i := range to {
		to[i] = vec.WithLabelValues(labels[i])
	}
}

func (m *metrics) port(label string) portMetrics {
	p := portMetrics{received: m.received.WithLabelValues(label), sessions: m.sessions.WithLabelValues(label)}
	for v := validator.Accepted; v < validator.Verdicts; v++ {
		class := "shed"
		switch {
		case v == validator.Accepted:
			class = "accepted"
		case v.Rejected():
			class = "rejected"
		}
		p.verdicts[v] = m.verdicts.WithLabelValues(label, class, v.String())
	}
	return p
}
