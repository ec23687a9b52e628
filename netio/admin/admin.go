package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/assay-pool/assay/internal/redact"
)

// DefaultListen is where the server listens unless told otherwise: loopback, since it has no
// password, and not 9100, which is node_exporter's on the machines that are watched.
const DefaultListen = "127.0.0.1:9180"

// Limits that no operator needs to turn: the clients are a scraper, a balancer and curl.
const (
	readTimeout    = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	// writeTimeout leaves room for profiles of up to two minutes.
	writeTimeout = 150 * time.Second
	maxScrapes   = 4 // at once; a scrape walks every collector
	// maxProfiles at once: each may take two minutes, and all connections busy with
	// them would keep scrapers and health checks out.
	maxProfiles = 4
	// maxConns at once, in descriptors of the process: a few scrapers, a balancer's
	// health checks and an operator's profiles.
	maxConns = 32
)

// Check is one thing that must hold for the node to be given miners; nil = it holds. It must
// return at once (no network calls) and be safe for concurrent use.
type Check struct {
	Name string
	Func func() error
	// Note is what an operator should know while the check holds, "" = nothing; nil = never anything.
	Note func() string
}

// Config of a Server.
type Config struct {
	// Listen is host:port, default DefaultListen. Port 0 takes a free one.
	Listen string
	// AllowRemote permits an address that is not loopback. Default false.
	AllowRemote bool
	// AllowHosts are further names a Host header may carry, without port.
	AllowHosts []string
	// Gatherer of /metrics; required.
	Gatherer prometheus.Gatherer
	// Ready are the checks of /readyz, in the order they are shown.
	Ready []Check
	// Log, nil = none.
	Log *slog.Logger
	// Registerer of the port's own metrics, nil = none.
	Registerer prometheus.Registerer
}

// Server is listening once New returned, and answers once Serve runs.
type Server struct {
	cfg Config
	l   *limiter
	srv *http.Server
}

// New checks the configuration and opens the port.
func New(cfg Config) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Gatherer == nil {
		return nil, errors.New("admin server: no metrics gatherer")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("--admin-listen %s: %w", cfg.Listen, err)
	}
	limited, err := newLimiter(l, cfg.Registerer)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("admin server metrics: %w", err)
	}
	s := &Server{cfg: cfg, l: limited}
	s.srv = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ConnState: limited.state,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	s.srv.RegisterOnShutdown(limited.closeIdle)
	return s, nil
}

// Check fills in what is zero and refuses an address that cannot be served, by
// the flag to change. New does the same.
func (c *Config) Check() error {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--admin-listen %s: want HOST:PORT: %w", c.Listen, err)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("--admin-listen %s: %w", c.Listen, err)
	}
	if c.AllowRemote || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--admin-listen %s is not loopback: metrics and profiles would be open to the network; listen on 127.0.0.1, or give --admin-public if that is wanted", c.Listen)
}

// Addr is the address it listens on.
func (s *Server) Addr() net.Addr { return s.l.Addr() }

// Serve answers until Shutdown; it returns nil then.
func (s *Server) Serve() error {
	if err := s.srv.Serve(s.l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	return nil
}

// Shutdown finishes running requests until ctx ends, then closes what is left; its error is ctx's
// then. Connections without a request are not waited for. It closes the port also when Serve was
// never called.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.srv.Shutdown(ctx)
	if err != nil {
		s.srv.Close()
	}
	s.l.Close() // already closed unless Serve never ran
	return err
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	profile := atMost(maxProfiles)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Gatherer, promhttp.HandlerOpts{
		// One broken collector must not hide all others.
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /debug/pprof/", profile(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) {
		// Not pprof's own: a command line may hold passwords.
		text(w, strings.Join(redact.Args(os.Args), "\x00"))
	})
	mux.HandleFunc("GET /debug/pprof/profile", profile(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", profile(pprof.Symbol))
	mux.HandleFunc("POST /debug/pprof/symbol", profile(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", profile(pprof.Trace))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		text(w, "/metrics       Prometheus metrics\n/healthz       200 while the process serves\n"+
			"/readyz        200 when miners are welcome, else 503 with reasons\n/debug/pprof/  profiles\n")
	})
	return mux
}

// atMost gives handlers that together answer so many requests at once, and
// refuse the others.
func atMost(n int) func(http.HandlerFunc) http.HandlerFunc {
	places := make(chan struct{}, n)
	return func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				next(w, r)
			default:
				http.Error(w, "too many profiles at once", http.StatusServiceUnavailable)
			}
		}
	}
}

func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte(s))
}

// checkLine is one line of /readyz.
type checkLine struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
	Note   string `json:"note,omitempty"`
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	lines := make([]checkLine, 0, len(s.cfg.Ready))
	code := http.StatusOK
	for _, c := range s.cfg.Ready {
		l := checkLine{Check: c.Name, OK: true}
		if err := c.Func(); err != nil {
			l.OK, l.Reason, code = false, redact.Text(err.Error()), http.StatusServiceUnavailable
		} else if c.Note != nil {
			l.Note = redact.Text(c.Note())
		}
		lines = append(lines, l)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return // the client is gone
		}
	}
}

// guard lets only requests through whose Host names this server.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.hostAllowed(r) {
			http.Error(w, "unknown Host; allow the name explicitly if it is this server's", http.StatusForbidden)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// hostAllowed: an IP address in Host cannot be rebound, so any loopback one is right, and so is
// the address the request arrived at.
func (s *Server) hostAllowed(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || slices.ContainsFunc(s.cfg.AllowHosts, func(a string) bool { return strings.EqualFold(a, host) }) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	ap, err := netip.ParseAddrPort(local.String())
	return err == nil && ap.Addr().Unmap() == ip.Unmap()
}
