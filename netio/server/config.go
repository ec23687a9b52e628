package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-pool/assay/validator/pool"
)

// Config of a Server. Zero values take the defaults named.
type Config struct {
	Ports []Port // at least one
	Loops int    // event loops; one for every CoresPerLoop

	MaxConns  int // connections at once; what RLIMIT_NOFILE leaves, at most 100,000
	Reserve   int // descriptors that the rest of the process may need
	MaxLine   int // bytes of a line; 4096
	MaxFaults int // protocol errors of a session before it is closed; 4

	LoginTimeout      time.Duration // from accept to login; 15 s
	FirstShareTimeout time.Duration // from login to the first accepted share; 10 min
	IdleTimeout       time.Duration // between two valid requests; 15 min
	NoWorkTimeout     time.Duration // from a pool's last usable template to its miners being sent away; 3 min
	StallTimeout      time.Duration // longest time an answer may wait to be read; 10 s
	KeepAlive         time.Duration // TCP keepalive's idle time; 60 s
	UserTimeout       time.Duration // TCP_USER_TIMEOUT: unacknowledged data before the kernel gives up; 30 s

	SendBuffer      int // SO_SNDBUF of a connection; 65536
	OutboundLimit   int // bytes waiting in our own buffer of a connection; 65536
	InflightSession int // shares of a session waiting for a verdict; 64
	InflightLoop    int // shares of a loop waiting for a verdict; 16384
	JobShares       int // nonces remembered of a job; 2500

	SweepInterval time.Duration // between two looks at all sessions; 1 s
	FanoutSlice   time.Duration // longest time fan-out keeps a loop from its submits; 1 ms

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Port is one stratum port.
type Port struct {
	Addr        string // host:port; port 0 takes a free one
	Pool        *pool.Pool
	Description string // what the operator calls it: for lists of ports and logs
	Hidden      bool   // left out of public lists of ports

	StartDifficulty uint64 // of a new session; 10,000
	MinDifficulty   uint64 // also of a difficulty a miner asks for; 100, at most StartDifficulty
	MaxDifficulty   uint64 // likewise; 10^9, at least StartDifficulty
	Vardiff         Vardiff
	FixedDifficulty bool // no vardiff: every session stays at StartDifficulty
}

// Defaults of Config.
const (
	// The longest login XMRig sends is below 1 KiB.
	DefaultMaxLine = 4096
	// An honest miner makes no protocol error; a few may be a new client's first try.
	DefaultMaxFaults = 4
	// XMRig sends its login at once; a miner on a bad line may take seconds.
	DefaultLoginTimeout = 15 * time.Second
	// At a share in 30 s ten minutes without one are no bad luck, but no miner.
	DefaultFirstShareTimeout = 10 * time.Minute
	// A miner that found shares before may be unlucky for longer.
	DefaultIdleTimeout = 15 * time.Minute
	// A connection that has taken no byte for so long has two jobs waiting already.
	DefaultStallTimeout = 10 * time.Second
	// A peer that vanished without a word is found within a few of these, which
	// cost a packet each.
	DefaultKeepAlive = time.Minute
	// What was sent and not acknowledged for so long arrives no more.
	DefaultUserTimeout = 30 * time.Second
	// A hundred jobs or so: more that a miner has not read are not worth their memory.
	DefaultSendBuffer    = 64 << 10
	DefaultOutboundLimit = 64 << 10 // as miningcore
	// A rig's whole minute at a share a second.
	DefaultInflightSession = 64
	// Four full queues of the hash threads; a node makes it twice the queue at least.
	DefaultInflightLoop = 16384
	// As nodejs-pool: a share a second for as long as a template lives, many times over.
	DefaultJobShares = 2500
	// Time-outs are of seconds.
	DefaultSweepInterval = time.Second
	// What a submit may wait behind a new job's fan-out.
	DefaultFanoutSlice = time.Millisecond

	// DefaultNoWorkTimeout is what a daemon takes that is started again, with its
	// checks of a large database: miners should not wander for that. Beyond it
	// their backup pools pay and we do not.
	DefaultNoWorkTimeout = 3 * time.Minute

	// DefaultStartDifficulty is a share in some 10 s for a desktop CPU, which
	// vardiff then corrects within minutes.
	DefaultStartDifficulty = 10_000

	// DefaultMinDifficulty is a share in DefaultVardiffTarget for a rig of 3 H/s,
	// slower than which there is hardly any: a phone, or CryptoNight-Heavy on an
	// old core.
	DefaultMinDifficulty = 100
	// DefaultMaxDifficulty is a share in DefaultVardiffTarget for 33 MH/s, more
	// than any miner has behind one connection.
	DefaultMaxDifficulty = 1_000_000_000
)

// CoresPerLoop: a loop serves some 10⁵ shares a second, seven cores hash a few
// thousand, so one loop in eight cores is never the bottleneck.
const CoresPerLoop = 8

// candidateRoom is how many shares that claim to be blocks a session may have
// in flight as such, how many of them a job remembers beyond its limit, and how
// many are taken of a session while draining: a block must not be lost to a
// budget, and a claim is cheap to forge.
const candidateRoom = 16

// maxLineCap is the highest MaxLine: gnet hands over at most 64 KiB at a time.
const maxLineCap = 32 << 10

// Check fills in what is zero and refuses what cannot be served here, by the
// flag to change. New does the same; before that a Port needs no Pool yet.
func (c *Config) Check() error {
	c.Loops = cmp.Or(c.Loops, max(1, runtime.NumCPU()/CoresPerLoop))
	c.MaxLine = cmp.Or(c.MaxLine, DefaultMaxLine)
	c.MaxFaults = cmp.Or(c.MaxFaults, DefaultMaxFaults)
	c.LoginTimeout = cmp.Or(c.LoginTimeout, DefaultLoginTimeout)
	c.FirstShareTimeout = cmp.Or(c.FirstShareTimeout, DefaultFirstShareTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	c.NoWorkTimeout = cmp.Or(c.NoWorkTimeout, DefaultNoWorkTimeout)
	c.StallTimeout = cmp.Or(c.StallTimeout, DefaultStallTimeout)
	c.KeepAlive = cmp.Or(c.KeepAlive, DefaultKeepAlive)
	c.UserTimeout = cmp.Or(c.UserTimeout, DefaultUserTimeout)
	c.SendBuffer = cmp.Or(c.SendBuffer, DefaultSendBuffer)
	c.OutboundLimit = cmp.Or(c.OutboundLimit, DefaultOutboundLimit)
	c.InflightSession = cmp.Or(c.InflightSession, DefaultInflightSession)
	c.InflightLoop = cmp.Or(c.InflightLoop, DefaultInflightLoop)
	c.JobShares = cmp.Or(c.JobShares, DefaultJobShares)
	c.SweepInterval = cmp.Or(c.SweepInterval, DefaultSweepInterval)
	c.FanoutSlice = cmp.Or(c.FanoutSlice, DefaultFanoutSlice)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for name, v := range map[string]int64{
		"loops": int64(c.Loops), "reserved descriptors": int64(c.Reserve), "max faults": int64(c.MaxFaults),
		"login timeout": int64(c.LoginTimeout), "first share timeout": int64(c.FirstShareTimeout),
		"idle timeout": int64(c.IdleTimeout), "no-work timeout": int64(c.NoWorkTimeout), "stall timeout": int64(c.StallTimeout),
		"keepalive": int64(c.KeepAlive), "user timeout": int64(c.UserTimeout),
		"send buffer": int64(c.SendBuffer), "outbound limit": int64(c.OutboundLimit),
		"shares in flight": int64(min(c.InflightSession, c.InflightLoop)), "shares a job": int64(c.JobShares),
		"sweep interval": int64(c.SweepInterval), "fan-out slice": int64(c.FanoutSlice),
	} {
		if v < 0 {
			return fmt.Errorf("server: %s is %d, it must not be negative", name, v)
		}
	}
	if c.MaxLine < 512 || c.MaxLine > maxLineCap {
		return fmt.Errorf("server: max line is %d bytes, it must be from 512 to %d", c.MaxLine, maxLineCap)
	}
	if len(c.Ports) == 0 {
		return errors.New("--listen is missing: where miners connect")
	}
	for i := range c.Ports {
		p := &c.Ports[i]
		if err := p.Check(); err != nil {
			return fmt.Errorf("--listen %s: %w", p.Addr, err)
		}
		for _, other := range c.Ports[:i] {
			if Conflict(p.Addr, other.Addr) {
				return fmt.Errorf("--listen %s: the port is taken by --listen %s", p.Addr, other.Addr)
			}
		}
	}
	var err error
	c.MaxConns, err = c.limitConns()
	return err
}

// Check fills in what is zero and refuses what makes no sense, but for Pool.
func (p *Port) Check() error {
	host, number, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return fmt.Errorf("want HOST:PORT: %w", err)
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil {
		return fmt.Errorf("host %q is not an IP address", host)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q is not a number from 0 to 65535", number)
	}
	p.Addr = net.JoinHostPort(host, strconv.FormatUint(n, 10))
	if p.StartDifficulty == 0 {
		p.MinDifficulty = cmp.Or(p.MinDifficulty, DefaultMinDifficulty)
		p.MaxDifficulty = cmp.Or(p.MaxDifficulty, DefaultMaxDifficulty)
		p.StartDifficulty = min(max(DefaultStartDifficulty, p.MinDifficulty), p.MaxDifficulty)
	}
	p.MinDifficulty = cmp.Or(p.MinDifficulty, min(DefaultMinDifficulty, p.StartDifficulty))
	p.MaxDifficulty = cmp.Or(p.MaxDifficulty, max(DefaultMaxDifficulty, p.StartDifficulty))
	switch {
	case p.MinDifficulty > p.MaxDifficulty:
		return fmt.Errorf("min %d is above max %d (--vardiff-min, --vardiff-max)", p.MinDifficulty, p.MaxDifficulty)
	case p.StartDifficulty < p.MinDifficulty, p.StartDifficulty > p.MaxDifficulty:
		return fmt.Errorf("diff %d is outside min %d and max %d (--vardiff-min, --vardiff-max)", p.StartDifficulty, p.MinDifficulty, p.MaxDifficulty)
	case p.MaxDifficulty > math.MaxInt64:
		return fmt.Errorf("max %d does not fit the ledger's sums of 63 bits (--vardiff-max)", p.MaxDifficulty)
	}
	return p.Vardiff.setDefaults()
}

// Conflict tells whether two ports cannot both be listened on, as gnet takes
// their hosts: "" is every address of both families, 0.0.0.0 and [::] are every
// address of their own.
func Conflict(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	if hostA == "" || hostB == "" {
		return true
	}
	ipA, ipB := listenIP(hostA), listenIP(hostB)
	return ipA.Is4() == ipB.Is4() && (ipA == ipB || ipA.IsUnspecified() || ipB.IsUnspecified())
}

// listenIP is the address a checked host stands for.
func listenIP(host string) netip.Addr {
	if host == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	ip, _ := netip.ParseAddr(host)
	return ip.Unmap()
}
