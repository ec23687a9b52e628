package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/assay-pool/assay/validator/job"
	"github.com/assay-pool/assay/validator/pool"
)

// port is a Port that is being served. Immutable once held.
type port struct {
	*Port
	pool    int // index of its pool in Server.pools
	addr    netip.AddrPort
	metrics portMetrics
}

// Server serves the ports of all pools of a process. Make one with New.
type Server struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	engineAt *engineLog
	pools    []*pool.Pool // distinct ones
	ports    []*port
	work     []poolWork // by pool
	base     time.Time  // zero of every clock reading in here

	engine   gnet.Engine // set by OnBoot, before booted closes
	conns    atomic.Int64
	draining atomic.Bool
	stopping atomic.Bool
	started  atomic.Bool
	loops    atomic.Pointer[[]*loop] // grows by copying; guarded by loopsMu for writers
	loopsMu  sync.Mutex

	booted chan struct{} // closed once the ports listen
	holds  []int         // descriptors; from Start to OnBoot, or to the engine's end before it
	done   chan struct{} // closed when engine and pacer are gone
	err    error         // set before done closes
	resume chan *loop    // loops whose fan-out has a slice left
}

// New checks the configuration, holds --max-conns against the descriptor limit
// and subscribes to the pools. Nothing listens before Start.
func New(cfg Config) (*Server, error) {
	cfg.Ports = slices.Clone(cfg.Ports)
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	for _, p := range cfg.Ports {
		if p.Pool == nil {
			return nil, fmt.Errorf("server: port %s has no pool", p.Addr)
		}
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, metrics: newMetrics(cfg.Registerer), engineAt: &engineLog{log: cfg.Log},
		base: time.Now(), booted: make(chan struct{}), done: make(chan struct{}),
		resume: make(chan *loop, cfg.Loops),
	}
	s.loops.Store(new([]*loop))
	for i := range s.cfg.Ports {
		p := &port{Port: &s.cfg.Ports[i]}
		if p.pool = slices.Index(s.pools, p.Pool); p.pool < 0 {
			p.pool = len(s.pools)
			s.pools = append(s.pools, p.Pool)
		}
		s.ports = append(s.ports, p)
	}
	s.work = make([]poolWork, len(s.pools))
	s.registerWork()
	for i, p := range s.pools {
		p.Subscribe(func(t *job.Template) { s.publish(i, t) })
	}
	return s, nil
}

// MaxConns is the number of connections taken at once.
func (s *Server) MaxConns() int { return s.cfg.MaxConns }

// Start opens the ports and returns once they listen, or cannot.
func (s *Server) Start() error {
	if !s.started.CompareAndSwap(false, true) {
		return errors.New("server: started twice")
	}
	if err := s.holdPorts(); err != nil {
		s.err = err
		close(s.done)
		return err
	}
	exited := make(chan error, 1)
	go func() {
		exited <- gnet.Rotate((*handler)(s), s.listenAddrs(),
			gnet.WithNumEventLoop(s.cfg.Loops),
			gnet.WithReusePort(true), // see Accepting in doc.go
			gnet.WithReuseAddr(true),
			gnet.WithTicker(true),
			gnet.WithSocketSendBuffer(s.cfg.SendBuffer),
			gnet.WithLogger(s.engineAt))
	}()
	stopPacer := make(chan struct{})
	pacerGone := make(chan struct{})
	go func() { defer close(pacerGone); s.pace(stopPacer) }()
	go func() {
		err := <-exited
		s.releaseHolds()
		close(stopPacer)
		<-pacerGone
		s.err = s.exitError(err)
		close(s.done)
	}()
	select {
	case <-s.booted:
		return nil
	case <-s.done:
		if s.err != nil {
			return s.err
		}
		return errors.New("server: the network engine ended before it listened")
	}
}

// exitError says what the end of the engine means.
func (s *Server) exitError(err error) error {
	switch {
	case s.stopping.Load():
		return nil
	case err != nil:
		return fmt.Errorf("server: network engine: %w", err)
	}
	return fmt.Errorf("server: the network engine stopped by itself (%s): if it ran out of file descriptors, lower --max-conns (now %d) or raise the limit of open files (ulimit -n)",
		s.engineAt.latest(), s.cfg.MaxConns)
}

// Done is closed when the engine has ended, asked or not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the engine has ended; nil while it runs and after Stop. An error
// is fatal for the process: nobody can reach it any more.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Addr is where a port listens, and which of the configured it is.
type Addr struct {
	Port Port
	Addr netip.AddrPort
}

// Addrs are the addresses really listened on, in the order of Config.Ports.
// Valid once Start has returned.
func (s *Server) Addrs() []Addr {
	addrs := make([]Addr, len(s.ports))
	for i, p := range s.ports {
		addrs[i] = Addr{Port: *p.Port, Addr: p.addr}
	}
	return addrs
}

// Stop closes every connection and ends the engine. It does not wait for shares
// in flight: Drain does.
func (s *Server) Stop() {
	s.stopping.Store(true)
	if !s.started.Load() {
		return
	}
	select {
	case <-s.booted:
	case <-s.done:
		return
	}
	// Engine.Stop tells the engine at once and then asks every half second
	// whether it is gone; done tells that sooner.
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.engine.Stop(now)
	<-s.done
}

// clock is the time since New in nanoseconds.
func (s *Server) clock() int64 { return int64(time.Since(s.base)) }

func (s *Server) allLoops() []*loop { return *s.loops.Load() }

// loopOf finds or makes our side of an event loop. gnet names its loops only
// through connections, so a loop is known from its first connection on.
func (s *Server) loopOf(el gnet.EventLoop) *loop {
	for _, l := range s.allLoops() {
		if l.engine == el {
			return l
		}
	}
	s.loopsMu.Lock()
	defer s.loopsMu.Unlock()
	l := newLoop(s, el)
	grown := append(slices.Clone(s.allLoops()), l)
	s.loops.Store(&grown)
	return l
}

// label is a port's metric label: its number.
func label(a netip.AddrPort) string { return strconv.Itoa(int(a.Port())) }
