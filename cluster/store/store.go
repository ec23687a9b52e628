package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/assay-pool/assay/internal/redact"
)

// Store is an open connection to Redis, safe for concurrent use.
type Store struct {
	cfg     Config
	client  rueidis.Client
	server  ServerInfo
	metrics *metrics
	conns   *conns
	health  health
}

// Open connects and checks the server. While Redis is away or loading it tries
// again, with a log line each time, until StartTimeout or ctx ends; a wrong
// password or an unfit server is refused at once.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.setDefaults()
	opt, err := cfg.options()
	if err != nil {
		return nil, err
	}
	open := &conns{}
	open.track(&opt)
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	wait := startRetryMin
	for {
		s, err := connect(ctx, cfg, opt, open, m)
		if err == nil {
			cfg.Log.Info("redis is ready", "url", redact.Address(cfg.URL), "version", s.server.Version, "mode", s.server.Mode)
			return s, nil
		}
		if permanent(err) {
			m.unregister(cfg.Registerer)
			return nil, err
		}
		cfg.Log.Warn("redis is not ready, trying again", "url", redact.Address(cfg.URL), "in", wait, "error", err)
		select {
		case <-ctx.Done():
			m.unregister(cfg.Registerer)
			return nil, fmt.Errorf("redis at %s (--redis) not ready within %s (--redis-start-timeout): %w",
				redact.Address(cfg.URL), cfg.StartTimeout, err)
		case <-time.After(wait):
		}
		wait = min(2*wait, startRetryMax)
	}
}

func connect(ctx context.Context, cfg Config, opt rueidis.ClientOption, open *conns, m *metrics) (*Store, error) {
	client, err := rueidis.NewClient(opt)
	if err != nil {
		// A forced single client comes back usable together with its error; a
		// fresh one per attempt keeps this loop the only thing that retries.
		if client != nil {
			client.Close()
		}
		return nil, explain(cfg, err)
	}
	s := &Store{cfg: cfg, client: client, metrics: m, conns: open}
	if s.server, err = s.check(ctx); err != nil {
		client.Close()
		return nil, explain(cfg, err)
	}
	if s.server.Mode == "cluster" && opt.ForceSingleClient {
		opt.ForceSingleClient = false
		client.Close()
		if s.client, err = rueidis.NewClient(opt); err != nil {
			return nil, explain(cfg, err)
		}
	}
	return s, nil
}

// final is an error that trying again cannot cure.
type final struct{ error }

func (r final) Unwrap() error { return r.error }

func permanent(err error) bool {
	var r final
	return errors.As(err, &r)
}

// explain turns the answers an operator can act on into text that says how.
func explain(cfg Config, err error) error {
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "WRONGPASS"), strings.Contains(text, "invalid password"),
		strings.Contains(text, "invalid username-password"):
		return final{fmt.Errorf("redis at %s refused the password; check --redis-password-file and --redis-user (now %q): %w",
			redact.Address(cfg.URL), cfg.Username, err)}
	case strings.HasPrefix(text, "NOAUTH"):
		return final{fmt.Errorf("redis at %s wants a password; give it by --redis-password-file: %w", redact.Address(cfg.URL), err)}
	case strings.Contains(text, "without any password configured"):
		return final{fmt.Errorf("redis at %s has no password set, but --redis-password-file or the URL gives one: %w",
			redact.Address(cfg.URL), err)}
	case strings.HasPrefix(text, "NOPERM"):
		return final{fmt.Errorf("redis at %s: the user (--redis-user, now %q) may not run a needed command: %w",
			redact.Address(cfg.URL), cfg.Username, err)}
	}
	return err
}

// Server tells what Check found at start.
func (s *Store) Server() ServerInfo { return s.server }

// URL is the address without its password, for texts.
func (s *Store) URL() string { return redact.Address(s.cfg.URL) }

// CallTimeout is the deadline every call gets.
func (s *Store) CallTimeout() time.Duration { return s.cfg.CallTimeout }

// Do sends one command: its name, its first key and the other arguments. The
// key decides the cluster node; every command but INFO-like ones has one.
func (s *Store) Do(ctx context.Context, name, key string, args ...string) rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	cmd := s.client.B().Arbitrary(name)
	if key != "" {
		cmd = cmd.Keys(key)
	}
	s.metrics.commands.Inc()
	res := s.client.Do(ctx, cmd.Args(args...).Build())
	s.observe(res.Error(), false)
	return res
}

// Eval runs a script by its digest, and by its source when the server does not
// know it (a restart, SCRIPT FLUSH, a failover). All keys must carry one tag.
func (s *Store) Eval(ctx context.Context, sc *Script, keys, args []string) rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	n := int64(len(keys))
	s.metrics.commands.Inc()
	res := s.client.Do(ctx, s.client.B().Evalsha().Sha1(sc.sha).Numkeys(n).Key(keys...).Arg(args...).Build())
	if re, ok := rueidis.IsRedisErr(res.Error()); ok && re.IsNoScript() {
		s.metrics.commands.Inc()
		s.metrics.noScript.Inc()
		res = s.client.Do(ctx, s.client.B().Eval().Script(sc.src).Numkeys(n).Key(keys...).Arg(args...).Build())
	}
	s.observe(res.Error(), sc.writes)
	return res
}

// repeats is how often a repeatable call is tried: each of the shared
// connections may have to find out by itself that the server was restarted.
const repeats = 1 + 1<<connsPow2

// DoRepeatable is Do for a command that may run twice without harm, a read
// above all: after a broken connection it is sent again.
func (s *Store) DoRepeatable(ctx context.Context, name, key string, args ...string) rueidis.RedisResult {
	return repeat(ctx, func() rueidis.RedisResult { return s.Do(ctx, name, key, args...) })
}

// EvalRepeatable is Eval for a script that may run twice without harm.
func (s *Store) EvalRepeatable(ctx context.Context, sc *Script, keys, args []string) rueidis.RedisResult {
	return repeat(ctx, func() rueidis.RedisResult { return s.Eval(ctx, sc, keys, args) })
}

func repeat(ctx context.Context, call func() rueidis.RedisResult) (res rueidis.RedisResult) {
	for range repeats {
		res = call()
		if _, answered := rueidis.IsRedisErr(res.Error()); res.Error() == nil || answered || ctx.Err() != nil {
			break
		}
	}
	return res
}

// Ping asks for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	return s.DoRepeatable(ctx, "PING", "").Error()
}

// Close ends the connections; calls under way fail.
func (s *Store) Close() {
	s.client.Close()
	s.metrics.unregister(s.cfg.Registerer)
}
