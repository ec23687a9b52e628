package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/internal/redact"
	"github.com/assay-pool/assay/validator/blob"
)

// Endpoint is one coin daemon.
type Endpoint struct {
	// URL of the daemon's RPC port: http://host:port or https://host:port. The path /json_rpc is
	// added unless the URL has a path of its own.
	URL string
	// ZMQ is the daemon's --zmq-pub address, tcp://host:port; empty = polling only.
	ZMQ string
	// Login is "user:password" for the daemon's --rpc-login (HTTP digest); empty = none.
	Login string
	// Trust is whose certificates it may show, if the URL is https; nil = the system's authorities.
	Trust *Trust
}

// Config of a Client. Zero values take the default named beside each field; its reason
// is there.
type Config struct {
	// Pool names the pool in metrics and logs. Default "default".
	Pool string
	// Daemons in order of preference; at least one.
	Daemons []Endpoint
	// Wallet is the address the coinbase pays to. monerod refuses subaddresses.
	Wallet string
	// BlobType is how the coin's templates are to be read. CryptoNote.
	BlobType blob.Type
	// Coin as --coin names it, and its network ("mainnet", "testnet", "stagenet", "regtest"): a
	// daemon that says it is on another one is refused. An empty Network takes any.
	Coin    string
	Network string
	// ReserveSize is how many extra-nonce bytes the daemon reserves in the coinbase, 1…127
	// (above that the length varint has two bytes and gains nothing). Required.
	ReserveSize int

	// PollInterval between get_info calls to the daemon in use. DefaultPollInterval.
	PollInterval time.Duration
	// HealthInterval between get_info calls to the other daemons. DefaultHealthInterval.
	HealthInterval time.Duration
	// RPCTimeout of one call, connect to last byte. DefaultRPCTimeout.
	RPCTimeout time.Duration
	// SubmitTimeout of one submit_block call. DefaultSubmitTimeout.
	SubmitTimeout time.Duration
	// SubmitLinger is how long daemons that did not answer yet are still tried after another one
	// accepted the block. DefaultSubmitLinger.
	SubmitLinger time.Duration
	// AlternativeWait is how long Submit waits for the other daemons when the first one has the
	// block beside its main chain only. DefaultAlternativeWait.
	AlternativeWait time.Duration
	// TxRefresh is the shortest time between two templates of one parent, unless the last one can be no
	// block any more. DefaultTxRefresh.
	TxRefresh time.Duration
	// MaxAge of a template before it is fetched anew so that the block's timestamp stays true.
	// DefaultMaxAge.
	MaxAge time.Duration
	// NotifyGap is the shortest time between two polls caused by ZMQ notices. DefaultNotifyGap.
	NotifyGap time.Duration
	// FailAfter failed polls in a row a daemon is unhealthy. DefaultFailAfter.
	FailAfter int
	// RecoverAfter good polls in a row an unhealthy daemon is used again. DefaultRecoverAfter.
	RecoverAfter int
	// RefuseBackoff is how long a daemon whose template was refused is left alone; doubled with
	// each refusal in a row up to RefuseBackoffMax. DefaultRefuseBackoff, DefaultRefuseBackoffMax.
	RefuseBackoff    time.Duration
	RefuseBackoffMax time.Duration
	// LagBlocks behind the others for longer than LagGrace a daemon is not used. DefaultLagBlocks,
	// DefaultLagGrace.
	LagBlocks uint64
	LagGrace  time.Duration
	// StuckAfter this long at one height while others moved on by even one block a daemon is not
	// used. DefaultStuckAfter.
	StuckAfter time.Duration
	// MaxResponse bounds the bytes read of one answer. DefaultMaxResponse.
	MaxResponse int64

	// Log, nil = none.
	Log *slog.Logger
	// Registerer for metrics, nil = none.
	Registerer prometheus.Registerer
}

// Defaults of Config.
const (
	// A poll is 1.4 KB and half a millisecond of the daemon's time; a second is what a block heard
	// of without ZMQ then costs at most.
	DefaultPollInterval = time.Second
	// The others are polled to know their height when they are needed: a block is minutes apart.
	DefaultHealthInterval = 5 * time.Second
	// A healthy daemon answers in milliseconds; one that needs five seconds is no use for fresh jobs.
	DefaultRPCTimeout = 5 * time.Second
	// The daemon verifies the block before it answers, which may need a RandomX cache built first:
	// seconds on a small machine.
	DefaultSubmitTimeout = 20 * time.Second
	// A restart of a daemon takes less; after a minute it gets the block from its peers anyway.
	DefaultSubmitLinger = time.Minute
	// A daemon that is alive verifies a block and answers within a second or two, so this hears
	// all of them, and well before SubmitTimeout would give a hung one up: the block's finder and
	// its round wait for it.
	DefaultAlternativeWait = 5 * time.Second
	// New transactions add fees of little next to the reward, and a job change costs every miner a
	// moment; eight changes in a block's two minutes are enough.
	DefaultTxRefresh = 15 * time.Second
	// Two templates in a block's time keep its timestamp true to a minute, where consensus asks for
	// hours and difficulty algorithms see minutes.
	DefaultMaxAge = time.Minute
	// A burst of notices (a block and its transactions) becomes twenty polls a second at most.
	DefaultNotifyGap = 50 * time.Millisecond
	// One lost poll happens in a healthy network, two in a row seldom.
	DefaultFailAfter = 2
	// A daemon that flaps would make the pool change jobs each time; three seconds of good polls
	// are more than a flap.
	DefaultRecoverAfter = 3
	// Wrong data mends within seconds only at a reorganisation or a restart, so the first pause is
	// for those.
	DefaultRefuseBackoff = 5 * time.Second
	// Five minutes is how late a mended daemon may be noticed.
	DefaultRefuseBackoffMax = 5 * time.Minute
	// One block late is propagation; two are a daemon that hears of blocks late or not at all.
	DefaultLagBlocks = 2
	// Propagation takes seconds; what lasts twenty is a daemon that has lost its peers.
	DefaultLagGrace = 20 * time.Second
	// A block takes two minutes on average; that others found one and this daemon heard of none for
	// more than twice that is not propagation any more.
	DefaultStuckAfter = 5 * time.Minute
	// A template of 30,000 transactions has 2 MiB of hex; twice that is no template.
	DefaultMaxResponse = 4 << 20
)

// Limits that no operator needs to turn.
const (
	maxReserve = 127 // one-byte length varint
	maxDaemons = 16  // labels, goroutines and calls per block grow with it
)

func (c *Config) setDefaults() {
	c.Pool = cmp.Or(c.Pool, "default")
	c.PollInterval = cmp.Or(c.PollInterval, DefaultPollInterval)
	c.HealthInterval = cmp.Or(c.HealthInterval, DefaultHealthInterval)
	c.RPCTimeout = cmp.Or(c.RPCTimeout, DefaultRPCTimeout)
	c.SubmitTimeout = cmp.Or(c.SubmitTimeout, DefaultSubmitTimeout)
	c.SubmitLinger = cmp.Or(c.SubmitLinger, DefaultSubmitLinger)
	c.AlternativeWait = cmp.Or(c.AlternativeWait, DefaultAlternativeWait)
	c.TxRefresh = cmp.Or(c.TxRefresh, DefaultTxRefresh)
	c.MaxAge = cmp.Or(c.MaxAge, DefaultMaxAge)
	c.NotifyGap = cmp.Or(c.NotifyGap, DefaultNotifyGap)
	c.FailAfter = cmp.Or(c.FailAfter, DefaultFailAfter)
	c.RecoverAfter = cmp.Or(c.RecoverAfter, DefaultRecoverAfter)
	c.RefuseBackoff = cmp.Or(c.RefuseBackoff, DefaultRefuseBackoff)
	c.RefuseBackoffMax = cmp.Or(c.RefuseBackoffMax, DefaultRefuseBackoffMax)
	c.LagBlocks = cmp.Or(c.LagBlocks, DefaultLagBlocks)
	c.LagGrace = cmp.Or(c.LagGrace, DefaultLagGrace)
	c.StuckAfter = cmp.Or(c.StuckAfter, DefaultStuckAfter)
	c.MaxResponse = cmp.Or(c.MaxResponse, DefaultMaxResponse)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Check fills in what is zero and refuses what cannot be followed. New does the
// same.
func (c *Config) Check() error {
	c.setDefaults()
	if err := c.checkLimits(); err != nil {
		return err
	}
	urls := make(map[string]string)
	for _, e := range c.Daemons {
		if err := e.Check(); err != nil {
			return fmt.Errorf("--daemon %w", err)
		}
		u, _ := e.rpcURL() // checked
		at := authority(u)
		if other, twice := urls[at]; twice {
			return fmt.Errorf("--daemon %s is given twice (as %s): remove one of the two", e.URL, other)
		}
		urls[at] = e.URL
	}
	return nil
}

// Descriptors is the most file descriptors a Client uses: for each daemon those
// of its calls and its publisher, twice, since a connection is tried by both
// address families at once, and a name is asked for likewise before.
func (c *Config) Descriptors() int { return len(c.Daemons) * 2 * (maxCalls + 1) }

// Check refuses what cannot be called.
func (e Endpoint) Check() error {
	u, err := e.rpcURL()
	if err != nil {
		return err
	}
	if e.Trust != nil && u.Scheme != "https" {
		return fmt.Errorf("%s: ca and fingerprint are for https://HOST:PORT; by http nothing is checked", e.URL)
	}
	if _, err := e.zmqAddr(); err != nil {
		return err
	}
	if e.Login == "" {
		return nil
	}
	if _, _, err := splitLogin(e.Login); err != nil {
		return fmt.Errorf("%s: --daemon-login-file: %w", e.URL, err)
	}
	return nil
}

// authority is what two URLs of one daemon have in common, however they are
// written: http://LocalHost and http://127.0.0.1:80/ are one.
func authority(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return net.JoinHostPort(host, port)
}

func (c *Config) checkLimits() error {
	if n := len(c.Daemons); n == 0 || n > maxDaemons {
		return fmt.Errorf("daemons: %d given, want 1 to %d", n, maxDaemons)
	}
	if c.Wallet == "" {
		return errors.New("wallet address is empty")
	}
	if c.ReserveSize < 1 || c.ReserveSize > maxReserve {
		return fmt.Errorf("reserve size %d: want 1 to %d bytes", c.ReserveSize, maxReserve)
	}
	durations := []struct {
		name string
		d    time.Duration
	}{
		{"poll interval", c.PollInterval}, {"health interval", c.HealthInterval},
		{"rpc timeout", c.RPCTimeout}, {"submit timeout", c.SubmitTimeout},
		{"submit linger", c.SubmitLinger}, {"alternative wait", c.AlternativeWait}, {"template refresh", c.TxRefresh},
		{"template max age", c.MaxAge}, {"notify gap", c.NotifyGap},
		{"refuse back-off", c.RefuseBackoff}, {"refuse back-off max", c.RefuseBackoffMax},
		{"lag grace", c.LagGrace}, {"stuck after", c.StuckAfter},
	}
	for _, d := range durations {
		if d.d < 0 {
			return fmt.Errorf("%s %s: must be positive", d.name, d.d)
		}
	}
	if c.FailAfter < 0 || c.RecoverAfter < 0 || c.MaxResponse < 0 {
		return errors.New("fail count, recover count and response limit must be positive")
	}
	return nil
}

// rpcURL gives the address JSON-RPC calls go to, and the name (host:port) the daemon has in logs,
// metrics and status.
func (e Endpoint) rpcURL() (*url.URL, error) {
	u, err := url.Parse(e.URL)
	switch {
	case strings.Contains(e.URL, "@"):
		return nil, fmt.Errorf("%s: a password in the URL is seen by every user of the machine; use --daemon-login-file", redact.Address(e.URL))
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%s: want http://HOST:PORT or https://HOST:PORT", redact.Address(e.URL))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/json_rpc"
	}
	return u, nil
}

// zmqAddr gives host:port of the publisher, "" when there is none.
func (e Endpoint) zmqAddr() (string, error) {
	if e.ZMQ == "" {
		return "", nil
	}
	u, err := url.Parse(e.ZMQ)
	if err != nil {
		return "", fmt.Errorf("%s: zmq is %q: %w", e.URL, e.ZMQ, err)
	}
	if u.Scheme != "tcp" || u.Port() == "" || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("%s: zmq is %q; want tcp://HOST:PORT, the daemon's --zmq-pub", e.URL, e.ZMQ)
	}
	return u.Host, nil
}

// splitLogin never puts the secret into its error.
func splitLogin(login string) (user, password string, err error) {
	user, password, ok := strings.Cut(login, ":")
	if !ok || user == "" {
		return "", "", errors.New("want one line user:password")
	}
	return user, password, nil
}
