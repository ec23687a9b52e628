package server

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/netio/stratum"
	"github.com/assay-pool/assay/validator/pool"
)

// poolWork is whether a pool has work for its miners. Without it they wait for a
// while, because daemons come back; after NoWorkTimeout they are sent away, and
// new ones refused, so that their backup pools are used.
//
//	template ──too old──▶ since ──NoWorkTimeout──▶ gone: a text, then closed
//	   ▲                                             │ logins: a text, then closed
//	   └───────────── a new template ────────────────┘
//
// The ticker writes, any thread reads. A template that comes between two ticks
// is served at once: gone is looked at only where there is none.
type poolWork struct {
	since atomic.Int64 // clock at which work ended; 0 = there is work
	gone  atomic.Bool  // longer than NoWorkTimeout ago
}

// leavePace is how many sessions a second a loop sends away. Each comes back
// within seconds to be refused, which costs the loop some 100 µs: 200 a second
// are 2 % of it, and 18,000 miners on one loop are gone in 90 s.
const leavePace = 200

// watchWork looks at every pool's board. It runs on the ticker.
func (s *Server) watchWork() {
	now := max(s.clock(), 1)
	for i, p := range s.pools {
		w := &s.work[i]
		if p.Board().Current() != nil {
			if w.gone.Swap(false) {
				s.log.Info("there is work again: miners are taken", "pool", p.Name())
			}
			w.since.Store(0)
			continue
		}
		w.since.CompareAndSwap(0, now)
		if time.Duration(now-w.since.Load()) > s.cfg.NoWorkTimeout && !w.gone.Swap(true) {
			s.log.Error("no work for too long: miners are sent to their backup pools (--no-work-timeout)", "pool", p.Name(), "timeout", s.cfg.NoWorkTimeout)
		}
	}
}

// without is how long a pool has been without work; 0 if it has some.
func (s *Server) without(pool int) time.Duration {
	since := s.work[pool].since.Load()
	if since == 0 || s.pools[pool].Board().Current() != nil {
		return 0
	}
	return time.Duration(s.clock() - since)
}

// Serving tells why a pool's miners are sent away, or nil while they are not.
func (s *Server) Serving(p *pool.Pool) error {
	for i, other := range s.pools {
		if d := s.without(i); other == p && d > 0 && s.work[i].gone.Load() {
			return fmt.Errorf("no usable block template for %s: miners are sent to their backup pools (--no-work-timeout %s)", d.Round(time.Second), s.cfg.NoWorkTimeout)
		}
	}
	return nil
}

// registerWork adds a gauge for each pool.
func (s *Server) registerWork() {
	if s.cfg.Registerer == nil {
		return
	}
	for i, p := range s.pools {
		s.cfg.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "assay_no_work_seconds", Help: "Time since the pool's last usable template; 0 while it has one.",
			ConstLabels: prometheus.Labels{"pool": p.Name()},
		}, func() float64 { return s.without(i).Seconds() }))
	}
}

// sendAway ends a session whose pool has had no work for too long, with a text,
// at most leavePace of them a second. The pool has no template now.
func (l *loop) sendAway(s *session) bool {
	if !l.server.work[s.port.pool].gone.Load() || l.sweep.leave == 0 {
		return false
	}
	l.sweep.leave--
	l.out = stratum.AppendNotice(l.out[:0], stratum.TextNoWorkLeave)
	s.write(l.out)
	s.close(closedNoWork)
	return true
}
