package store

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"github.com/assay-pool/assay/internal/redact"
)

// Defaults of Config.
const (
	// DefaultCallTimeout bounds one command or script. A healthy Redis answers
	// in microseconds; two seconds tell a hung one from a busy one without
	// stalling the ledger for long.
	DefaultCallTimeout = 2 * time.Second
	// silentAfter, beyond CallTimeout, is when rueidis gives a silent connection
	// up: sooner and slow calls would cost their connection.
	silentAfter = time.Second
	// DefaultDialTimeout bounds one connection attempt.
	DefaultDialTimeout = 2 * time.Second
	// DefaultStartTimeout is how long Open, or StartManaged, waits for a Redis
	// that is away or still loading its data: an append-only file of some
	// gigabytes.
	DefaultStartTimeout = 60 * time.Second

	// maxSocketPath is sun_path without its final zero, in bytes (unix(7)).
	maxSocketPath = 107

	startRetryMin = 100 * time.Millisecond
	startRetryMax = 2 * time.Second
	// sentinelRefresh makes the client look for a new master by itself: one
	// missed +switch-master would otherwise bind it to the old one for ever.
	sentinelRefresh = 5 * time.Second
	// bufferBytes is the read and the write buffer of each connection; a
	// ledger batch of a thousand credits fits.
	bufferBytes = 128 << 10
	// knownNodes of a Redis Cluster or set of sentinels are counted beyond those
	// the URL names: a client connects to the masters it uses and to a few for the
	// topology.
	knownNodes = 16
	// connsPow2 makes 2^1 shared connections: the ledger's flusher uses one at
	// a time, readers the other.
	connsPow2 = 1
)

// Config says where Redis is and how long to wait for it.
type Config struct {
	// URL is one of
	//
	//	redis://[user[:password]@]host[:port][/db]
	//	rediss://…                     the same over TLS
	//	unix:///path/to/redis.sock[?db=n]
	//
	// or several of the first two, separated by commas: with SentinelMaster set
	// they are sentinels, otherwise the first nodes of a Redis Cluster. A single
	// address that turns out to be a cluster node is treated as one.
	URL string
	// SentinelMaster is the master's name at the sentinels; empty = no Sentinel.
	SentinelMaster string
	// Username for ACL users; empty = the default user.
	Username string
	// Password wins over the URL's; empty = none but those (--redis-password-file).
	Password string
	// AllowEviction lets the node start on a Redis that may evict keys.
	AllowEviction bool

	StartTimeout     time.Duration // 0 = DefaultStartTimeout
	CallTimeout      time.Duration // 0 = DefaultCallTimeout
	ConnWriteTimeout time.Duration // 0 = CallTimeout and a second
	DialTimeout      time.Duration // 0 = DefaultDialTimeout

	Log        *slog.Logger          // nil = none
	Registerer prometheus.Registerer // nil = none
}

func (c *Config) setDefaults() {
	c.StartTimeout = cmp.Or(c.StartTimeout, DefaultStartTimeout)
	c.CallTimeout = cmp.Or(c.CallTimeout, DefaultCallTimeout)
	c.ConnWriteTimeout = cmp.Or(c.ConnWriteTimeout, c.CallTimeout+silentAfter)
	c.DialTimeout = cmp.Or(c.DialTimeout, DefaultDialTimeout)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Check fills in what is zero and refuses what no server could be reached by.
// Open does the same.
func (c *Config) Check() error {
	c.setDefaults()
	_, err := c.options()
	return err
}

// Descriptors is the most file descriptors a Store uses: its shared connections
// to each server, and one a server that is being made while an old one closes.
func (c *Config) Descriptors() int {
	return (strings.Count(c.URL, ",") + 1 + knownNodes) * (1<<connsPow2 + 1)
}

// options translates the configuration; the errors name the flag to change.
func (c *Config) options() (rueidis.ClientOption, error) {
	var opt rueidis.ClientOption
	if strings.TrimSpace(c.URL) == "" {
		return opt, errors.New("--redis: no address")
	}
	for i, part := range strings.Split(c.URL, ",") {
		one, err := parseURL(strings.TrimSpace(part))
		if err != nil {
			return opt, err
		}
		if i == 0 {
			opt = one
			continue
		}
		if opt.DialCtxFn != nil || one.DialCtxFn != nil {
			return opt, errors.New("--redis: a unix socket cannot be one of several addresses")
		}
		if (one.TLSConfig == nil) != (opt.TLSConfig == nil) {
			return opt, errors.New("--redis: redis:// and rediss:// cannot be mixed")
		}
		opt.InitAddress = append(opt.InitAddress, one.InitAddress...)
	}
	if opt.TLSConfig != nil && len(opt.InitAddress) > 1 {
		// tls.Dialer fills an empty name from the address it dials, so each
		// node's certificate is checked against that node.
		opt.TLSConfig.ServerName = ""
	}
	if c.Username != "" {
		opt.Username = c.Username
	}
	if c.Password != "" {
		opt.Password = c.Password
	}
	if c.SentinelMaster != "" {
		opt.Sentinel.MasterSet = c.SentinelMaster
		opt.Sentinel.TopologyRefreshInterval = sentinelRefresh
		opt.Sentinel.Dialer.Timeout = c.DialTimeout
		opt.Sentinel.TLSConfig = opt.TLSConfig
	} else if len(opt.InitAddress) == 1 {
		opt.ForceSingleClient = true
	}
	opt.DisableRetry = true
	opt.DisableCache = true
	opt.ConnWriteTimeout = c.ConnWriteTimeout
	opt.Dialer.Timeout = c.DialTimeout
	opt.ClientName = "assay"
	opt.ReadBufferEachConn, opt.WriteBufferEachConn = bufferBytes, bufferBytes
	opt.PipelineMultiplex = connsPow2
	return opt, nil
}

func parseURL(raw string) (rueidis.ClientOption, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error repeats the text, which may hold a password.
		return rueidis.ClientOption{}, errors.New("--redis: not a URL (redis://host:port, rediss://host:port or unix:///path); a password with / ? # or @ is given by --redis-password-file")
	}
	switch u.Scheme {
	case "redis", "rediss":
		if u.Hostname() == "" {
			return rueidis.ClientOption{}, fmt.Errorf("--redis: %s has no host", redact.Text(raw))
		}
	case "unix":
		if !strings.HasPrefix(u.Path, "/") || u.Host != "" {
			return rueidis.ClientOption{}, fmt.Errorf("--redis: %s: a unix socket needs an absolute path, unix:///path/to/redis.sock", redact.Text(raw))
		}
		if len(u.Path) > maxSocketPath {
			return rueidis.ClientOption{}, fmt.Errorf("--redis: socket path %s has %d bytes, the kernel takes %d", u.Path, len(u.Path), maxSocketPath)
		}
	default:
		return rueidis.ClientOption{}, fmt.Errorf("--redis: the scheme of %s is not redis, rediss or unix", redact.Address(raw))
	}
	opt, err := rueidis.ParseURL(raw)
	if err != nil {
		return opt, fmt.Errorf("--redis: %s: %w", redact.Text(raw), errors.New(redact.Text(err.Error())))
	}
	return opt, nil
}
